/* CONV_2D in blocks of 2 windows x 4 channels. Windows of one tap are taken where they are; others are copied
 * to the scratch, some at a time, with the input's zero point where they reach into the padding. */
#include "../portable/window.h"
#include "packed.h"

static uint32_t taps_of(const tf_conv_params_t *p) {
    return (uint32_t)p->kernel_h * p->kernel_w * p->depth;
}

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0]) return false;
    if (p->flags != 0 || p->multiplier != 0 || p->shift != 0) return false;
    if (!tf_is_window(x->dims[1], y->dims[1], p->kernel_h, p->stride_h, p->dilation_h, p->pad_top) ||
        !tf_is_window(x->dims[2], y->dims[2], p->kernel_w, p->stride_w, p->dilation_w, p->pad_left))
        return false;
    if (p->depth == 0 || p->depth != x->dims[3]) return false;
    if ((uint64_t)p->kernel_h * p->kernel_w * p->depth > TF_TENSOR_BYTES_MAX) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    if (!tf_is_activation(p->input_zero, p->act_min, p->act_max)) return false;
    const uint32_t taps = tf_mve_round_up(taps_of(p), TF_MVE_BYTES);
    const uint32_t channels = tf_mve_round_up(y->dims[3], TF_MVE_QUAD);
    const bool one_tap = p->kernel_h == 1 && p->kernel_w == 1;
    return (one_tap || tf_elements(tf_operand(call, 2)) >= taps) &&
           tf_mve_are_packed(call->model, p->weights, (uint64_t)taps * channels, p->bias, channels);
}

typedef struct {
    const tf_conv_params_t *p;
    uint32_t width;       /* of the input */
    uint32_t row;         /* bytes of a kernel row */
    tf_mve_rows_t inside; /* a window that meets no padding, piece by piece */
    bool tap_by_tap;      /* columns are dilated: each tap is a piece of its own */
} shape_t;

static shape_t shape_of(const tf_conv_params_t *p, const tf_tensor_t *x) {
    const uint32_t row = (uint32_t)p->kernel_w * p->depth;
    const uint32_t input_row = x->dims[2] * p->depth;
    shape_t s = {.p = p, .width = x->dims[2], .row = row};
    s.tap_by_tap = p->dilation_w != 1 && p->kernel_w != 1;
    s.inside = (tf_mve_rows_t){row, input_row * p->dilation_h, row, p->kernel_h};
    if (row == input_row && p->dilation_h == 1 && !s.tap_by_tap) {
        s.inside = (tf_mve_rows_t){0, 0, row * p->kernel_h, 1}; /* rows lie behind one another */
    }
    return s;
}

/* Copies a window that meets the padding or whose taps do not lie beside one another. */
static void gather(const shape_t *s, const int8_t *image, const tf_taps_t *rows, const tf_taps_t *columns,
                   int8_t *to) {
    const tf_conv_params_t *const p = s->p;
    uint32_t down = rows->end - rows->first;
    const uint32_t across = columns->end - columns->first;
    tf_mve_fill(to, p->input_zero, s->row * p->kernel_h);
    if (down == 0 || across == 0) return; /* taps far apart may all miss a small input */
    const uint32_t y = (uint32_t)(rows->start + (int32_t)(rows->first * p->dilation_h));
    const uint32_t x = (uint32_t)(columns->start + (int32_t)(columns->first * p->dilation_w));
    const int8_t *from = image + (y * s->width + x) * p->depth;
    to += rows->first * s->row + columns->first * p->depth;
    const tf_mve_rows_t pieces = {s->row, s->width * p->depth * p->dilation_h, across * p->depth, down};
    if (!s->tap_by_tap) {
        tf_mve_copy_rows(to, from, &pieces);
        return;
    }
    const tf_mve_rows_t taps = {p->depth, (uint32_t)p->depth * p->dilation_w, p->depth, across};
    for (; down != 0; down--, to += pieces.to_step, from += pieces.from_step) {
        tf_mve_copy_rows(to, from, &taps);
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const shape_t s = shape_of(p, x);
    const uint32_t oc = y->dims[3];
    const uint32_t slot = tf_mve_round_up(taps_of(p), TF_MVE_BYTES);
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *const scratch = tf_write(call, 2, arena);
    int8_t *const scratch_end = scratch + tf_elements(tf_operand(call, 2)) / slot * slot;
    int8_t *to = scratch;
    tf_mve_block_t block = {
        .windows = scratch,
        .window_step = slot,
        .output = tf_write(call, 1, arena),
        .output_step = oc,
        .weights = tf_constant(call->model, p->weights),
        .records = tf_constant(call->model, p->bias),
        .taps = taps_of(p),
        .output_zero = p->output_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    const bool in_place = p->kernel_h == 1 && p->kernel_w == 1;
    if (in_place && p->stride_h == 1 && p->stride_w == 1) {
        block.windows = image;
        block.window_step = p->depth;
        tf_mve_windows(&block, tf_elements(y) / oc, oc);
        return;
    }
    const int32_t reach = (p->kernel_w - 1) * p->dilation_w + 1;
    for (uint32_t n = 0; n < x->dims[0]; n++, image += x->dims[1] * x->dims[2] * p->depth) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            if (in_place) {
                block.windows = image + (uint32_t)top * x->dims[2] * p->depth;
                block.window_step = (uint32_t)p->stride_w * p->depth;
                tf_mve_windows(&block, y->dims[2], oc);
                block.output += y->dims[2] * oc;
                continue;
            }
            const tf_taps_t rows = tf_taps(top, x->dims[1], p->kernel_h, p->dilation_h);
            const bool is_inside = rows.end - rows.first == p->kernel_h && !s.tap_by_tap;
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w) {
                if (is_inside && left >= 0 && left + reach <= (int32_t)x->dims[2]) {
                    const uint32_t at = (uint32_t)top * x->dims[2] + (uint32_t)left;
                    tf_mve_copy_rows(to, image + at * p->depth, &s.inside);
                } else {
                    const tf_taps_t columns = tf_taps(left, x->dims[2], p->kernel_w, p->dilation_w);
                    gather(&s, image, &rows, &columns, to);
                }
                to += slot;
                if (to != scratch_end) continue;
                const uint32_t windows = (uint32_t)(scratch_end - scratch) / slot;
                tf_mve_windows(&block, windows, oc);
                block.output += windows * oc;
                to = scratch;
            }
        }
    }
    if (to != scratch) tf_mve_windows(&block, (uint32_t)(to - scratch) / slot, oc);
}

const tf_kernel_t tf_mve_kernel_conv = {
    .code = TF_OP_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .temps = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
