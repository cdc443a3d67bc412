/* FULLY_CONNECTED: rows are windows. */
#include "packed.h"

static bool check(const tf_call_t *call) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (y->rank == 0 || p->depth == 0 || p->depth > TF_TENSOR_BYTES_MAX || p->flags != 0) return false;
    if (p->multiplier != 0 || p->shift != 0) return false;
    const uint32_t oc = y->dims[y->rank - 1];
    if ((uint64_t)(tf_elements(y) / oc) * p->depth != tf_elements(x)) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    const uint32_t channels = tf_mve_round_up(oc, TF_MVE_QUAD);
    const uint32_t taps = tf_mve_round_up(p->depth, TF_MVE_BYTES);
    return tf_mve_are_packed(call->model, p->weights, (uint64_t)taps * channels, p->bias, channels);
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const y = tf_operand(call, 1);
    const uint32_t oc = y->dims[y->rank - 1];
    tf_mve_block_t block = {
        .windows = tf_read(call, 0, arena),
        .window_step = p->depth,
        .output = tf_write(call, 1, arena),
        .output_step = oc,
        .weights = tf_constant(call->model, p->weights),
        .records = tf_constant(call->model, p->bias),
        .taps = p->depth,
        .output_zero = p->output_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    tf_mve_windows(&block, tf_elements(y) / oc, oc);
}

const tf_kernel_t tf_mve_kernel_fully_connected = {
    .code = TF_OP_FULLY_CONNECTED,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_fully_connected_params_t),
    .check = check,
    .run = run,
};
