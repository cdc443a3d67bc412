/* GATHER: rows and columns of bytes picked by two tables. RESIZE_NEAREST_NEIGHBOR, GATHER by constants,
 * MIRROR_PAD and reversals are this. */
#include <string.h>

#include "../../kernel.h"

static bool check_axis(const tf_model_t *model, uint32_t table, uint32_t count, uint32_t below) {
    if (count == 0 || below == 0 || below > TF_TENSOR_BYTES_MAX) return false;
    if (!tf_has_constants(model, table, (uint64_t)count * sizeof(uint16_t), 4)) return false;
    const uint16_t *const picks = tf_constant(model, table);
    for (uint32_t i = 0; i < count; i++) {
        if (picks[i] >= below) return false;
    }
    return true;
}

/* Whether a x b x c x d is the number of bytes, without an overflow on the way. */
static bool is_volume(uint32_t bytes, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    uint64_t product = (uint64_t)a * b;
    if (product > bytes) return false;
    product *= c;
    return product <= bytes && product * d == bytes;
}

static bool check(const tf_call_t *call) {
    const tf_gather_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    return x->dtype == y->dtype && check_axis(call->model, p->rows, p->output_rows, p->input_rows) &&
           check_axis(call->model, p->columns, p->output_columns, p->input_columns) &&
           is_volume(tf_tensor_bytes(x), p->outer, p->input_rows, p->input_columns, p->inner) &&
           is_volume(tf_tensor_bytes(y), p->outer, p->output_rows, p->output_columns, p->inner);
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_gather_params_t *const p = call->params;
    const uint16_t *const rows = tf_constant(call->model, p->rows);
    const uint16_t *const columns = tf_constant(call->model, p->columns);
    const uint32_t pitch = p->input_columns * p->inner;
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t n = 0; n < p->outer; n++, input += p->input_rows * pitch) {
        for (uint32_t y = 0; y < p->output_rows; y++) {
            const int8_t *const row = input + rows[y] * pitch;
            for (uint32_t x = 0; x < p->output_columns; x++, output += p->inner) {
                memcpy(output, row + columns[x] * p->inner, p->inner);
            }
        }
    }
}

const tf_kernel_t tf_kernel_gather = {
    .code = TF_OP_GATHER,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_gather_params_t),
    .own_dtypes = true,
    .check = check,
    .run = run,
};
