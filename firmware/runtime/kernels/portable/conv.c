/* CONV_2D, NHWC, weights [oc][kh][kw][depth]. Reference:
 * tensorflow/lite/kernels/internal/reference/integer_ops/conv.h. A window that does not lie in one piece is
 * put together in the scratch once for all channels, with the input's zero point as padding. */
#include <string.h>

#include "filters.h"
#include "window.h"

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    if (!tf_is_convolution(call)) return false;
    const uint32_t ic = tf_operand(call, 0)->dims[3];
    const uint32_t oc = tf_operand(call, 1)->dims[3];
    if (p->depth == 0 || ic % p->depth != 0 || oc % (ic / p->depth) != 0) return false;
    const uint64_t taps = (uint64_t)p->kernel_h * p->kernel_w * p->depth; /* u16 each */
    return taps <= tf_elements(tf_operand(call, 2)) && tf_are_filters(call, p->flags, taps * oc, oc);
}

/* Where windows of a group of channels are. */
typedef struct {
    const int8_t *image;
    uint32_t width, channels;
    bool in_one_piece; /* where there is no padding */
    tf_taps_t rows, columns;
} place_t;

/* By fours of words where both are aligned: memcpy of a small libc goes byte by byte. */
static void copy(int8_t *to, const int8_t *from, uint32_t bytes) {
    enum { FOUR_WORDS = 16 };
    if (((uintptr_t)to | (uintptr_t)from) % 4 == 0) {
        for (; bytes >= FOUR_WORDS; bytes -= FOUR_WORDS, to += FOUR_WORDS, from += FOUR_WORDS) {
            memcpy(__builtin_assume_aligned(to, 4), __builtin_assume_aligned(from, 4), FOUR_WORDS);
        }
    }
    memcpy(to, from, bytes);
}

static void gather_row(int8_t *to, const tf_conv_params_t *p, const place_t *at, const int8_t *from) {
    const uint32_t row = (uint32_t)p->kernel_w * p->depth;
    const uint32_t inside = (at->columns.end - at->columns.first) * p->depth;
    if (inside != row) memset(to, p->input_zero, row);
    to += at->columns.first * p->depth;
    if (p->dilation_w == 1 && p->depth == at->channels) {
        copy(to, from, inside);
        return;
    }
    for (const int8_t *const end = to + inside; to != end; to += p->depth) {
        copy(to, from, p->depth);
        from += p->dilation_w * at->channels;
    }
}

static const int8_t *window(int8_t *scratch, const tf_conv_params_t *p, const place_t *at) {
    const uint32_t column = (uint32_t)(at->columns.start + (int32_t)(at->columns.first * p->dilation_w));
    const uint32_t row = (uint32_t)(at->rows.start + (int32_t)(at->rows.first * p->dilation_h));
    const int8_t *from = at->image + (row * at->width + column) * at->channels;
    const uint32_t inside = (at->rows.end - at->rows.first) * (at->columns.end - at->columns.first);
    if (at->in_one_piece && inside == (uint32_t)p->kernel_h * p->kernel_w) return from;
    int8_t *to = scratch;
    for (uint32_t ky = 0; ky < p->kernel_h; ky++, to += (uint32_t)p->kernel_w * p->depth) {
        if (ky < at->rows.first || ky >= at->rows.end) {
            memset(to, p->input_zero, (uint32_t)p->kernel_w * p->depth);
        } else {
            gather_row(to, p, at, from);
            from += p->dilation_h * at->width * at->channels;
        }
    }
    return scratch;
}

static void convolve(const tf_call_t *call, const tf_filters_t *f, place_t at, int8_t *output,
                     int8_t *scratch) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    for (uint32_t n = 0; n < x->dims[0]; n++, at.image += x->dims[1] * x->dims[2] * x->dims[3]) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            at.rows = tf_taps(top, x->dims[1], p->kernel_h, p->dilation_h);
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w, output += y->dims[3]) {
                at.columns = tf_taps(left, x->dims[2], p->kernel_w, p->dilation_w);
                tf_rows(f, window(scratch, p, &at), output);
            }
        }
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const uint32_t groups = x->dims[3] / p->depth;
    place_t at = {.image = tf_read(call, 0, arena), .width = x->dims[2], .channels = x->dims[3]};
    const bool dense = p->dilation_w == 1 && groups == 1;
    at.in_one_piece = (p->kernel_w == 1 || dense) &&
                      (p->kernel_h == 1 || (p->dilation_h == 1 && p->kernel_w == at.width && groups == 1));
    tf_filters_t f = {.taps = (uint32_t)p->kernel_h * p->kernel_w * p->depth,
                      .channels = tf_operand(call, 1)->dims[3] / groups,
                      .zero = p->output_zero,
                      .low = p->act_min,
                      .high = p->act_max};
    tf_open_filters(&f, call, p->flags);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t g = 0; g < groups; g++) {
        convolve(call, &f, at, output, tf_write(call, 2, arena));
        tf_next_filters(&f);
        at.image += p->depth;
        output += f.channels;
    }
}

const tf_kernel_t tf_kernel_conv = {
    .code = TF_OP_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .temps = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
