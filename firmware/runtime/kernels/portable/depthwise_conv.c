/* DEPTHWISE_CONV_2D, NHWC, weights [kh][kw][oc]. Reference: integer_ops/depthwise_conv.h. */
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
    const uint32_t oc = y->dims[3];
    if (p->depth == 0 || (uint64_t)x->dims[3] * p->depth != oc) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    if (!tf_is_activation(p->input_zero, p->act_min, p->act_max)) return false;
    if (p->flags > TF_FLAG_PER_TENSOR) return false;
    const uint32_t taps = (uint32_t)p->kernel_h * p->kernel_w;
    if (!tf_has_constants(call->model, p->weights, (uint64_t)taps * oc, 16)) return false;
    if (!tf_has_constants(call->model, p->bias, (uint64_t)oc * 4, 4)) return false;
    return tf_are_multipliers(call->model, p->multiplier, p->shift, p->flags & TF_FLAG_PER_TENSOR ? 1 : oc);
}

typedef struct {
    const int8_t *image;
    tf_taps_t rows, columns;
    uint32_t width, in_channels, out_channels;
} place_t;

/* Taps inside the input; `padding` gets the weights of those outside. */
static int32_t window_sum(int32_t sum, const place_t *at, const int8_t *weights, const tf_conv_params_t *p,
                          uint32_t channel) {
    const uint32_t step_x = p->dilation_w * at->in_channels;
    const uint32_t oc = at->out_channels;
    const uint32_t column = (uint32_t)(at->columns.start + (int32_t)(at->columns.first * p->dilation_w));
    uint32_t row = (uint32_t)(at->rows.start + (int32_t)(at->rows.first * p->dilation_h));
    int32_t padding = 0;
    for (uint32_t ky = 0; ky < p->kernel_h; ky++) {
        uint32_t kx = 0;
        if (ky >= at->rows.first && ky < at->rows.end) {
            const int8_t *input = at->image + (row * at->width + column) * at->in_channels + channel;
            for (; kx < at->columns.first; kx++, weights += oc) padding = tf_wrap_add(padding, *weights);
            for (; kx < at->columns.end; kx++, weights += oc, input += step_x) {
                sum = tf_wrap_add(sum, *weights * *input);
            }
            row += p->dilation_h;
        }
        for (; kx < p->kernel_w; kx++, weights += oc) padding = tf_wrap_add(padding, *weights);
    }
    return tf_wrap_add(sum, tf_wrap_mul(padding, p->input_zero));
}

static int8_t *pixel(const tf_call_t *call, const place_t *at, int8_t *output) {
    const tf_conv_params_t *const p = call->params;
    const int8_t *weights = tf_constant(call->model, p->weights);
    const int32_t *bias = tf_constant(call->model, p->bias);
    const int32_t *multiplier = tf_constant(call->model, p->multiplier);
    const int8_t *shift = tf_constant(call->model, p->shift);
    const uint32_t step = p->flags & TF_FLAG_PER_TENSOR ? 0 : 1;
    for (uint32_t channel = 0; channel < at->in_channels; channel++) {
        for (uint32_t m = 0; m < p->depth; m++) {
            const int32_t sum = window_sum(*bias++, at, weights++, p, channel);
            const int32_t scaled = tf_wrap_add(tf_rescale(sum, *multiplier, *shift), p->output_zero);
            *output++ = (int8_t)tf_clamp(scaled, p->act_min, p->act_max);
            multiplier += step;
            shift += step;
        }
    }
    return output;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    int8_t *output = tf_write(call, 1, arena);
    place_t at = {.image = tf_read(call, 0, arena),
                  .width = x->dims[2],
                  .in_channels = x->dims[3],
                  .out_channels = y->dims[3]};
    for (uint32_t n = 0; n < x->dims[0]; n++) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            at.rows = tf_taps(top, x->dims[1], p->kernel_h, p->dilation_h);
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w) {
                at.columns = tf_taps(left, x->dims[2], p->kernel_w, p->dilation_w);
                output = pixel(call, &at, output);
            }
        }
        at.image += x->dims[1] * x->dims[2] * x->dims[3];
    }
}

const tf_kernel_t tf_kernel_depthwise_conv = {
    .code = TF_OP_DEPTHWISE_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
