/* What every reduction has to have checked: the axes it keeps, and those it folds. */
#ifndef TF_REDUCTION_H
#define TF_REDUCTION_H

#include "../../kernel.h"

enum { TF_REDUCTION_AXES = 3 };

/* Three nested axes and how far their last element lies from the first. */
static inline bool tf_check_axes(const uint32_t *size, const uint32_t *stride, uint64_t *elements,
                                 uint64_t *reach) {
    for (uint32_t i = 0; i < TF_REDUCTION_AXES; i++) {
        if (size[i] == 0 || size[i] > TF_TENSOR_BYTES_MAX || stride[i] > TF_TENSOR_BYTES_MAX) return false;
        *elements *= size[i];
        *reach += (uint64_t)(size[i] - 1) * stride[i];
        if (*elements > TF_TENSOR_BYTES_MAX) return false;
    }
    return true;
}

/* No element lies outside the input, each output element is written once, and no more are read than there
 * are: with strides of 0 a few bytes could keep a node busy for hours. */
static inline bool tf_check_reduction(const tf_call_t *call) {
    const tf_mean_params_t *const p = call->params;
    uint64_t kept = 1;
    uint64_t reduced = 1;
    uint64_t reach = 0;
    return tf_check_axes(p->kept_size, p->kept_stride, &kept, &reach) &&
           tf_check_axes(p->reduced_size, p->reduced_stride, &reduced, &reach) &&
           reach < tf_elements(tf_operand(call, 0)) && kept == tf_elements(tf_operand(call, 1)) &&
           kept * reduced == tf_elements(tf_operand(call, 0));
}

#endif
