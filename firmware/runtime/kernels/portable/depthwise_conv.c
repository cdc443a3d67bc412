/* DEPTHWISE_CONV_2D, NHWC, one output channel an input channel, weights [kh][kw][c]. Reference:
 * integer_ops/depthwise_conv.h. For each window the scratch says where its taps are; those in the padding are
 * a line of the input's zero point, which stands behind that list. */
#include <string.h>

#include "filters.h"
#include "window.h"

/* So that a tap's place relative to the input is an int32. */
#define ARENA_REACH (1u << 30)

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const scratch = tf_operand(call, 2);
    const uint32_t channels = tf_operand(call, 1)->dims[3];
    if (!tf_is_convolution(call) || p->depth != 1 || x->dims[3] != channels) return false;
    if (x->place != TF_PLACE_ARENA || x->offset > ARENA_REACH || scratch->offset > ARENA_REACH) return false;
    const uint64_t taps = (uint64_t)p->kernel_h * p->kernel_w;
    return taps * sizeof(int32_t) + channels <= tf_elements(scratch) &&
           tf_are_filters(call, p->flags, taps * channels, channels);
}

/* Where the taps of a window are. Places outside the input may wrap; they are not taken. */
static void locate(int32_t *offset, const tf_conv_params_t *p, const tf_tensor_t *x, const tf_taps_t *rows,
                   const tf_taps_t *columns, int32_t padding) {
    uint32_t y = (uint32_t)rows->start;
    for (uint32_t ky = 0; ky < p->kernel_h; ky++, y += p->dilation_h) {
        const bool inside = ky >= rows->first && ky < rows->end;
        uint32_t at = (y * x->dims[2] + (uint32_t)columns->start) * x->dims[3];
        for (uint32_t kx = 0; kx < p->kernel_w; kx++, at += p->dilation_w * x->dims[3]) {
            *offset++ = inside && kx >= columns->first && kx < columns->end ? (int32_t)at : padding;
        }
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    tf_filters_t f = {.taps = (uint32_t)p->kernel_h * p->kernel_w,
                      .channels = y->dims[3],
                      .zero = p->output_zero,
                      .low = p->act_min,
                      .high = p->act_max};
    tf_open_filters(&f, call, p->flags);
    int32_t *const offsets = tf_write(call, 2, arena);
    int8_t *const line = (int8_t *)(offsets + f.taps);
    memset(line, p->input_zero, f.channels);
    for (uint32_t n = 0; n < x->dims[0]; n++, image += x->dims[1] * x->dims[2] * x->dims[3]) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            const tf_taps_t rows = tf_taps(top, x->dims[1], p->kernel_h, p->dilation_h);
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w, output += f.channels) {
                const tf_taps_t columns = tf_taps(left, x->dims[2], p->kernel_w, p->dilation_w);
                locate(offsets, p, x, &rows, &columns, (int32_t)(line - image));
                tf_columns(&f, image, offsets, output);
            }
        }
    }
}

const tf_kernel_t tf_kernel_depthwise_conv = {
    .code = TF_OP_DEPTHWISE_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .temps = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
