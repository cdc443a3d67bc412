/* L2_NORMALIZATION over the last axis; the output is in 1/128. Reference: integer_ops/l2normalization.h and
 * GetInvSqrtQuantizedMultiplierExp in internal/common.h. */
#include "../../fixed_point.h"
#include "../../kernel.h"

enum { OUTPUT_SHIFT = 7, NEWTON_STEPS = 5 };

static bool check(const tf_call_t *call) {
    const tf_l2_normalization_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    return p->depth > 0 && p->depth <= TF_L2_DEPTH_MAX && tf_elements(x) % p->depth == 0 &&
           tf_elements(x) == tf_elements(tf_operand(call, 1)) && p->input_zero >= INT8_MIN &&
           p->input_zero <= INT8_MAX;
}

/* A row is summed before it is written, and then read and written value by value. */
static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)call;
    return input == 0;
}

/* 1 / sqrt(sum) as multiplier x 2^shift; of 0 as of 1. */
static int32_t inverse_root(int32_t sum, int32_t *shift) {
    *shift = 0;
    if (sum <= 1) return INT32_MAX;
    int32_t right = 11;
    while (sum >= 1 << 29) {
        sum /= 4;
        right++;
    }
    const int32_t pairs = (tf_leading_zeros((uint32_t)sum) - 1) / 2 - 1;
    right -= pairs;
    const int32_t half = (int32_t)((uint32_t)sum << 2 * pairs) >> 1; /* Q3.28 */
    const int32_t half_input = tf_round_shift(half, 1);
    const int32_t three_halves = (1 << 28) + (1 << 27);
    const int32_t half_root_of_two = 1518500250;
    int32_t x = 1 << 28;
    for (uint32_t i = 0; i < NEWTON_STEPS; i++) {
        const int32_t cube = tf_saturating_shift(tf_high_mul(tf_high_mul(x, x), x), 6);
        x = tf_saturating_shift(tf_wrap_add(tf_high_mul(three_halves, x), -tf_high_mul(half_input, cube)), 3);
    }
    x = tf_high_mul(x, half_root_of_two);
    if (right < 0) {
        x = (int32_t)((uint32_t)x << -right);
        right = 0;
    }
    *shift = -right;
    return x;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_l2_normalization_params_t *const p = call->params;
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    const int8_t *const end = input + tf_elements(tf_operand(call, 0));
    for (; input != end; input += p->depth, output += p->depth) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < p->depth; i++) {
            const int32_t value = input[i] - p->input_zero;
            sum += value * value;
        }
        int32_t shift;
        const int32_t multiplier = inverse_root(sum, &shift);
        for (uint32_t i = 0; i < p->depth; i++) {
            const int32_t scaled = tf_rescale(input[i] - p->input_zero, multiplier, shift + OUTPUT_SHIFT);
            output[i] = (int8_t)tf_clamp(scaled, INT8_MIN, INT8_MAX);
        }
    }
}

const tf_kernel_t tf_kernel_l2_normalization = {
    .code = TF_OP_L2_NORMALIZATION,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_l2_normalization_params_t),
    .check = check,
    .in_place = in_place,
    .run = run,
};
