/* Inner products of int8 rows. Sums wrap modulo 2^32, as quant.h says. */
#ifndef TF_DOT_H
#define TF_DOT_H

#include <stdint.h>

#include "../../quant.h"

enum { TF_DOT_ROWS = 4 };

static inline int32_t tf_dot(int32_t sum, const int8_t *a, const int8_t *b, uint32_t count) {
    uint32_t total = (uint32_t)sum;
    const int8_t *const end = a + count;
    while (a != end) total += (uint32_t)(*a++ * *b++);
    return (int32_t)total;
}

/* Adds the products of `values` with each of four rows, `pitch` apart, to the row's sum. */
static inline void tf_dot_rows(int32_t sums[TF_DOT_ROWS], const int8_t *rows, uint32_t pitch,
                               const int8_t *values, uint32_t count) {
    uint32_t s0 = (uint32_t)sums[0];
    uint32_t s1 = (uint32_t)sums[1];
    uint32_t s2 = (uint32_t)sums[2];
    uint32_t s3 = (uint32_t)sums[3];
    for (uint32_t i = 0; i < count; i++) {
        const int32_t value = values[i];
        const int8_t *const weight = rows + i;
        s0 += (uint32_t)(weight[0] * value);
        s1 += (uint32_t)(weight[pitch] * value);
        s2 += (uint32_t)(weight[2 * pitch] * value);
        s3 += (uint32_t)(weight[3 * pitch] * value);
    }
    sums[0] = (int32_t)s0;
    sums[1] = (int32_t)s1;
    sums[2] = (int32_t)s2;
    sums[3] = (int32_t)s3;
}

#endif
