/* What the signal kernels share: operands of several widths. */
#ifndef TF_SIGNAL_H
#define TF_SIGNAL_H

#include "../../kernel.h"
#include "../../plan_signal.h"

/* Whether operand i holds `elements` values of this type. */
static inline bool tf_holds(const tf_call_t *call, uint32_t i, tf_dtype_t dtype, uint32_t elements) {
    const tf_tensor_t *const t = tf_operand(call, i);
    return t->dtype == dtype && tf_elements(t) == elements;
}

/* The last dim, and how many rows of it a tensor has. A scalar is one row of one. */
static inline uint32_t tf_row(const tf_tensor_t *tensor) {
    return tensor->rank == 0 ? 1 : tensor->dims[tensor->rank - 1];
}

static inline uint32_t tf_rows(const tf_tensor_t *tensor) {
    return tf_elements(tensor) / tf_row(tensor);
}

/* Bits up to and including the highest one that is set: 1..32. Of 0 it is 32, as in signal/src/msb_32.cc
 * where the compiler is GCC. */
static inline uint32_t tf_top_bit(uint32_t x) {
    return x == 0 ? 32 : 32 - (uint32_t)__builtin_clz(x);
}

static inline int16_t tf_clamp16(int32_t x) {
    return (int16_t)(x < INT16_MIN ? INT16_MIN : (x > INT16_MAX ? INT16_MAX : x));
}

#endif
