/* FULLY_CONNECTED, weights [oc][depth]. Reference: integer_ops/fully_connected.h. */
#include "filters.h"

static bool check(const tf_call_t *call) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (y->rank == 0 || p->depth == 0 || p->depth > TF_TENSOR_BYTES_MAX) return false;
    const uint32_t oc = y->dims[y->rank - 1];
    if ((uint64_t)(tf_elements(y) / oc) * p->depth != tf_elements(x)) return false;
    return tf_is_activation(p->output_zero, p->act_min, p->act_max) &&
           tf_are_filters(call, p->flags, (uint64_t)p->depth * oc, oc);
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const y = tf_operand(call, 1);
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    const int8_t *const end = output + tf_elements(y);
    tf_filters_t f = {.taps = p->depth,
                      .channels = y->dims[y->rank - 1],
                      .zero = p->output_zero,
                      .low = p->act_min,
                      .high = p->act_max};
    tf_open_filters(&f, call, p->flags);
    for (; output != end; output += f.channels, input += p->depth) tf_rows(&f, input, output);
}

const tf_kernel_t tf_kernel_fully_connected = {
    .code = TF_OP_FULLY_CONNECTED,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_fully_connected_params_t),
    .check = check,
    .run = run,
};
