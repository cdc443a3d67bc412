/* FULLY_CONNECTED, weights [oc][depth]. Reference: integer_ops/fully_connected.h. */
#include "../../kernel.h"
#include "dot.h"

static bool check(const tf_call_t *call) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (y->rank == 0 || p->depth == 0 || p->depth > TF_TENSOR_BYTES_MAX) return false;
    const uint32_t oc = y->dims[y->rank - 1];
    const uint32_t rows = tf_elements(y) / oc;
    if ((uint64_t)rows * p->depth != tf_elements(x)) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    if (p->flags > TF_FLAG_PER_TENSOR) return false;
    if (!tf_has_constants(call->model, p->weights, (uint64_t)p->depth * oc, 16)) return false;
    if (!tf_has_constants(call->model, p->bias, (uint64_t)oc * 4, 4)) return false;
    return tf_are_multipliers(call->model, p->multiplier, p->shift, p->flags & TF_FLAG_PER_TENSOR ? 1 : oc);
}

static int8_t *row(const tf_call_t *call, const int8_t *input, uint32_t oc, int8_t *output) {
    const tf_fully_connected_params_t *const p = call->params;
    const int8_t *weights = tf_constant(call->model, p->weights);
    const int32_t *const bias = tf_constant(call->model, p->bias);
    const int32_t *multiplier = tf_constant(call->model, p->multiplier);
    const int8_t *shift = tf_constant(call->model, p->shift);
    const uint32_t step = p->flags & TF_FLAG_PER_TENSOR ? 0 : 1;
    for (uint32_t c = 0; c < oc; c++) {
        const int32_t sum = tf_dot(bias[c], input, weights, p->depth);
        const int32_t scaled = tf_wrap_add(tf_rescale(sum, *multiplier, *shift), p->output_zero);
        *output++ = (int8_t)tf_clamp(scaled, p->act_min, p->act_max);
        weights += p->depth;
        multiplier += step;
        shift += step;
    }
    return output;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const y = tf_operand(call, 1);
    const uint32_t oc = y->dims[y->rank - 1];
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    int8_t *const end = output + tf_elements(y);
    while (output != end) {
        output = row(call, input, oc, output);
        input += p->depth;
    }
}

const tf_kernel_t tf_kernel_fully_connected = {
    .code = TF_OP_FULLY_CONNECTED,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_fully_connected_params_t),
    .check = check,
    .run = run,
};
