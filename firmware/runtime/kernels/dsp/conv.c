/* CONV_2D in blocks of 2 pixels x 2 channels. The window of a pixel is widened to int16 in the scratch once,
 * for all channels; taps in the padding hold the input's zero point there. */
#include "../portable/window.h"
#include "packed.h"

enum { PIXELS = 2, WORDS_A_QUAD = 2 };

/* Taps are padded to quads at the end of each kernel row, and to octets at the end of the window. */
typedef struct {
    uint32_t row;        /* int8 values of a kernel row */
    uint32_t padded_row; /* rounded up to 4 */
    uint32_t taps;
} window_t;

static window_t window_of(const tf_conv_params_t *p) {
    window_t w = {.row = (uint32_t)p->kernel_w * p->depth};
    w.padded_row = tf_round_up(w.row, 4);
    w.taps = tf_round_up(w.padded_row * p->kernel_h, 8);
    return w;
}

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    if (!tf_is_packed_window(call)) return false;
    if (p->depth == 0 || tf_operand(call, 0)->dims[3] != p->depth) return false;
    const uint64_t rows = ((uint64_t)p->kernel_w * p->depth + 3) * p->kernel_h;
    if (rows > TF_TENSOR_BYTES_MAX) return false;
    const window_t w = window_of(p);
    const uint32_t channels = tf_round_up(tf_operand(call, 1)->dims[3], 2);
    const uint32_t scratch = w.taps * PIXELS * (uint32_t)sizeof(int16_t) + w.padded_row;
    return tf_elements(tf_operand(call, 2)) >= scratch &&
           tf_are_packed(call->model, p->weights, (uint64_t)w.taps * channels, p->bias, channels);
}

static uint32_t *widen(uint32_t *to, const int8_t *from, uint32_t bytes) {
    for (const int8_t *const end = from + (bytes & ~3u); from != end; from += 4) {
        const uint32_t word = tf_load4(from);
        to[0] = tf_sxtb16(word);
        to[1] = tf_sxtb16_odd(word);
        to += WORDS_A_QUAD * PIXELS;
    }
    if (bytes % 4 != 0) {
        uint32_t word = 0;
        memcpy(&word, from, bytes % 4);
        to[0] = tf_sxtb16(word);
        to[1] = tf_sxtb16_odd(word);
        to += WORDS_A_QUAD * PIXELS;
    }
    return to;
}

static uint32_t *fill(uint32_t *to, int32_t zero, uint32_t bytes) {
    const uint32_t word = (uint32_t)(uint16_t)zero * 0x10001u;
    for (uint32_t at = 0; at < bytes; at += 4) {
        to[0] = word;
        to[1] = word;
        to += WORDS_A_QUAD * PIXELS;
    }
    return to;
}

/* The window of one pixel; `line` takes a kernel row that reaches into the padding. */
static void gather(uint32_t *to, const tf_conv_params_t *p, const window_t *w, const int8_t *image,
                   uint32_t row_bytes, const tf_taps_t *rows, const tf_taps_t *columns, int8_t *line) {
    const uint32_t before = columns->first * p->depth;
    const uint32_t inside = (columns->end - columns->first) * p->depth;
    const uint32_t column = (uint32_t)(columns->start + (int32_t)columns->first);
    const int8_t *from =
        image + (uint32_t)(rows->start + (int32_t)rows->first) * row_bytes + column * p->depth;
    for (uint32_t ky = 0; ky < p->kernel_h; ky++) {
        if (ky < rows->first || ky >= rows->end) {
            to = fill(to, p->input_zero, w->row);
            continue;
        }
        if (inside == w->row) {
            to = widen(to, from, w->row);
        } else {
            memset(line, p->input_zero, w->row);
            memcpy(line + before, from, inside);
            to = widen(to, line, w->row);
        }
        from += row_bytes;
    }
}

/* `second` false: the block's second pixel lies behind the output's end. */
static void block(const tf_call_t *call, const uint32_t *pixels, uint32_t taps, int8_t *output, bool second) {
    const tf_conv_params_t *const p = call->params;
    const int8_t *weights = tf_constant(call->model, p->weights);
    const tf_channel_t *channel = tf_constant(call->model, p->bias);
    const uint32_t oc = tf_operand(call, 1)->dims[3];
    for (uint32_t c = 0; c < oc; c += 2, channel += 2, weights += taps * 2) {
        const uint32_t bytes = tf_block_2x2(pixels, weights, taps / 8, channel);
        output[c] = (int8_t)bytes;
        if (second) output[oc + c] = (int8_t)(bytes >> 16);
        if (c + 1 == oc) break;
        output[c + 1] = (int8_t)(bytes >> 8);
        if (second) output[oc + c + 1] = (int8_t)(bytes >> 24);
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const window_t w = window_of(p);
    const uint32_t row_bytes = x->dims[2] * p->depth;
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *const first = tf_write(call, 1, arena);
    int8_t *output = first;
    uint32_t *const pixels = (uint32_t *)(void *)tf_write(call, 2, arena);
    int8_t *const line = (int8_t *)(pixels + w.taps * PIXELS / 2);
    uint32_t slot = 0;
    for (uint32_t n = 0; n < x->dims[0]; n++, image += x->dims[1] * row_bytes) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            const tf_taps_t rows = tf_taps(top, x->dims[1], p->kernel_h, 1);
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w) {
                const tf_taps_t columns = tf_taps(left, x->dims[2], p->kernel_w, 1);
                gather(pixels + slot * WORDS_A_QUAD, p, &w, image, row_bytes, &rows, &columns, line);
                slot++;
                if (slot < PIXELS) continue;
                block(call, pixels, w.taps, output, true);
                output += PIXELS * y->dims[3];
                slot = 0;
            }
        }
    }
    if (slot != 0) block(call, pixels, w.taps, output, false);
    tf_narrow(first, tf_elements(y), p->act_min, p->act_max);
}

const tf_kernel_t tf_packed_conv = {
    .code = TF_OP_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .temps = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
