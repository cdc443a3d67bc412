/* SUB, MUL, DIV, MAXIMUM, MINIMUM, PRELU and SQUARED_DIFFERENCE with broadcasting. References: sub.h,
 * integer_ops/mul.h, div.h, maximum_minimum.h, prelu.h, micro/kernels/squared_difference.cc. */
#include "../../fixed_point.h"
#include "../../kernel.h"
#include "../../strides.h"

static bool check(const tf_call_t *call) {
    const tf_add_params_t *const p = call->params;
    if (tf_walk_elements(p->size) != tf_elements(tf_operand(call, 2))) return false;
    return tf_walk_stays_inside(p->size, p->a_stride, 0, tf_elements(tf_operand(call, 0))) &&
           tf_walk_stays_inside(p->size, p->b_stride, 0, tf_elements(tf_operand(call, 1))) &&
           tf_is_multiplier(p->a_multiplier, p->a_shift) && tf_is_multiplier(p->b_multiplier, p->b_shift) &&
           tf_is_multiplier(p->out_multiplier, p->out_shift) && p->left_shift >= 0 && p->left_shift <= 20 &&
           tf_is_activation(p->a_zero, p->act_min, p->act_max) &&
           tf_is_activation(p->b_zero, p->act_min, p->act_max) &&
           tf_is_activation(p->out_zero, p->act_min, p->act_max);
}

/* So that `divide` shifts to the right, by less than 64. */
static bool check_div(const tf_call_t *call) {
    const tf_add_params_t *const p = call->params;
    return p->out_shift >= -TF_DIV_SHIFT_MAX && p->out_shift <= TF_DIV_SHIFT_MAX && check(call);
}

static bool in_place(const tf_call_t *call, uint32_t input) {
    const tf_add_params_t *const p = call->params;
    return tf_walk_is_plain(p->size, input == 0 ? p->a_stride : p->b_stride);
}

typedef int32_t (*combine_t)(const tf_add_params_t *p, int32_t a, int32_t b);

static int32_t finish(const tf_add_params_t *p, int32_t value) {
    const int32_t scaled = tf_rescale(value, p->out_multiplier, p->out_shift);
    return tf_clamp(tf_wrap_add(scaled, p->out_zero), p->act_min, p->act_max);
}

/* a - b, both on one scale that is finer than either. */
static int32_t difference(const tf_add_params_t *p, int32_t a, int32_t b) {
    const int32_t a_wide = (int32_t)((uint32_t)(a - p->a_zero) << p->left_shift);
    const int32_t b_wide = (int32_t)((uint32_t)(b - p->b_zero) << p->left_shift);
    return (int32_t)((uint32_t)tf_rescale(a_wide, p->a_multiplier, p->a_shift) -
                     (uint32_t)tf_rescale(b_wide, p->b_multiplier, p->b_shift));
}

static int32_t subtract(const tf_add_params_t *p, int32_t a, int32_t b) {
    return finish(p, difference(p, a, b));
}

static int32_t square_difference(const tf_add_params_t *p, int32_t a, int32_t b) {
    const int32_t distance = difference(p, a, b);
    return finish(p, tf_wrap_mul(distance, distance));
}

static int32_t multiply(const tf_add_params_t *p, int32_t a, int32_t b) {
    return finish(p, (a - p->a_zero) * (b - p->b_zero));
}

/* RoundingDivideByPOT as x86-64 computes it beyond 31, where C leaves it undefined: a quotient near 0 gets
 * there, and a dividend of 0 gives 1. */
static int32_t round_far_shift(int32_t x, int32_t exponent) {
    if (exponent <= 31) return tf_round_shift(x, exponent);
    return (x >> (exponent & 31)) + (x >= 0);
}

/* a / b by the reciprocal of b's distance from its zero point, 1..255. A division by zero is undefined in the
 * reference; here it is the largest value. */
