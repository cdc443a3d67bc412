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
