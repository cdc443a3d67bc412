/* RESIZE_BILINEAR. Reference: ResizeBilinearInteger in resize_bilinear.h. Where an output row or column lies
 * in the input is the host's work; weights are in 1/1024. */
#include "../../kernel.h"

enum { ONE = 1 << 10 };

static bool check_axis(const tf_model_t *model, uint32_t table, uint32_t out, uint32_t in) {
    if (!tf_has_constants(model, table, (uint64_t)out * sizeof(tf_tap_t), 4)) return false;
    const tf_tap_t *const taps = tf_constant(model, table);
    for (uint32_t i = 0; i < out; i++) {
        if (taps[i].low >= in || taps[i].high >= in) return false;
        if (taps[i].weight < -ONE || taps[i].weight > 2 * ONE || taps[i].reserved != 0) return false;
    }
    return true;
}

static bool check(const tf_call_t *call) {
    const tf_resize_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    return x->rank == 4 && y->rank == 4 && x->dims[0] == y->dims[0] && x->dims[3] == y->dims[3] &&
           check_axis(call->model, p->rows, y->dims[1], x->dims[1]) &&
           check_axis(call->model, p->columns, y->dims[2], x->dims[2]);
}

/* Weighted mean of four values; at most 128 x 3 x 1024 x 3 x 1024 in size. */
static int8_t blend(const int8_t *corner[4], int32_t down, int32_t right, uint32_t c) {
    const int32_t top = corner[0][c] * (ONE - right) + corner[1][c] * right;
    const int32_t bottom = corner[2][c] * (ONE - right) + corner[3][c] * right;
    const int64_t sum = (int64_t)top * (ONE - down) + (int64_t)bottom * down;
    const int64_t half = (int64_t)ONE * ONE / 2;
    return (int8_t)((sum > 0 ? sum + half : sum - half) / ((int64_t)ONE * ONE));
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_resize_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const tf_tap_t *const rows = tf_constant(call->model, p->rows);
    const tf_tap_t *const columns = tf_constant(call->model, p->columns);
    const uint32_t depth = x->dims[3];
    const uint32_t pitch = x->dims[2] * depth;
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t n = 0; n < x->dims[0]; n++, input += x->dims[1] * pitch) {
        for (uint32_t oy = 0; oy < y->dims[1]; oy++) {
            const int8_t *const top = input + rows[oy].low * pitch;
            const int8_t *const bottom = input + rows[oy].high * pitch;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++) {
                const uint32_t left = columns[ox].low * depth;
                const uint32_t right = columns[ox].high * depth;
                const int8_t *corner[4] = {top + left, top + right, bottom + left, bottom + right};
                for (uint32_t c = 0; c < depth; c++) {
                    *output++ = blend(corner, rows[oy].weight, columns[ox].weight, c);
                }
            }
        }
    }
}

const tf_kernel_t tf_kernel_resize_bilinear = {
    .code = TF_OP_RESIZE_BILINEAR,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_resize_params_t),
    .check = check,
    .run = run,
};
