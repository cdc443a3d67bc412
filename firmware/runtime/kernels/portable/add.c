/* ADD with broadcasting. Reference: integer_ops/add.h. */
#include "../../kernel.h"
#include "../../quant.h"

enum { LAST = TF_DIMS_MAX - 1 };

/* The elements that are read of one operand stay inside its tensor. */
static bool check_operand(const tf_add_params_t *p, const uint32_t *stride, const tf_tensor_t *tensor) {
    uint64_t reach = 0;
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        if (stride[i] > TF_TENSOR_BYTES_MAX) return false;
        reach += (uint64_t)(p->size[i] - 1) * stride[i];
    }
    return reach < tf_elements(tensor);
}

static bool check(const tf_call_t *call) {
    const tf_add_params_t *const p = call->params;
    uint64_t elements = 1;
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        if (p->size[i] == 0 || p->size[i] > TF_TENSOR_BYTES_MAX) return false;
        elements *= p->size[i];
        if (elements > TF_TENSOR_BYTES_MAX) return false;
    }
    if (elements != tf_elements(tf_operand(call, 2))) return false;
    if (!check_operand(p, p->a_stride, tf_operand(call, 0))) return false;
    if (!check_operand(p, p->b_stride, tf_operand(call, 1))) return false;
    return tf_is_multiplier(p->a_multiplier, p->a_shift) && tf_is_multiplier(p->b_multiplier, p->b_shift) &&
           tf_is_multiplier(p->out_multiplier, p->out_shift) && p->left_shift >= 0 && p->left_shift <= 20 &&
           tf_is_activation(p->a_zero, p->act_min, p->act_max) &&
           tf_is_activation(p->b_zero, p->act_min, p->act_max) &&
           tf_is_activation(p->out_zero, p->act_min, p->act_max);
}

/* An operand that is read in the output's order, without broadcasting. */
static bool in_place(const tf_call_t *call, uint32_t input) {
    const tf_add_params_t *const p = call->params;
    const uint32_t *const stride = input == 0 ? p->a_stride : p->b_stride;
    uint32_t plain = 1;
    for (uint32_t i = TF_DIMS_MAX; i-- > 0;) {
        if (p->size[i] != 1 && stride[i] != plain) return false;
        plain *= p->size[i];
    }
    return true;
}

static int8_t *line(const tf_add_params_t *p, const int8_t *a, const int8_t *b, int8_t *output) {
    const uint32_t a_step = p->a_stride[LAST];
    const uint32_t b_step = p->b_stride[LAST];
    for (uint32_t i = 0; i < p->size[LAST]; i++, a += a_step, b += b_step) {
        const int32_t a_wide = (int32_t)((uint32_t)(*a - p->a_zero) << p->left_shift);
        const int32_t b_wide = (int32_t)((uint32_t)(*b - p->b_zero) << p->left_shift);
        const int32_t sum = tf_wrap_add(tf_rescale(a_wide, p->a_multiplier, p->a_shift),
                                        tf_rescale(b_wide, p->b_multiplier, p->b_shift));
        const int32_t scaled = tf_wrap_add(tf_rescale(sum, p->out_multiplier, p->out_shift), p->out_zero);
        *output++ = (int8_t)tf_clamp(scaled, p->act_min, p->act_max);
    }
    return output;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_add_params_t *const p = call->params;
    const int8_t *const a = tf_read(call, 0, arena);
    const int8_t *const b = tf_read(call, 1, arena);
    int8_t *output = tf_write(call, 2, arena);
    uint32_t at[LAST] = {0};
    uint32_t a_at = 0;
    uint32_t b_at = 0;
    uint32_t axis = 0;
    while (axis < LAST) {
        output = line(p, a + a_at, b + b_at, output);
        /* The outer axes count like an odometer; an axis that wraps takes its operands back to its start. */
        for (axis = LAST; axis-- > 0;) {
            a_at += p->a_stride[axis];
            b_at += p->b_stride[axis];
            if (++at[axis] < p->size[axis]) break;
            at[axis] = 0;
            a_at -= p->a_stride[axis] * p->size[axis];
            b_at -= p->b_stride[axis] * p->size[axis];
        }
    }
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
