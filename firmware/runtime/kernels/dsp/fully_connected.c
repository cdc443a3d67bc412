/* FULLY_CONNECTED, four output channels at a time. */
#include "packed.h"

enum { CHANNELS = 4 };

static bool check(const tf_call_t *call) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (y->rank == 0 || p->depth == 0 || p->depth > TF_TENSOR_BYTES_MAX || p->flags != 0) return false;
    if (p->multiplier != 0 || p->shift != 0) return false;
    const uint32_t oc = y->dims[y->rank - 1];
    if ((uint64_t)(tf_elements(y) / oc) * p->depth != tf_elements(x)) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    const uint32_t channels = tf_round_up(oc, CHANNELS);
    return tf_are_packed(call->model, p->weights, (uint64_t)tf_round_up(p->depth, 4) * channels, p->bias,
                         channels);
}

static int8_t *row(const tf_call_t *call, const int8_t *input, uint32_t oc, int8_t *output) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_channel_t *channel = tf_constant(call->model, p->bias);
    const int8_t *weights = tf_constant(call->model, p->weights);
    const uint32_t whole = p->depth / 4;
    int8_t rest[4] = {0}; /* a row may end where the arena ends */
    memcpy(rest, input + whole * 4, p->depth % 4);
    for (uint32_t c = 0; c < oc; c += CHANNELS, channel += CHANNELS) {
        int32_t sums[CHANNELS];
        for (uint32_t i = 0; i < CHANNELS; i++) sums[i] = channel[i].bias;
        tf_dot_4(input, weights, whole, sums);
        weights += whole * 4 * CHANNELS;
        if (p->depth % 4 != 0) {
            tf_dot_4(rest, weights, 1, sums);
            weights += 4 * CHANNELS;
        }
        for (uint32_t i = 0; i < CHANNELS && c + i < oc; i++) *output++ = tf_requantize(sums[i], &channel[i]);
    }
    return output;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_fully_connected_params_t *const p = call->params;
    const tf_tensor_t *const y = tf_operand(call, 1);
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *const first = tf_write(call, 1, arena);
    int8_t *const end = first + tf_elements(y);
    for (int8_t *output = first; output != end; input += p->depth) {
        output = row(call, input, y->dims[y->rank - 1], output);
    }
    tf_narrow(first, tf_elements(y), p->act_min, p->act_max);
}

const tf_kernel_t tf_packed_fully_connected = {
    .code = TF_OP_FULLY_CONNECTED,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_fully_connected_params_t),
    .check = check,
    .run = run,
};
