/* SOFTMAX in fixed point. Reference: tensorflow/lite/kernels/internal/reference/softmax.h over gemmlowp's
 * fixedpoint.h (exp_on_negative_values, one_over_one_plus_x_for_x_in_0_1). Qm.n below: m integer bits, n
 * fractional. */
#include "../../fixed_point.h"
#include "../../kernel.h"

enum { SUM_INTEGER_BITS = 12, INPUT_FRACTION_BITS = 26 };

static bool check(const tf_call_t *call) {
    const tf_softmax_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    return p->depth > 0 && p->depth <= TF_SOFTMAX_DEPTH_MAX && tf_elements(x) % p->depth == 0 &&
           tf_elements(x) == tf_elements(tf_operand(call, 1)) && p->multiplier >= 0 && p->left_shift >= 0 &&
           p->left_shift <= 31;
}

/* Row by row, each value is read before it is written. */
static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)call;
    return input == 0;
}

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

/* e^a for a <= 0 in Q5.26; the result is Q0.31. */
static int32_t exp_negative(int32_t a) {
    /* e^-(2^k) for k = -2..4 */
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0) return INT32_MAX;
    const int32_t quarter = 1 << (INPUT_FRACTION_BITS - 2);
    const int32_t part = (a & (quarter - 1)) - quarter;
    const uint32_t remainder = (uint32_t)part - (uint32_t)a;
    int32_t result = exp_quarter(tf_saturating_shift(part, 5));
    for (uint32_t k = 0; k < sizeof(factors) / sizeof(factors[0]); k++) {
        if (remainder & (1u << (INPUT_FRACTION_BITS - 2 + k))) result = tf_high_mul(result, factors[k]);
    }
    return result;
}

static int32_t scaled_difference(const tf_softmax_params_t *p, int32_t difference) {
    return tf_high_mul((int32_t)((uint32_t)difference << p->left_shift), p->multiplier);
}

static void row(const tf_softmax_params_t *p, const int8_t *input, int8_t *output) {
    int32_t top = INT8_MIN;
    for (uint32_t i = 0; i < p->depth; i++) top = input[i] > top ? input[i] : top;
    int32_t sum = 0; /* Q12.19 */
    for (uint32_t i = 0; i < p->depth; i++) {
        const int32_t difference = input[i] - top;
        if (difference < p->diff_min) continue;
        sum = tf_wrap_add(sum,
                          tf_round_shift(exp_negative(scaled_difference(p, difference)), SUM_INTEGER_BITS));
    }
    const int32_t zeros = tf_leading_zeros((uint32_t)sum);
    const uint32_t fraction = zeros > 31 ? 0 : ((uint32_t)sum << zeros) - (1u << 31);
    const int32_t scale = tf_reciprocal_of_one_plus((int32_t)fraction);
    /* 23..35: at most zeros = 12, for the largest value alone adds 2^19. Where TFLM would abort (above 31, a
     * sum of more than 512) every share rounds to 0. */
    const int32_t exponent = SUM_INTEGER_BITS - zeros + 31 - 8;
    for (uint32_t i = 0; i < p->depth; i++) {
        const int32_t difference = input[i] - top;
        int32_t value = INT8_MIN;
        if (difference >= p->diff_min) {
            const int32_t share = tf_high_mul(scale, exp_negative(scaled_difference(p, difference)));
            const int32_t rounded = exponent > 31 ? 0 : tf_round_shift(share, exponent);
            value = tf_clamp(rounded + INT8_MIN, INT8_MIN, INT8_MAX);
        }
        output[i] = (int8_t)value;
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_softmax_params_t *const p = call->params;
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    const int8_t *const end = input + tf_elements(tf_operand(call, 0));
    for (; input != end; input += p->depth, output += p->depth) row(p, input, output);
}

const tf_kernel_t tf_kernel_softmax = {
    .code = TF_OP_SOFTMAX,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_softmax_params_t),
    .check = check,
    .in_place = in_place,
    .run = run,
};
