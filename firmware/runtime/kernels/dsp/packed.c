#include "packed.h"

#include "../../quant.h"

bool tf_are_packed(const tf_model_t *model, uint32_t weights_at, uint64_t weights, uint32_t channels_at,
                   uint32_t channels) {
    if (!tf_has_constants(model, weights_at, weights, 16)) return false;
    if (!tf_has_constants(model, channels_at, (uint64_t)channels * sizeof(tf_channel_t), 4)) return false;
    const tf_channel_t *const table = tf_constant(model, channels_at);
    for (uint32_t i = 0; i < channels; i++) {
        if (table[i].shift < 1 || table[i].shift > 31) return false;
    }
    return true;
}

bool tf_is_packed_window(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    return x->rank == 4 && y->rank == 4 && x->dims[0] == y->dims[0] && p->dilation_h == 1 &&
           p->dilation_w == 1 && p->flags == 0 && p->multiplier == 0 && p->shift == 0 &&
           tf_is_window(x->dims[1], y->dims[1], p->kernel_h, p->stride_h, 1, p->pad_top) &&
           tf_is_window(x->dims[2], y->dims[2], p->kernel_w, p->stride_w, 1, p->pad_left) &&
           tf_is_activation(p->input_zero, p->act_min, p->act_max);
}

void tf_narrow(int8_t *values, uint32_t count, int32_t low, int32_t high) {
    if (low == INT8_MIN && high == INT8_MAX) return;
    for (int8_t *const end = values + count; values != end; values++) {
        *values = (int8_t)tf_clamp(*values, low, high);
    }
}
