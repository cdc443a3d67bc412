/* BATCH_MATMUL: products of two matrices that are both computed, and what else has no constant weights.
 * Reference: reference/batch_matmul.h. */
#include "../../kernel.h"
#include "../../quant.h"

enum { BATCH_AXES = 3 };

/* The farthest element of an operand, from its strides. */
static uint64_t reach(const uint32_t *batch, const uint32_t *stride, uint32_t lines, uint32_t line,
                      uint32_t depth, uint32_t step) {
    uint64_t last = (uint64_t)(lines - 1) * line + (uint64_t)(depth - 1) * step;
    for (uint32_t i = 0; i < BATCH_AXES; i++) last += (uint64_t)(batch[i] - 1) * stride[i];
    return last;
}

static bool check(const tf_call_t *call) {
    const tf_matmul_params_t *const p = call->params;
    const uint32_t sizes[] = {p->batch[0], p->batch[1], p->batch[2], p->rows, p->columns};
    const uint32_t strides[] = {p->a_batch[0], p->a_batch[1], p->a_batch[2], p->b_batch[0],
                                p->b_batch[1], p->b_batch[2], p->a_row,      p->b_column};
    uint64_t elements = 1;
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (sizes[i] == 0 || sizes[i] > TF_TENSOR_BYTES_MAX) return false;
        elements *= sizes[i];
        if (elements > TF_TENSOR_BYTES_MAX) return false;
    }
    for (uint32_t i = 0; i < sizeof(strides) / sizeof(strides[0]); i++) {
        if (strides[i] > TF_TENSOR_BYTES_MAX) return false;
    }
    /* Steps of 0 along the depth would make a loop longer than its operands. */
    if (p->depth == 0 || p->depth > TF_TENSOR_BYTES_MAX || p->a_depth == 0 || p->b_depth == 0) return false;
    if (p->a_depth > TF_TENSOR_BYTES_MAX || p->b_depth > TF_TENSOR_BYTES_MAX) return false;
    const uint64_t a = reach(p->batch, p->a_batch, p->rows, p->a_row, p->depth, p->a_depth);
    const uint64_t b = reach(p->batch, p->b_batch, p->columns, p->b_column, p->depth, p->b_depth);
    const bool has_bias = p->bias != TF_NO_CONSTANTS;
    return a < tf_elements(tf_operand(call, 0)) && b < tf_elements(tf_operand(call, 1)) &&
           elements == tf_elements(tf_operand(call, 2)) &&
           (!has_bias || tf_has_constants(call->model, p->bias, (uint64_t)p->columns * 4, 4)) &&
           tf_is_multiplier(p->multiplier, p->shift) && p->a_zero >= INT8_MIN && p->a_zero <= INT8_MAX &&
           p->b_zero >= INT8_MIN && p->b_zero <= INT8_MAX &&
           tf_is_activation(p->out_zero, p->act_min, p->act_max);
}

static int8_t *product(const tf_matmul_params_t *p, const int8_t *a, const int8_t *b, const int32_t *bias,
                       int8_t *output) {
    for (uint32_t row = 0; row < p->rows; row++, a += p->a_row) {
        const int8_t *column = b;
        for (uint32_t i = 0; i < p->columns; i++, column += p->b_column) {
            uint32_t sum = bias == 0 ? 0 : (uint32_t)bias[i];
            for (uint32_t k = 0; k < p->depth; k++) {
                sum += (uint32_t)((a[k * p->a_depth] - p->a_zero) * (column[k * p->b_depth] - p->b_zero));
            }
            const int32_t scaled = tf_rescale((int32_t)sum, p->multiplier, p->shift);
            *output++ = (int8_t)tf_clamp(tf_wrap_add(scaled, p->out_zero), p->act_min, p->act_max);
        }
    }
    return output;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_matmul_params_t *const p = call->params;
    const int8_t *const a = tf_read(call, 0, arena);
    const int8_t *const b = tf_read(call, 1, arena);
    const int32_t *const bias = p->bias == TF_NO_CONSTANTS ? 0 : tf_constant(call->model, p->bias);
    int8_t *output = tf_write(call, 2, arena);
    for (uint32_t i = 0; i < p->batch[0]; i++) {
        for (uint32_t j = 0; j < p->batch[1]; j++) {
            for (uint32_t k = 0; k < p->batch[2]; k++) {
                const uint32_t a_at = i * p->a_batch[0] + j * p->a_batch[1] + k * p->a_batch[2];
                const uint32_t b_at = i * p->b_batch[0] + j * p->b_batch[1] + k * p->b_batch[2];
                output = product(p, a + a_at, b + b_at, bias, output);
            }
        }
    }
}

const tf_kernel_t tf_kernel_batch_matmul = {
    .code = TF_OP_BATCH_MATMUL,
    .inputs = 2,
    .outputs = 1,
    .param_bytes = sizeof(tf_matmul_params_t),
    .check = check,
    .run = run,
};
