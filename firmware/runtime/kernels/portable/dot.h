/* Inner products of int8 rows. Sums wrap modulo 2^32, as quant.h says. */
#ifndef TF_DOT_H
#define TF_DOT_H

#include <stdint.h>

#include "../../quant.h"

static inline int32_t tf_dot(int32_t sum, const int8_t *a, const int8_t *b, uint32_t count) {
    uint32_t total = (uint32_t)sum;
    const int8_t *const unrolled = a + (count & ~3u);
    const int8_t *const end = a + count;
    while (a != unrolled) {
        total += (uint32_t)(a[0] * b[0]);
        total += (uint32_t)(a[1] * b[1]);
        total += (uint32_t)(a[2] * b[2]);
        total += (uint32_t)(a[3] * b[3]);
        a += 4;
        b += 4;
    }
    while (a != end) total += (uint32_t)(*a++ * *b++);
    return (int32_t)total;
}

/* Sum of a row of weights: what taps in the padding contribute, times the input's zero point. */
static inline int32_t tf_sum(int32_t sum, const int8_t *a, uint32_t count) {
    const int8_t *const end = a + count;
    while (a != end) sum = tf_wrap_add(sum, *a++);
    return sum;
}

#endif
