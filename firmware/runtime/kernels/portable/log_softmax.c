/* LOG_SOFTMAX in fixed point. Reference: tensorflow/lite/kernels/internal/reference/log_softmax.h
 * (LogSoftmaxQuantized) over internal/common.h (log_x_for_x_greater_than_or_equal_to_1). */
#include "../../fixed_point.h"
#include "../../kernel.h"

enum { SUM_INTEGER_BITS = 12, LOG_INTEGER_BITS = 6, OUTPUT_SHIFT = 31 - TF_EXP_INTEGER_BITS - 4 };

static bool check(const tf_call_t *call) {
    const tf_log_softmax_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    return p->depth > 0 && p->depth <= TF_SOFTMAX_DEPTH_MAX && tf_elements(x) % p->depth == 0 &&
           tf_elements(x) == tf_elements(tf_operand(call, 1)) && p->multiplier >= 0 && p->left_shift >= 0 &&
           p->left_shift <= 31 && p->diff_min > INT32_MIN && p->reverse_shift <= 0 &&
           tf_is_multiplier(p->reverse_multiplier, p->reverse_shift);
}

/* Row by row, each value is read before it is written. */
static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)call;
    return input == 0;
}

static int32_t saturated(int64_t x) {
    return x > INT32_MAX ? INT32_MAX : (x < INT32_MIN ? INT32_MIN : (int32_t)x);
}

/* Power of two of a value with this headroom, less a quarter or more by it, Q6.25. */
static int32_t power(int32_t headroom, int32_t quarter) {
    const int32_t whole = tf_saturating_shift(SUM_INTEGER_BITS - headroom, 31 - LOG_INTEGER_BITS);
    return saturated((int64_t)whole + quarter);
}

/* ln x for x >= 1 in Q12.19; the result is Q5.26. The fraction is brought to [sqrt(1/2), 1) from two sides,
 * and the side whose power is larger counts. */
static int32_t log_of(int32_t x) {
    const int32_t log_2 = 1488522236;
    const int32_t fourth_root_half = 1805811301;
    const int32_t root_half = 1518500250;
    const int32_t alpha_n = 117049297;
    const int32_t alpha_d = 127690142;
    const int32_t alpha_i = 1057819769;
    const int32_t alpha_f = 638450708;
    const int32_t quarter = 1 << (31 - LOG_INTEGER_BITS - 2);

    const int32_t a_zeros = tf_leading_zeros((uint32_t)x);
    const int32_t a_full = tf_saturating_shift(x, a_zeros - 1);
    const int32_t a = tf_saturating_shift(tf_high_mul(a_full, root_half), 1);
    const int32_t b_zeros = tf_leading_zeros((uint32_t)tf_high_mul(x, root_half)) - 1;
    const int32_t b = tf_saturating_shift(x, b_zeros);
    const int32_t a_power = power(a_zeros, quarter);
    const int32_t b_power = power(b_zeros, -quarter);
    const int32_t r = a < b ? a : b;
    const int32_t exponent = a_power > b_power ? a_power : b_power;

    const int64_t both = (int64_t)r + fourth_root_half;
    const int32_t p = (int32_t)((both + (both >= 0 ? 1 : -1)) / 2);
    const int32_t gap = tf_wrap_add(r, -fourth_root_half);
    const int32_t q = tf_wrap_add(gap, gap);
    const int32_t q2 = tf_high_mul(q, q);
    const int32_t numerator = tf_wrap_add(tf_high_mul(q, r), tf_high_mul(tf_high_mul(q, q2), alpha_n));
    const int32_t inner = tf_wrap_add(tf_wrap_add(alpha_i, q), tf_high_mul(alpha_d, q2));
    const int32_t denominator = tf_wrap_add(tf_high_mul(p, inner), tf_high_mul(alpha_f, q));
    const int32_t fraction =
        tf_high_mul(tf_round_shift(numerator, LOG_INTEGER_BITS), tf_reciprocal_of_one_plus(denominator));
    return tf_saturating_shift(tf_wrap_add(tf_high_mul(exponent, log_2), fraction), 1);
}

static int32_t scaled(const tf_log_softmax_params_t *p, int32_t difference) {
    return tf_high_mul((int32_t)((uint32_t)difference << p->left_shift), p->multiplier);
}

static void row(const tf_log_softmax_params_t *p, const int8_t *input, int8_t *output) {
    int32_t top = INT8_MIN;
    for (uint32_t i = 0; i < p->depth; i++) top = input[i] > top ? input[i] : top;
    int32_t sum = 0; /* Q12.19 */
    for (uint32_t i = 0; i < p->depth; i++) {
        const int32_t difference = input[i] - top;
        if (difference < p->diff_min) continue;
        sum = tf_wrap_add(sum, tf_round_shift(tf_exp_negative(scaled(p, difference)), SUM_INTEGER_BITS));
    }
    /* A plan from outside may have scales that sum to nothing. */
    const int32_t log_sum = log_of(sum > 0 ? sum : 1);
    const int32_t least =
        tf_rescale(tf_wrap_add(log_sum, INT32_MIN), p->reverse_multiplier, p->reverse_shift);
    const int32_t below = least >= p->diff_min ? least : p->diff_min - 1;
    for (uint32_t i = 0; i < p->depth; i++) {
        const int32_t difference = input[i] - top;
        int32_t value = INT8_MIN;
        if (difference > below) {
            const int32_t log_share = tf_wrap_add(scaled(p, difference), -log_sum);
            value = tf_clamp(tf_round_shift(log_share, OUTPUT_SHIFT) + INT8_MAX, INT8_MIN, INT8_MAX);
        }
        output[i] = (int8_t)value;
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_log_softmax_params_t *const p = call->params;
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    const int8_t *const end = input + tf_elements(tf_operand(call, 0));
    for (; input != end; input += p->depth, output += p->depth) row(p, input, output);
}

const tf_kernel_t tf_kernel_log_softmax = {
    .code = TF_OP_LOG_SOFTMAX,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_log_softmax_params_t),
    .check = check,
    .in_place = in_place,
    .run = run,
};
