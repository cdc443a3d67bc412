#include "fixed_point.h"

int32_t tf_reciprocal_of_one_plus(int32_t a) {
    const int32_t c48_over_17 = 1515870810;
    const int32_t minus_c32_over_17 = -1010580540;
    const int32_t one_q2 = 1 << 29;
    const int64_t doubled = (int64_t)a + INT32_MAX;
    const int32_t half = (int32_t)((doubled + 1) / 2);
    int32_t x = tf_wrap_add(c48_over_17, tf_high_mul(half, minus_c32_over_17));
    for (uint32_t i = 0; i < 3; i++) {
        const int32_t error = tf_wrap_add(one_q2, -tf_high_mul(half, x));
        x = tf_wrap_add(x, tf_saturating_shift(tf_high_mul(x, error), 2));
    }
    return tf_saturating_shift(x, 1);
}

int32_t tf_leading_zeros(uint32_t x) {
    int32_t zeros = 0;
    for (uint32_t bit = 1u << 31; bit != 0 && (x & bit) == 0; bit >>= 1) zeros++;
    return zeros;
}

enum { EXP_FRACTION_BITS = 31 - TF_EXP_INTEGER_BITS };

/* e^a for a in [-1/4, 0), Q0.31: a Taylor series around -1/8. */
static int32_t exp_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t x = tf_wrap_add(a, 1 << 28);
    const int32_t x2 = tf_high_mul(x, x);
    const int32_t x3 = tf_high_mul(x2, x);
    const int32_t x4 = tf_high_mul(x2, x2);
    const int32_t high = tf_high_mul(tf_wrap_add(tf_round_shift(x4, 2), x3), third);
    const int32_t series = tf_round_shift(tf_wrap_add(high, x2), 1);
    return tf_wrap_add(exp_minus_eighth, tf_high_mul(tf_wrap_add(x, series), exp_minus_eighth));
}

int32_t tf_exp_negative(int32_t a) {
    /* e^-(2^k) for k = -2..4 */
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0) return INT32_MAX;
    const int32_t quarter = 1 << (EXP_FRACTION_BITS - 2);
    const int32_t part = (a & (quarter - 1)) - quarter;
    const uint32_t remainder = (uint32_t)part - (uint32_t)a;
    int32_t result = exp_quarter(tf_saturating_shift(part, TF_EXP_INTEGER_BITS));
    for (uint32_t k = 0; k < sizeof(factors) / sizeof(factors[0]); k++) {
        if (remainder & (1u << (EXP_FRACTION_BITS - 2 + k))) result = tf_high_mul(result, factors[k]);
    }
    return result;
}
