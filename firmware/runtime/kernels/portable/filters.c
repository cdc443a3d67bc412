/* What plain convolutions and fully connected layers share. */
#include "filters.h"

bool tf_is_convolution(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    return x->rank == 4 && y->rank == 4 && x->dims[0] == y->dims[0] &&
           tf_is_window(x->dims[1], y->dims[1], p->kernel_h, p->stride_h, p->dilation_h, p->pad_top) &&
           tf_is_window(x->dims[2], y->dims[2], p->kernel_w, p->stride_w, p->dilation_w, p->pad_left) &&
           tf_is_activation(p->input_zero, p->act_min, p->act_max) &&
           tf_is_activation(p->output_zero, p->act_min, p->act_max);
}

bool tf_are_filters(const tf_call_t *call, uint32_t flags, uint64_t bytes, uint32_t channels) {
    const tf_tables_t *const at = call->params;
    return flags <= TF_FLAG_PER_TENSOR && tf_has_constants(call->model, at->weights, bytes, 16) &&
           tf_has_constants(call->model, at->bias, (uint64_t)channels * 4, 4) &&
           tf_are_multipliers(call->model, at->multiplier, at->shift,
                              flags & TF_FLAG_PER_TENSOR ? 1 : channels);
}

void tf_open_filters(tf_filters_t *f, const tf_call_t *call, uint32_t flags) {
    const tf_tables_t *const at = call->params;
    f->weights = tf_constant(call->model, at->weights);
    f->bias = tf_constant(call->model, at->bias);
    f->multiplier = tf_constant(call->model, at->multiplier);
    f->shift = tf_constant(call->model, at->shift);
    f->step = flags & TF_FLAG_PER_TENSOR ? 0 : 1;
    if (f->step != 0) return;
    for (uint32_t i = 0; i < TF_FILTERS_BLOCK; i++) {
        f->all_multiplier[i] = f->multiplier[0];
        f->all_shift[i] = f->shift[0];
    }
    f->multiplier = f->all_multiplier;
    f->shift = f->all_shift;
}

void tf_next_filters(tf_filters_t *f) {
    f->weights += f->channels * f->taps;
    f->bias += f->channels;
    f->multiplier += f->channels * f->step;
    f->shift += f->channels * f->step;
}
