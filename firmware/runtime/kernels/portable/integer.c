/* ARITHMETIC and CAST: plain integers, without scales. References: the int32 cases of reference/add.h, sub.h,
 * mul.h, div.h, maximum_minimum.h; micro/kernels/cast.cc. */
#include "../../kernel.h"
#include "../../plan_signal.h"
#include "../../quant.h"
#include "../../strides.h"

static bool check_arithmetic(const tf_call_t *call) {
    const tf_arithmetic_params_t *const p = call->params;
    for (uint32_t i = 0; i < 3; i++) {
        if (tf_operand(call, i)->dtype != TF_INT32) return false;
    }
    return p->kind <= TF_MAXIMUM && p->act_min <= p->act_max &&
           tf_walk_elements(p->size) == tf_elements(tf_operand(call, 2)) &&
           tf_walk_stays_inside(p->size, p->a_stride, 0, tf_elements(tf_operand(call, 0))) &&
           tf_walk_stays_inside(p->size, p->b_stride, 0, tf_elements(tf_operand(call, 1)));
}

static bool arithmetic_in_place(const tf_call_t *call, uint32_t input) {
    const tf_arithmetic_params_t *const p = call->params;
    return tf_walk_is_plain(p->size, input == 0 ? p->a_stride : p->b_stride);
}

/* Towards zero. What the reference leaves to the machine, a division by 0, is 0; the one that overflows
 * wraps. */
static int32_t quotient(int32_t a, int32_t b) {
    if (b == 0) return 0;
    return b == -1 ? tf_wrap_mul(a, -1) : a / b;
}

static int32_t combined(uint32_t kind, int32_t a, int32_t b) {
    switch (kind) {
        case TF_SUM:
            return tf_wrap_add(a, b);
        case TF_DIFFERENCE:
            return (int32_t)((uint32_t)a - (uint32_t)b);
        case TF_PRODUCT:
            return tf_wrap_mul(a, b);
        case TF_QUOTIENT:
            return quotient(a, b);
        case TF_MINIMUM:
            return a < b ? a : b;
        default:
            return a > b ? a : b;
    }
}

static void run_arithmetic(const tf_call_t *call, uint8_t *arena) {
    const tf_arithmetic_params_t *const p = call->params;
    const int32_t *const a = tf_read(call, 0, arena);
    const int32_t *const b = tf_read(call, 1, arena);
    int32_t *output = tf_write(call, 2, arena);
    const uint32_t a_step = p->a_stride[TF_LAST_AXIS];
    const uint32_t b_step = p->b_stride[TF_LAST_AXIS];
    tf_walk_t walk = {p->size, p->a_stride, p->b_stride, 0, 0, {0}};
    do {
        uint32_t a_at = walk.x;
        uint32_t b_at = walk.y;
        for (uint32_t i = 0; i < p->size[TF_LAST_AXIS]; i++, a_at += a_step, b_at += b_step) {
            *output++ = tf_clamp(combined(p->kind, a[a_at], b[b_at]), p->act_min, p->act_max);
        }
    } while (tf_walk_on(&walk));
}

const tf_kernel_t tf_kernel_arithmetic = {
    .code = TF_OP_ARITHMETIC,
    .inputs = 2,
    .outputs = 1,
    .param_bytes = sizeof(tf_arithmetic_params_t),
    .own_dtypes = true,
    .check = check_arithmetic,
    .in_place = arithmetic_in_place,
    .run = run_arithmetic,
};

static bool is_castable(const tf_tensor_t *tensor) {
    return tensor->dtype == TF_INT8 || tensor->dtype == TF_INT16 || tensor->dtype == TF_INT32 ||
           tensor->dtype == TF_UINT32;
}

static bool check_cast(const tf_call_t *call) {
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    return is_castable(x) && is_castable(y) && tf_elements(x) == tf_elements(y);
}

static int32_t value(const void *values, uint8_t dtype, uint32_t i) {
    if (dtype == TF_INT8) return ((const int8_t *)values)[i];
    return dtype == TF_INT16 ? ((const int16_t *)values)[i] : ((const int32_t *)values)[i];
}

static void run_cast(const tf_call_t *call, uint8_t *arena) {
    const uint8_t from = tf_operand(call, 0)->dtype;
    const uint8_t to = tf_operand(call, 1)->dtype;
    const void *const input = tf_read(call, 0, arena);
    void *const output = tf_write(call, 1, arena);
    const uint32_t count = tf_elements(tf_operand(call, 0));
    for (uint32_t i = 0; i < count; i++) {
        const int32_t x = value(input, from, i);
        if (to == TF_INT8) {
            ((int8_t *)output)[i] = (int8_t)x;
        } else if (to == TF_INT16) {
            ((int16_t *)output)[i] = (int16_t)x;
        } else {
            ((int32_t *)output)[i] = x;
        }
    }
}

const tf_kernel_t tf_kernel_cast = {
    .code = TF_OP_CAST,
    .inputs = 1,
    .outputs = 1,
    .own_dtypes = true,
    .check = check_cast,
    .run = run_cast,
};
