/* TRANSPOSE_CONV, NHWC, weights [oc][kh][kw][ic]. Reference: integer_ops/transpose_conv.h, which scatters
 * into an int32 image; here each output gathers its taps instead, which needs no image and gives the same
 * sums. */
#include "../../kernel.h"
#include "../../quant.h"

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0]) return false;
    if (p->kernel_h == 0 || p->kernel_w == 0 || p->stride_h == 0 || p->stride_w == 0) return false;
    if (p->dilation_h != 1 || p->dilation_w != 1 || p->depth != x->dims[3]) return false;
    if (p->pad_top >= p->kernel_h || p->pad_left >= p->kernel_w) return false;
    if (p->flags > TF_FLAG_PER_TENSOR || p->reserved != 0) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    if (p->input_zero < INT8_MIN || p->input_zero > INT8_MAX) return false;
    const uint32_t oc = y->dims[3];
    const uint64_t filter = (uint64_t)p->kernel_h * p->kernel_w * p->depth; /* 48 bits */
    if (filter > TF_TENSOR_BYTES_MAX) return false;
    return tf_has_constants(call->model, p->weights, filter * oc, 16) &&
           tf_has_constants(call->model, p->bias, (uint64_t)oc * 4, 4) &&
           tf_are_multipliers(call->model, p->multiplier, p->shift, p->flags & TF_FLAG_PER_TENSOR ? 1 : oc);
}

/* The taps of one axis that reach output coordinate `at` (with the padding added): tap = at - stride x in. */
typedef struct {
    uint32_t first, end; /* input coordinates */
} range_t;

static range_t sources(uint32_t at, uint32_t kernel, uint32_t stride, uint32_t in) {
    range_t range = {0, at / stride + 1};
    if (at >= kernel) range.first = (at - kernel) / stride + 1;
    if (range.end > in) range.end = in;
    return range;
}

static int32_t gather(const tf_conv_params_t *p, const tf_tensor_t *x, const int8_t *image,
                      const int8_t *filter, uint32_t y_at, uint32_t x_at) {
    const range_t rows = sources(y_at, p->kernel_h, p->stride_h, x->dims[1]);
    const range_t columns = sources(x_at, p->kernel_w, p->stride_w, x->dims[2]);
    uint32_t sum = 0;
    for (uint32_t iy = rows.first; iy < rows.end; iy++) {
        const uint32_t ky = y_at - iy * p->stride_h;
        for (uint32_t ix = columns.first; ix < columns.end; ix++) {
            const uint32_t kx = x_at - ix * p->stride_w;
            const int8_t *input = image + (iy * x->dims[2] + ix) * p->depth;
            const int8_t *weight = filter + (ky * p->kernel_w + kx) * p->depth;
            for (uint32_t c = 0; c < p->depth; c++) {
                sum += (uint32_t)((*input++ - p->input_zero) * *weight++);
            }
        }
    }
    return (int32_t)sum;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const int8_t *const weights = tf_constant(call->model, p->weights);
    const int32_t *const bias = tf_constant(call->model, p->bias);
    const int32_t *const multipliers = tf_constant(call->model, p->multiplier);
    const int8_t *const shifts = tf_constant(call->model, p->shift);
    const uint32_t step = p->flags & TF_FLAG_PER_TENSOR ? 0 : 1;
    const uint32_t filter = (uint32_t)p->kernel_h * p->kernel_w * p->depth;
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t n = 0; n < x->dims[0]; n++, image += x->dims[1] * x->dims[2] * x->dims[3]) {
        for (uint32_t oy = 0; oy < y->dims[1]; oy++) {
            for (uint32_t ox = 0; ox < y->dims[2]; ox++) {
                for (uint32_t c = 0; c < y->dims[3]; c++) {
                    const int32_t sum =
                        gather(p, x, image, weights + c * filter, oy + p->pad_top, ox + p->pad_left);
                    const int32_t scaled =
                        tf_rescale(tf_wrap_add(sum, bias[c]), multipliers[c * step], shifts[c * step]);
                    *output++ = (int8_t)tf_clamp(tf_wrap_add(scaled, p->output_zero), p->act_min, p->act_max);
                }
            }
        }
    }
}

const tf_kernel_t tf_kernel_transpose_conv = {
    .code = TF_OP_TRANSPOSE_CONV,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
