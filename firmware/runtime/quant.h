/* Integer arithmetic of the quantised ops, as TFLM defines it (tensorflow/lite/kernels/internal/common.cc).
 *
 * Sums and left shifts wrap modulo 2^32: a plan from outside may hold any table, and signed overflow would be
 * undefined. */
#ifndef TF_QUANT_H
#define TF_QUANT_H

#include <stdint.h>

#define TF_SHIFT_MIN (-31)
#define TF_SHIFT_MAX 30

static inline int32_t tf_wrap_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t tf_wrap_mul(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

/* a x b / 2^31, halves up. gemmlowp divides towards zero after a nudge that depends on the sign; that is the
 * same number. Its one saturating case (both INT32_MIN) cannot arise where b >= 0. */
static inline int32_t tf_high_mul(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^exponent, halves away from zero; exponent 0..31. */
static inline int32_t tf_round_shift(int32_t x, int32_t exponent) {
    const int32_t mask = (int32_t)((1u << exponent) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + ((x & mask) > threshold);
}

/* MultiplyByQuantizedMultiplier: rounds twice, and both roundings show in the result. multiplier >= 0, shift
 * -31..30. */
static inline int32_t tf_rescale(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return tf_round_shift(tf_high_mul((int32_t)((uint32_t)x << left), multiplier), right);
}

static inline int32_t tf_clamp(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : (x > high ? high : x);
}

#endif
