/* DEPTHWISE_CONV_2D, channel by channel: a band of input rows of one channel is laid out as int16 in the
 * scratch, padding included, so that taps beside one another are one word. How many rows a band has, the
 * scratch says. */
#include "packed.h"

enum { SLACK = 4 }; /* values read, times a weight of 0, behind the last row */

/* Rows and columns as the kernel takes them: a column of values, one wide, lies in memory as a row does and
 * is worked on as one. */
typedef struct {
    uint32_t in_h, in_w, out_h, out_w;
    uint32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    uint32_t width; /* values of a row in the scratch, even */
    uint32_t quads; /* words of packed weights a kernel row */
    bool three;     /* 3 x 3, whose weights lie in another order */
} shape_t;

static shape_t shape_of(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    shape_t s = {x->dims[1],  x->dims[2], y->dims[1],  y->dims[2], p->kernel_h, p->kernel_w, p->stride_h,
                 p->stride_w, p->pad_top, p->pad_left, 0,          0,           false};
    if (s.in_w == 1 && s.out_w == 1 && s.kernel_w == 1) {
        s = (shape_t){s.in_w,     s.in_h,     s.out_w,   s.out_h, s.kernel_w, s.kernel_h, s.stride_w,
                      s.stride_h, s.pad_left, s.pad_top, 0,       0,          false};
    }
    s.width = tf_round_up((s.out_w - 1) * s.stride_w + s.kernel_w, 2);
    s.quads = (s.kernel_w + 3) / 4;
    s.three = s.kernel_h == 3 && s.kernel_w == 3;
    return s;
}

/* Output rows that the scratch has room for; 0: not even one. */
static uint32_t band_rows(const shape_t *s, const tf_tensor_t *scratch) {
    const uint32_t values = tf_elements(scratch) / (uint32_t)sizeof(int16_t);
    if (values < SLACK) return 0;
    const uint32_t rows = (values - SLACK) / s->width;
    return rows < s->kernel_h ? 0 : (rows - s->kernel_h) / s->stride_h + 1;
}

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (!tf_is_packed_window(call)) return false;
    const uint32_t oc = y->dims[3];
    if (p->depth == 0 || (uint64_t)tf_operand(call, 0)->dims[3] * p->depth != oc) return false;
    if ((uint64_t)y->dims[1] * p->stride_h + p->kernel_h > TF_TENSOR_BYTES_MAX) return false;
    if ((uint64_t)y->dims[2] * p->stride_w + p->kernel_w > TF_TENSOR_BYTES_MAX) return false;
    const shape_t s = shape_of(call);
    return band_rows(&s, tf_operand(call, 2)) != 0 &&
           tf_are_packed(call->model, p->weights, (uint64_t)s.quads * 4 * s.kernel_h * oc, p->bias, oc);
}

/* Input rows from `top` of one channel, `rows` of them. */
static void gather(int16_t *to, const shape_t *s, int16_t zero, uint32_t step, const int8_t *channel,
                   int32_t top, uint32_t rows) {
    const uint32_t behind = s->width - s->pad_left;
    const uint32_t inside = behind < s->in_w ? behind : s->in_w;
    for (uint32_t r = 0; r < rows; r++, top++) {
        int16_t *const end = to + s->width;
        if (top >= 0 && top < (int32_t)s->in_h) {
            const int8_t *from = channel + (uint32_t)top * s->in_w * step;
            for (uint32_t i = 0; i < s->pad_left; i++) *to++ = zero;
            for (int16_t *const stop = to + inside; to != stop; from += step) *to++ = *from;
        }
        while (to != end) *to++ = zero;
    }
}

typedef struct {
    const int16_t *plane;
    uint32_t rows; /* of output */
    int8_t *output;
} band_t;

