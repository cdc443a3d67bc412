/* AVERAGE_POOL_2D and MAX_POOL_2D, NHWC. Reference: integer_ops/pooling.h. */
#include "../../kernel.h"
#include "../../quant.h"
#include "window.h"

static bool check(const tf_call_t *call) {
    const tf_pool_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0] || x->dims[3] != y->dims[3]) return false;
    return tf_is_window(x->dims[1], y->dims[1], p->kernel_h, p->stride_h, 1, p->pad_top) &&
           tf_is_window(x->dims[2], y->dims[2], p->kernel_w, p->stride_w, 1, p->pad_left) &&
           tf_is_activation(0, p->act_min, p->act_max);
}

/* The part of a window that lies inside the input: `input` is its first value of channel 0. */
typedef struct {
    const int8_t *input;
    uint32_t rows, columns;
    uint32_t row_step; /* elements from one input row to the next */
    uint32_t channels;
} patch_t;

typedef int32_t (*reduce_t)(const patch_t *patch, uint32_t channel);

static int32_t average(const patch_t *patch, uint32_t channel) {
    int32_t sum = 0;
    const int8_t *row = patch->input + channel;
    for (uint32_t y = 0; y < patch->rows; y++, row += patch->row_step) {
        const int8_t *value = row;
        for (uint32_t x = 0; x < patch->columns; x++, value += patch->channels)
            sum = tf_wrap_add(sum, *value);
    }
    const int32_t count = (int32_t)(patch->rows * patch->columns);
    return sum > 0 ? tf_wrap_add(sum, count / 2) / count : tf_wrap_add(sum, -(count / 2)) / count;
}

static int32_t maximum(const patch_t *patch, uint32_t channel) {
    int32_t best = INT8_MIN;
    const int8_t *row = patch->input + channel;
    for (uint32_t y = 0; y < patch->rows; y++, row += patch->row_step) {
        const int8_t *value = row;
        for (uint32_t x = 0; x < patch->columns; x++, value += patch->channels)
            best = *value > best ? *value : best;
    }
    return best;
}

static void pool(const tf_call_t *call, uint8_t *arena, reduce_t reduce) {
    const tf_pool_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    const uint32_t channels = x->dims[3];
    patch_t patch = {.row_step = x->dims[2] * channels, .channels = channels};
    for (uint32_t n = 0; n < x->dims[0]; n++) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            const tf_taps_t rows = tf_taps(top, x->dims[1], p->kernel_h, 1);
            patch.rows = rows.end - rows.first;
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w) {
                const tf_taps_t columns = tf_taps(left, x->dims[2], p->kernel_w, 1);
                const uint32_t first_row = (uint32_t)(top + (int32_t)rows.first);
                const uint32_t first_column = (uint32_t)(left + (int32_t)columns.first);
                patch.columns = columns.end - columns.first;
                patch.input = image + (first_row * x->dims[2] + first_column) * channels;
                for (uint32_t c = 0; c < channels; c++) {
                    *output++ = (int8_t)tf_clamp(reduce(&patch, c), p->act_min, p->act_max);
                }
            }
        }
        image += x->dims[1] * patch.row_step;
    }
}

static void run_average(const tf_call_t *call, uint8_t *arena) {
    pool(call, arena, average);
}

static void run_max(const tf_call_t *call, uint8_t *arena) {
    pool(call, arena, maximum);
}

const tf_kernel_t tf_kernel_average_pool = {
    .code = TF_OP_AVERAGE_POOL_2D,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_pool_params_t),
    .check = check,
    .run = run_average,
};

const tf_kernel_t tf_kernel_max_pool = {
    .code = TF_OP_MAX_POOL_2D,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_pool_params_t),
    .check = check,
    .run = run_max,
};
