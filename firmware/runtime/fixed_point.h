/* gemmlowp's fixedpoint.h, as far as kernels use it. Qm.n: m integer bits, n fractional. */
#ifndef TF_FIXED_POINT_H
#define TF_FIXED_POINT_H

#include "quant.h"

/* x x 2^exponent, saturating; exponent 0..30. */
static inline int32_t tf_saturating_shift(int32_t x, int32_t exponent) {
    const int32_t limit = (int32_t)((1u << (31 - exponent)) - 1u);
    if (x > limit) return INT32_MAX;
    if (x < -limit) return INT32_MIN;
    return (int32_t)((uint32_t)x << exponent);
}

enum { TF_EXP_INTEGER_BITS = 5 };

/* e^a for a <= 0 in Q5.26; the result is Q0.31. */
int32_t tf_exp_negative(int32_t a);

/* 1 / (1 + a) for a in [0, 1), Q0.31: three Newton steps in Q2.29. */
int32_t tf_reciprocal_of_one_plus(int32_t a);

/* Of 0: 32. */
int32_t tf_leading_zeros(uint32_t x);

#endif
