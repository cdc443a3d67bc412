/* ARG_MAX and ARG_MIN: where along an axis the extreme is, the first of equals, as int32. Reference:
 * reference/arg_min_max.h. */
#include "../../kernel.h"

static bool check(const tf_call_t *call) {
    const tf_arg_extreme_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (x->dtype != TF_INT8 || y->dtype != TF_INT32) return false;
    if (p->outer == 0 || p->size == 0 || p->inner == 0) return false;
    if (p->outer > TF_TENSOR_BYTES_MAX || p->size > TF_TENSOR_BYTES_MAX || p->inner > TF_TENSOR_BYTES_MAX) {
        return false;
    }
    const uint64_t lines = (uint64_t)p->outer * p->inner;
    return lines == tf_elements(y) && lines * p->size == tf_elements(x);
}

static void find(const tf_call_t *call, uint8_t *arena, int32_t sign) {
    const tf_arg_extreme_params_t *const p = call->params;
    const int8_t *block = tf_read(call, 0, arena);
    int32_t *output = tf_write(call, 1, arena);
    for (uint32_t o = 0; o < p->outer; o++, block += (uint64_t)p->size * p->inner) {
        for (uint32_t i = 0; i < p->inner; i++) {
            const int8_t *value = block + i;
            int32_t best = *value * sign;
            uint32_t where = 0;
            for (uint32_t k = 1; k < p->size; k++) {
                value += p->inner;
                if (*value * sign > best) {
                    best = *value * sign;
                    where = k;
                }
            }
            *output++ = (int32_t)where;
        }
    }
}

static void run_max(const tf_call_t *call, uint8_t *arena) {
    find(call, arena, 1);
}

static void run_min(const tf_call_t *call, uint8_t *arena) {
    find(call, arena, -1);
}

const tf_kernel_t tf_kernel_arg_max = {
    .code = TF_OP_ARG_MAX,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_arg_extreme_params_t),
    .own_dtypes = true,
    .check = check,
    .run = run_max,
};

const tf_kernel_t tf_kernel_arg_min = {
    .code = TF_OP_ARG_MIN,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_arg_extreme_params_t),
    .own_dtypes = true,
    .check = check,
    .run = run_min,
};
