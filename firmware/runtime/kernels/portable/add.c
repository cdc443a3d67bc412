/* ADD with broadcasting. Reference: integer_ops/add.h. */
#include "../../kernel.h"
#include "../../quant.h"
#include "../../strides.h"

enum { LEFT_SHIFT = 20 };

static bool is_below_one(int32_t multiplier, int32_t shift) {
    return shift <= 0 && tf_is_multiplier(multiplier, shift);
}

static bool check(const tf_call_t *call) {
    const tf_add_params_t *const p = call->params;
    if (tf_walk_elements(p->size) != tf_elements(tf_operand(call, 2))) return false;
    if (!tf_walk_stays_inside(p->size, p->a_stride, 0, tf_elements(tf_operand(call, 0)))) return false;
    if (!tf_walk_stays_inside(p->size, p->b_stride, 0, tf_elements(tf_operand(call, 1)))) return false;
    return p->left_shift == LEFT_SHIFT && is_below_one(p->a_multiplier, p->a_shift) &&
           is_below_one(p->b_multiplier, p->b_shift) && is_below_one(p->out_multiplier, p->out_shift) &&
           tf_is_activation(p->a_zero, p->act_min, p->act_max) &&
           tf_is_activation(p->b_zero, p->act_min, p->act_max) &&
           tf_is_activation(p->out_zero, p->act_min, p->act_max);
}

/* An operand that is read in the output's order, without broadcasting. */
static bool in_place(const tf_call_t *call, uint32_t input) {
    const tf_add_params_t *const p = call->params;
    return tf_walk_is_plain(p->size, input == 0 ? p->a_stride : p->b_stride);
}

/* Everything in locals: a store of an int8 may be to whatever a pointer points to. Differences of two bytes
 * times 2^20 are below 2^28 when scaled, their sum below 2^29. */
static int8_t *line(const tf_add_params_t *p, const int8_t *a, const int8_t *b, int8_t *output) {
    const uint32_t a_step = p->a_stride[TF_LAST_AXIS];
    const uint32_t b_step = p->b_stride[TF_LAST_AXIS];
    const int32_t a_zero = p->a_zero, a_multiplier = p->a_multiplier, a_right = -p->a_shift;
    const int32_t b_zero = p->b_zero, b_multiplier = p->b_multiplier, b_right = -p->b_shift;
    const int32_t multiplier = p->out_multiplier, right = -p->out_shift;
    const int32_t zero = p->out_zero, low = p->act_min, high = p->act_max;
    for (int8_t *const end = output + p->size[TF_LAST_AXIS]; output != end; a += a_step, b += b_step) {
        const int32_t sum = tf_round_right(tf_byte_mul(*a - a_zero, a_multiplier), a_right) +
                            tf_round_right(tf_byte_mul(*b - b_zero, b_multiplier), b_right);
        const int32_t scaled = tf_round_right(tf_high_mul(sum, multiplier), right);
        *output++ = (int8_t)tf_clamp(scaled + zero, low, high);
    }
    return output;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_add_params_t *const p = call->params;
    const int8_t *const a = tf_read(call, 0, arena);
    const int8_t *const b = tf_read(call, 1, arena);
    int8_t *output = tf_write(call, 2, arena);
    tf_walk_t walk = {p->size, p->a_stride, p->b_stride, 0, 0, {0}};
    do {
        output = line(p, a + walk.x, b + walk.y, output);
    } while (tf_walk_on(&walk));
}

const tf_kernel_t tf_kernel_add = {
    .code = TF_OP_ADD,
    .inputs = 2,
    .outputs = 1,
    .param_bytes = sizeof(tf_add_params_t),
    .check = check,
    .in_place = in_place,
    .run = run,
};
