/* SOFTMAX in fixed point. Reference: tensorflow/lite/kernels/internal/reference/softmax.h. */
#include "../../fixed_point.h"
#include "../../kernel.h"

enum { SUM_INTEGER_BITS = 12 };

/* The output may be int16, in 1/65536. */
static bool is_wide(const tf_call_t *call) {
    return tf_operand(call, 1)->dtype == TF_INT16;
}

static bool check(const tf_call_t *call) {
    const tf_softmax_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    return p->depth > 0 && p->depth <= TF_SOFTMAX_DEPTH_MAX && tf_elements(x) % p->depth == 0 &&
           tf_elements(x) == tf_elements(tf_operand(call, 1)) && p->multiplier >= 0 && p->left_shift >= 0 &&
           p->left_shift <= 31 && x->dtype == TF_INT8 &&
           (is_wide(call) || tf_operand(call, 1)->dtype == TF_INT8);
}

/* Row by row, each value is read before it is written. */
static bool in_place(const tf_call_t *call, uint32_t input) {
    return input == 0 && !is_wide(call);
}

static int32_t scaled_difference(const tf_softmax_params_t *p, int32_t difference) {
    return tf_high_mul((int32_t)((uint32_t)difference << p->left_shift), p->multiplier);
}

/* Shares of a row in 1 / 2^bits, counted from `low`, into an int8 or an int16 output. */
static void row(const tf_softmax_params_t *p, const int8_t *input, int8_t *output, int16_t *wide) {
    const int32_t bits = wide == 0 ? 8 : 16;
    const int32_t low = wide == 0 ? INT8_MIN : INT16_MIN;
    const int32_t high = wide == 0 ? INT8_MAX : INT16_MAX;
    int32_t top = INT8_MIN;
    for (uint32_t i = 0; i < p->depth; i++) top = input[i] > top ? input[i] : top;
    int32_t sum = 0; /* Q12.19 */
    for (uint32_t i = 0; i < p->depth; i++) {
        const int32_t difference = input[i] - top;
        if (difference < p->diff_min) continue;
        sum = tf_wrap_add(
            sum, tf_round_shift(tf_exp_negative(scaled_difference(p, difference)), SUM_INTEGER_BITS));
    }
    const int32_t zeros = tf_leading_zeros((uint32_t)sum);
    const uint32_t fraction = zeros > 31 ? 0 : ((uint32_t)sum << zeros) - (1u << 31);
    const int32_t scale = tf_reciprocal_of_one_plus((int32_t)fraction);
    /* 23..35 for int8: at most zeros = 12, for the largest value alone adds 2^19. Where TFLM would abort
     * (above 31, a sum of more than 512) every share rounds to 0. Below 0 only where a broken plan makes sums
     * wrap. */
    const int32_t exponent = SUM_INTEGER_BITS - zeros + 31 - bits;
    for (uint32_t i = 0; i < p->depth; i++) {
        const int32_t difference = input[i] - top;
        int32_t value = low;
        if (difference >= p->diff_min) {
            const int32_t share = tf_high_mul(scale, tf_exp_negative(scaled_difference(p, difference)));
            const int32_t rounded = exponent > 31 || exponent < 0 ? 0 : tf_round_shift(share, exponent);
            value = tf_clamp(tf_wrap_add(rounded, low), low, high);
        }
        if (wide == 0) {
            output[i] = (int8_t)value;
        } else {
            wide[i] = (int16_t)value;
        }
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_softmax_params_t *const p = call->params;
    const int8_t *const input = tf_read(call, 0, arena);
    int8_t *const output = tf_write(call, 1, arena);
    int16_t *const wide = is_wide(call) ? tf_write(call, 1, arena) : 0;
    const uint32_t elements = tf_elements(tf_operand(call, 0));
    for (uint32_t at = 0; at < elements; at += p->depth) {
        row(p, input + at, output + at, wide == 0 ? 0 : wide + at);
    }
}

const tf_kernel_t tf_kernel_softmax = {
    .code = TF_OP_SOFTMAX,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_softmax_params_t),
    .own_dtypes = true,
    .check = check,
    .in_place = in_place,
    .run = run,
};
