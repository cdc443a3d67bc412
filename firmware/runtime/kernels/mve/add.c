/* ADD of two whole tensors. The larger of its two scales comes out as one half exactly, by TFLM's definition:
 * that operand is only shifted. Reference: integer_ops/add.h. */
#include "../../strides.h"
#include "packed.h"

enum { LEFT_SHIFT = 20, HALF = 1 << 30 };

static bool is_half(int32_t multiplier, int32_t shift) {
    return multiplier == HALF && shift == 0;
}

static bool check(const tf_call_t *call) {
    const tf_add_params_t *const p = call->params;
    const bool half_a = is_half(p->a_multiplier, p->a_shift);
    const bool half_b = is_half(p->b_multiplier, p->b_shift);
    return tf_kernel_add.check(call) && tf_walk_is_plain(p->size, p->a_stride) &&
           tf_walk_is_plain(p->size, p->b_stride) && p->left_shift == LEFT_SHIFT && (half_a || half_b) &&
           (half_a || p->a_shift < 0) && (half_b || p->b_shift < 0) && p->out_shift < 0;
}

static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)call;
    (void)input;
    return true;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_add_params_t *const p = call->params;
    const bool swap = !is_half(p->a_multiplier, p->a_shift);
    tf_mve_add_t add = {
        .first = tf_read(call, swap ? 1 : 0, arena),
        .second = tf_read(call, swap ? 0 : 1, arena),
        .output = tf_write(call, 2, arena),
        .count = tf_elements(tf_operand(call, 2)),
        .multiplier = swap ? p->a_multiplier : p->b_multiplier,
        .shift = swap ? p->a_shift : p->b_shift,
        .output_multiplier = p->out_multiplier,
        .output_shift = p->out_shift,
        .output_zero = p->out_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    int32_t left = LEFT_SHIFT;
    if (add.shift == 0) {
        /* A half as well, without a second rounding: twice the value, halved exactly. */
        left++;
        add.shift = -1;
    }
    add.second_scale = 1 << left;
    add.first_offset = -(swap ? p->b_zero : p->a_zero) * (1 << (LEFT_SHIFT - 1));
    add.second_offset = -(swap ? p->a_zero : p->b_zero) * add.second_scale;
    tf_mve_add(&add);
}

const tf_kernel_t tf_mve_kernel_add = {
    .code = TF_OP_ADD,
    .inputs = 2,
    .outputs = 1,
    .param_bytes = sizeof(tf_add_params_t),
    .check = check,
    .in_place = in_place,
    .run = run,
};