static int32_t divide(const tf_add_params_t *p, int32_t a, int32_t b) {
    int32_t dividend = a - p->a_zero;
    int32_t divisor = b - p->b_zero;
    if (divisor == 0) return p->act_max;
    if (divisor < 0) {
        dividend = -dividend;
        divisor = -divisor;
    }
    const int32_t zeros = tf_leading_zeros((uint32_t)divisor);
    const int32_t inverse = tf_reciprocal_of_one_plus((int32_t)(((uint32_t)divisor << zeros) - (1u << 31)));
    const int32_t room = tf_leading_zeros((uint32_t)(dividend < 0 ? ~dividend : dividend)) - 1; /* 23..31 */
    const int32_t quotient = tf_high_mul((int32_t)((uint32_t)dividend << room), inverse);
    const int32_t right = 31 - zeros + room - p->out_shift;
    const int32_t rounded = round_far_shift(tf_high_mul(quotient, p->out_multiplier), right);
    return tf_clamp(tf_wrap_add(rounded, p->out_zero), p->act_min, p->act_max);
}

static int32_t maximum(const tf_add_params_t *p, int32_t a, int32_t b) {
    (void)p;
    return a > b ? a : b;
}

static int32_t minimum(const tf_add_params_t *p, int32_t a, int32_t b) {
    (void)p;
    return a < b ? a : b;
}

/* b is the slope of negative values. */
static int32_t rectify(const tf_add_params_t *p, int32_t a, int32_t b) {
    const int32_t value = a - p->a_zero;
    if (value < 0) return finish(p, value * (b - p->b_zero));
    const int32_t scaled = tf_rescale(value, p->a_multiplier, p->a_shift);
    return tf_clamp(tf_wrap_add(scaled, p->out_zero), p->act_min, p->act_max);
}

static void combine(const tf_call_t *call, uint8_t *arena, combine_t one) {
    const tf_add_params_t *const p = call->params;
    const int8_t *const a = tf_read(call, 0, arena);
    const int8_t *const b = tf_read(call, 1, arena);
    int8_t *output = tf_write(call, 2, arena);
    const uint32_t a_step = p->a_stride[TF_LAST_AXIS];
    const uint32_t b_step = p->b_stride[TF_LAST_AXIS];
    tf_walk_t walk = {p->size, p->a_stride, p->b_stride, 0, 0, {0}};
    do {
        uint32_t a_at = walk.x;
        uint32_t b_at = walk.y;
        for (uint32_t i = 0; i < p->size[TF_LAST_AXIS]; i++, a_at += a_step, b_at += b_step) {
            *output++ = (int8_t)one(p, a[a_at], b[b_at]);
        }
    } while (tf_walk_on(&walk));
}

static void run_sub(const tf_call_t *call, uint8_t *arena) {
    combine(call, arena, subtract);
}

static void run_squared_difference(const tf_call_t *call, uint8_t *arena) {
    combine(call, arena, square_difference);
}

static void run_mul(const tf_call_t *call, uint8_t *arena) {
    combine(call, arena, multiply);
}

static void run_div(const tf_call_t *call, uint8_t *arena) {
    combine(call, arena, divide);
}

static void run_maximum(const tf_call_t *call, uint8_t *arena) {
    combine(call, arena, maximum);
}

static void run_minimum(const tf_call_t *call, uint8_t *arena) {
    combine(call, arena, minimum);
}

static void run_prelu(const tf_call_t *call, uint8_t *arena) {
    combine(call, arena, rectify);
}

#define TF_ELEMENTWISE(name, number, its_check) \
    const tf_kernel_t tf_kernel_##name = {      \
        .code = (number),                       \
        .inputs = 2,                            \
        .outputs = 1,                           \
        .param_bytes = sizeof(tf_add_params_t), \
        .check = (its_check),                   \
        .in_place = in_place,                   \
        .run = run_##name,                      \
    }

TF_ELEMENTWISE(sub, TF_OP_SUB, check);
TF_ELEMENTWISE(mul, TF_OP_MUL, check);
TF_ELEMENTWISE(div, TF_OP_DIV, check_div);
TF_ELEMENTWISE(maximum, TF_OP_MAXIMUM, check);
TF_ELEMENTWISE(minimum, TF_OP_MINIMUM, check);
TF_ELEMENTWISE(prelu, TF_OP_PRELU, check);
TF_ELEMENTWISE(squared_difference, TF_OP_SQUARED_DIFFERENCE, check);
