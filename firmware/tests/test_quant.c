/* The runtime's arithmetic against its definitions (tensorflow/lite/kernels/internal/common.cc, gemmlowp's
 * fixedpoint.h), for cores with a long multiply and without. */
#include "../runtime/quant.h"

#include "check.h"
#include "random.h"

enum { ROUNDS = 200000 };

static const int32_t edges[] = {0,          1,           -1,         2,          -2,          0x7FFF,
                                0x8000,     -0x7FFF,     -0x8000,    -0x8001,    0xFFFF,      0x10000,
                                0x17FFF,    0x18000,     1 << 30,    -(1 << 30), 0x3FFF8000,  INT32_MAX,
                                -INT32_MAX, INT32_MIN,   0x7FFF8000, 0x7FFF7FFF, -0x7FFF8000, -0x7FFF8001,
                                0x55555555, -0x55555555, 0x40008000, 0x7FFFBFFF};
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

/* SaturatingRoundingDoublingHighMul, without the case that saturates. */
static int32_t defined_high_mul(int32_t a, int32_t b) {
    const int64_t product = (int64_t)a * b;
    const int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    return (int32_t)((product + nudge) / ((int64_t)1 << 31));
}

/* RoundingDivideByPOT */
static int32_t defined_round(int32_t x, int32_t exponent) {
    const int64_t half = exponent == 0 ? 0 : (int64_t)1 << (exponent - 1);
    const int64_t magnitude = ((x < 0 ? -(int64_t)x : x) + half) >> exponent;
    return (int32_t)(x < 0 ? -magnitude : magnitude);
}

static void check_high_mul(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN) return;
    CHECK_EQUAL(tf_high_mul_long(a, b), defined_high_mul(a, b));
    CHECK_EQUAL(tf_high_mul_halves(a, b), defined_high_mul(a, b));
}

static void test_a_high_multiply_of_halves_is_that_of_the_whole(void) {
    for (uint32_t i = 0; i < EDGES * EDGES; i++) check_high_mul(edges[i / EDGES], edges[i % EDGES]);
    uint32_t state = 1;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const int32_t a = (int32_t)random_next(&state) >> random_next(&state) % 24;
        check_high_mul(a, (int32_t)random_next(&state));
        check_high_mul(a, edges[i % EDGES]);
    }
}

static void test_a_byte_is_scaled_as_a_word(void) {
    uint32_t state = 2;
    for (int32_t x = -255; x <= 255; x++) {
        for (uint32_t i = 0; i < 200; i++) {
            const int32_t b = (int32_t)(i < EDGES ? (uint32_t)edges[i] : random_next(&state)) & INT32_MAX;
            const int32_t expected = defined_high_mul(x * (1 << 20), b);
            CHECK_EQUAL(tf_byte_mul_long(x, b), expected);
            CHECK_EQUAL(tf_byte_mul_halves(x, b), expected);
        }
    }
}

static void test_halves_are_rounded_away_from_zero(void) {
    uint32_t state = 3;
    for (int32_t exponent = 0; exponent <= 31; exponent++) {
        for (uint32_t i = 0; i < 2000; i++) {
            int32_t x = (int32_t)random_next(&state) >> random_next(&state) % 32;
            if (i < EDGES) x = edges[i];
            if (i % 3 == 0 && exponent > 0)
                x = (int32_t)((uint32_t)x >> exponent << exponent | 1u << (exponent - 1));
            CHECK_EQUAL(tf_round_shift(x, exponent), defined_round(x, exponent));
            const int32_t small = x >> 2;
            CHECK_EQUAL(tf_round_right(small, exponent), defined_round(small, exponent));
        }
    }
}

static void test_a_value_is_rounded_twice(void) {
    uint32_t state = 4;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const int32_t x = (int32_t)random_next(&state) >> random_next(&state) % 32;
        const int32_t multiplier = (int32_t)(random_next(&state) >> 1);
        const int32_t shift = (int32_t)(random_next(&state) % 62) - 31;
        const int32_t left = shift > 0 ? shift : 0;
        const int32_t high = defined_high_mul((int32_t)((uint32_t)x << left), multiplier);
        CHECK_EQUAL(tf_rescale(x, multiplier, shift), defined_round(high, left - shift));
    }
}

int main(void) {
    RUN(test_a_high_multiply_of_halves_is_that_of_the_whole);
    RUN(test_a_byte_is_scaled_as_a_word);
    RUN(test_halves_are_rounded_away_from_zero);
    RUN(test_a_value_is_rounded_twice);
    return 0;
}
