/* CONV_2D, NHWC, weights [oc][kh][kw][depth]. Reference:
 * tensorflow/lite/kernels/internal/reference/integer_ops/conv.h. */
#include "../../kernel.h"
#include "dot.h"
#include "window.h"

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0]) return false;
    if (!tf_is_window(x->dims[1], y->dims[1], p->kernel_h, p->stride_h, p->dilation_h, p->pad_top))
        return false;
    if (!tf_is_window(x->dims[2], y->dims[2], p->kernel_w, p->stride_w, p->dilation_w, p->pad_left))
        return false;
    const uint32_t ic = x->dims[3];
    const uint32_t oc = y->dims[3];
    if (p->depth == 0 || ic % p->depth != 0 || oc % (ic / p->depth) != 0) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    if (!tf_is_activation(p->input_zero, p->act_min, p->act_max)) return false;
    if (p->flags > TF_FLAG_PER_TENSOR) return false;
    const uint32_t taps = (uint32_t)p->kernel_h * p->kernel_w;
    if (taps > TF_TENSOR_BYTES_MAX || (uint64_t)taps * p->depth > TF_TENSOR_BYTES_MAX) return false;
    if (!tf_has_constants(call->model, p->weights, (uint64_t)taps * p->depth * oc, 16)) return false;
    if (!tf_has_constants(call->model, p->bias, (uint64_t)oc * 4, 4)) return false;
    return tf_are_multipliers(call->model, p->multiplier, p->shift, p->flags & TF_FLAG_PER_TENSOR ? 1 : oc);
}

/* Where a window lies, and the strides of a tap in input and weights. */
typedef struct {
    const int8_t *image; /* this batch */
    tf_taps_t rows, columns;
    uint32_t width, channels;
} place_t;

/* Taps of one kernel row lie behind one another in both input and weights: one inner product covers them. */
static int32_t dense_row(int32_t sum, const int8_t *input, const int8_t *weights, const tf_conv_params_t *p,
                         const tf_taps_t *columns, int32_t zero) {
    const uint32_t inside = (columns->end - columns->first) * p->depth;
    const int8_t *const w = weights + columns->first * p->depth;
    sum = tf_dot(sum, input, w, inside);
    if (inside != (uint32_t)p->kernel_w * p->depth) {
        int32_t padding = tf_sum(0, weights, columns->first * p->depth);
        padding = tf_sum(padding, w + inside, (p->kernel_w - columns->end) * p->depth);
        sum = tf_wrap_add(sum, tf_wrap_mul(padding, zero));
    }
    return sum;
}

/* Dilated or grouped: tap by tap. */
static int32_t sparse_row(int32_t sum, const int8_t *input, const int8_t *weights, const tf_conv_params_t *p,
                          const tf_taps_t *columns, uint32_t channels) {
    const uint32_t step = p->dilation_w * channels;
    for (uint32_t kx = 0; kx < p->kernel_w; kx++) {
        const int8_t *const w = weights + kx * p->depth;
        if (kx >= columns->first && kx < columns->end) {
            sum = tf_dot(sum, input, w, p->depth);
            input += step;
        } else {
            sum = tf_wrap_add(sum, tf_wrap_mul(tf_sum(0, w, p->depth), p->input_zero));
        }
    }
    return sum;
}

static int32_t window_sum(int32_t sum, const place_t *at, const int8_t *weights, const tf_conv_params_t *p,
                          uint32_t channel) {
    const uint32_t row_weights = (uint32_t)p->kernel_w * p->depth;
    const bool dense = p->dilation_w == 1 && p->depth == at->channels;
    const uint32_t column = (uint32_t)(at->columns.start + (int32_t)(at->columns.first * p->dilation_w));
    uint32_t row = (uint32_t)(at->rows.start + (int32_t)(at->rows.first * p->dilation_h));
    for (uint32_t ky = 0; ky < p->kernel_h; ky++, weights += row_weights) {
        if (ky < at->rows.first || ky >= at->rows.end) {
            sum = tf_wrap_add(sum, tf_wrap_mul(tf_sum(0, weights, row_weights), p->input_zero));
            continue;
        }
        const int8_t *const input = at->image + (row * at->width + column) * at->channels + channel;
        sum = dense ? dense_row(sum, input, weights, p, &at->columns, p->input_zero)
                    : sparse_row(sum, input, weights, p, &at->columns, at->channels);
        row += p->dilation_h;
    }
    return sum;
}

static int8_t *pixel(const tf_call_t *call, const place_t *at, uint32_t oc, int8_t *output) {
    const tf_conv_params_t *const p = call->params;
    const int8_t *weights = tf_constant(call->model, p->weights);
    const int32_t *const bias = tf_constant(call->model, p->bias);
    const int32_t *multiplier = tf_constant(call->model, p->multiplier);
    const int8_t *shift = tf_constant(call->model, p->shift);
    const uint32_t step = p->flags & TF_FLAG_PER_TENSOR ? 0 : 1;
    const uint32_t filter = (uint32_t)p->kernel_h * p->kernel_w * p->depth;
    const uint32_t group = oc / (at->channels / p->depth);
    uint32_t channel = 0;
    uint32_t left = group;
    for (uint32_t c = 0; c < oc; c++) {
        if (left == 0) {
            left = group;
            channel += p->depth;
        }
        left--;
        const int32_t sum = window_sum(bias[c], at, weights, p, channel);
        const int32_t scaled = tf_wrap_add(tf_rescale(sum, *multiplier, *shift), p->output_zero);
        *output++ = (int8_t)tf_clamp(scaled, p->act_min, p->act_max);
        weights += filter;
        multiplier += step;
        shift += step;
    }
    return output;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    int8_t *output = tf_write(call, 1, arena);
    place_t at = {.image = tf_read(call, 0, arena), .width = x->dims[2], .channels = x->dims[3]};
    for (uint32_t n = 0; n < x->dims[0]; n++) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            at.rows = tf_taps(top, x->dims[1], p->kernel_h, p->dilation_h);
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w) {
                at.columns = tf_taps(left, x->dims[2], p->kernel_w, p->dilation_w);
                output = pixel(call, &at, y->dims[3], output);
            }
        }
        at.image += x->dims[1] * x->dims[2] * x->dims[3];
    }
}

const tf_kernel_t tf_kernel_conv = {
    .code = TF_OP_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
