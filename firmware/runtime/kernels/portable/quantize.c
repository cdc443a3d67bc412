/* QUANTIZE between integers of 8, 16 and 32 bits. Reference: tensorflow/lite/kernels/internal/reference/
 * requantize.h. From int8 to int8 it is a TABLE. */
#include "../../kernel.h"
#include "../../quant.h"

static bool is_integer(const tf_tensor_t *tensor) {
    return tensor->dtype == TF_INT8 || tensor->dtype == TF_INT16 || tensor->dtype == TF_INT32;
}

static bool check(const tf_call_t *call) {
    const tf_quantize_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    return is_integer(x) && is_integer(y) && tf_elements(x) == tf_elements(y) &&
           tf_is_multiplier(p->multiplier, p->shift);
}

static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)input;
    return tf_operand(call, 0)->dtype == tf_operand(call, 1)->dtype;
}

static int32_t value_at(const void *values, uint8_t dtype, uint32_t i) {
    if (dtype == TF_INT8) return ((const int8_t *)values)[i];
    if (dtype == TF_INT16) return ((const int16_t *)values)[i];
    return ((const int32_t *)values)[i];
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_quantize_params_t *const p = call->params;
    const uint8_t from = tf_operand(call, 0)->dtype;
    const uint8_t to = tf_operand(call, 1)->dtype;
    const uint32_t count = tf_elements(tf_operand(call, 0));
    const void *const input = tf_read(call, 0, arena);
    void *const output = tf_write(call, 1, arena);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t difference = tf_wrap_add(value_at(input, from, i), tf_wrap_mul(p->input_zero, -1));
        const int32_t value = tf_wrap_add(tf_rescale(difference, p->multiplier, p->shift), p->output_zero);
        if (to == TF_INT8) {
            ((int8_t *)output)[i] = (int8_t)tf_clamp(value, INT8_MIN, INT8_MAX);
        } else if (to == TF_INT16) {
            ((int16_t *)output)[i] = (int16_t)tf_clamp(value, INT16_MIN, INT16_MAX);
        } else {
            ((int32_t *)output)[i] = value;
        }
    }
}

const tf_kernel_t tf_kernel_quantize = {
    .code = TF_OP_QUANTIZE,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_quantize_params_t),
    .own_dtypes = true,
    .check = check,
    .in_place = in_place,
    .run = run,
};