/* A band, 3 x 3. A kernel row's bytes 0, 2 are taps 0, 1 and its bytes 1, 3 taps 1, 2. */
static void band_three(const band_t *band, const shape_t *s, uint32_t step, const int8_t *weights,
                       const tf_channel_t *c, uint32_t at) {
    uint32_t w01[3], w12[3];
    for (uint32_t k = 0; k < 3; k++) {
        w01[k] = tf_sxtb16(tf_load4(weights + 4 * k));
        w12[k] = tf_sxtb16_odd(tf_load4(weights + 4 * k));
    }
    const tf_channel_t channel = *c;
    const uint32_t width = s->width;
    const uint32_t stride = s->stride_w;
    const int16_t *row = band->plane;
    int8_t *out = band->output + at;
    for (uint32_t r = 0; r < band->rows; r++, row += s->stride_h * width) {
        const int16_t *in = row;
        for (int8_t *const end = out + s->out_w * step; out != end; out += step, in += stride) {
            int32_t sum = tf_smlad(tf_load4(in), w01[0], channel.bias);
            sum = tf_smlabt(tf_load4(in + 2), w12[0], sum);
            sum = tf_smlad(tf_load4(in + width), w01[1], sum);
            sum = tf_smlabt(tf_load4(in + width + 2), w12[1], sum);
            sum = tf_smlad(tf_load4(in + 2 * width), w01[2], sum);
            sum = tf_smlabt(tf_load4(in + 2 * width + 2), w12[2], sum);
            *out = tf_requantize(sum, &channel);
        }
    }
}

/* One output row, any kernel. Bytes 0, 2 of a word are its first two taps, bytes 1, 3 the other two. */
static void row_any(const int16_t *in, const shape_t *s, const int8_t *weights, const tf_channel_t *channel,
                    int8_t *out, uint32_t out_step, uint32_t count) {
    for (uint32_t x = 0; x < count; x++, in += s->stride_w, out += out_step) {
        int32_t sum = channel->bias;
        const int8_t *w = weights;
        const int16_t *row = in;
        for (uint32_t ky = 0; ky < s->kernel_h; ky++, row += s->width) {
            const int16_t *at = row;
            for (uint32_t quad = 0; quad < s->quads; quad++, at += 4, w += 4) {
                const uint32_t word = tf_load4(w);
                sum = tf_smlad(tf_load4(at), tf_sxtb16(word), sum);
                sum = tf_smlad(tf_load4(at + 2), tf_sxtb16_odd(word), sum);
            }
        }
        *out = tf_requantize(sum, channel);
    }
}

/* The output channels of one input channel, over a band. */
static void convolve(const tf_call_t *call, const shape_t *s, const band_t *band, uint32_t channel) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const y = tf_operand(call, 1);
    const uint32_t filter = s->quads * 4 * s->kernel_h;
    for (uint32_t m = 0; m < p->depth; m++, channel++) {
        const int8_t *const weights = (const int8_t *)tf_constant(call->model, p->weights) + channel * filter;
        const tf_channel_t *const c = (const tf_channel_t *)tf_constant(call->model, p->bias) + channel;
        if (s->three) {
            band_three(band, s, y->dims[3], weights, c, channel);
            continue;
        }
        const int16_t *in = band->plane;
        int8_t *out = band->output + channel;
        for (uint32_t r = 0; r < band->rows; r++) {
            row_any(in, s, weights, c, out, y->dims[3], s->out_w);
            in += s->stride_h * s->width;
            out += s->out_w * y->dims[3];
        }
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const shape_t s = shape_of(call);
    const uint32_t most = band_rows(&s, tf_operand(call, 2));
    int16_t *const plane = (int16_t *)(void *)tf_write(call, 2, arena);
    memset(plane, 0, tf_elements(tf_operand(call, 2)));
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *const first = tf_write(call, 1, arena);
    band_t band = {.plane = plane, .output = first};
    for (uint32_t n = 0; n < x->dims[0]; n++, image += x->dims[1] * x->dims[2] * x->dims[3]) {
        for (uint32_t oy = 0; oy < s.out_h; oy += band.rows) {
            band.rows = s.out_h - oy < most ? s.out_h - oy : most;
            const int32_t top = (int32_t)(oy * s.stride_h) - (int32_t)s.pad_top;
            const uint32_t rows = (band.rows - 1) * s.stride_h + s.kernel_h;
            for (uint32_t c = 0; c < x->dims[3]; c++) {
                gather(plane, &s, p->input_zero, x->dims[3], image + c, top, rows);
                convolve(call, &s, &band, c * p->depth);
            }
            band.output += band.rows * s.out_w * y->dims[3];
        }
    }
    tf_narrow(first, tf_elements(y), p->act_min, p->act_max);
}

const tf_kernel_t tf_packed_depthwise_conv = {
    .code = TF_OP_DEPTHWISE_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .temps = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
