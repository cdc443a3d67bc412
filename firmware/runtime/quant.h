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
 * same number. Its one saturating case (both INT32_MIN) must not arise. */
static inline int32_t tf_high_mul_long(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* The same of halves, the lower ones signed, for cores without a long multiply: nothing overflows. */
static inline int32_t tf_high_mul_halves(int32_t a, int32_t b) {
    const int32_t a_low = (int16_t)a;
    const int32_t a_high = ((a >> 15) + 1) >> 1;
    const int32_t b_low = (int16_t)b;
    const int32_t b_high = ((b >> 15) + 1) >> 1;
    const int32_t middle = a_high * b_low + a_low * b_high + (a_low * b_low >> 16);
    return (int32_t)((uint32_t)(a_high * b_high) * 2u + (uint32_t)((middle + (1 << 14)) >> 15));
}

/* tf_high_mul(x << 20, b) for |x| <= 255, b >= 0. */
static inline int32_t tf_byte_mul_long(int32_t x, int32_t b) {
    return (int32_t)(((int64_t)(x * (1 << 21)) * b + ((int64_t)1 << 31)) >> 32);
}

static inline int32_t tf_byte_mul_halves(int32_t x, int32_t b) {
    return x * (b >> 16) * 32 + ((x * (int32_t)(uint16_t)b + (1 << 10)) >> 11);
}

/* Armv6-M and Armv8-M Baseline multiply 32 bits by 32 to 32. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define tf_high_mul tf_high_mul_halves
#define tf_byte_mul tf_byte_mul_halves
#else
#define tf_high_mul tf_high_mul_long
#define tf_byte_mul tf_byte_mul_long
#endif

/* x / 2^exponent, halves away from zero; exponent 0..31. */
static inline int32_t tf_round_shift(int32_t x, int32_t exponent) {
    const int32_t mask = (int32_t)((1u << exponent) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + ((x & mask) > threshold);
}

/* MultiplyByQuantizedMultiplier: rounds twice, and both roundings show in the result. multiplier >= 0, shift
 * -31..30. */
static inline int32_t tf_rescale(int32_t x, int32_t multiplier, int32_t shift) {
    if (shift >= 0) return tf_high_mul((int32_t)((uint32_t)x << shift), multiplier);
    const int32_t high = tf_high_mul(x, multiplier); /* above INT32_MIN, as the multiplier is not negative */
    return (((high + (high >> 31)) >> (-shift - 1)) + 1) >> 1;
}

/* x / 2^right, halves away from zero; |x| < 2^30, right 0..31. */
static inline int32_t tf_round_right(int32_t x, int32_t right) {
    return (((2 * x + (x >> 31)) >> right) + 1) >> 1;
}

static inline int32_t tf_clamp(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : (x > high ? high : x);
}

#endif
