/* TRANSPOSE_CONV, NHWC, weights [oc][kh][kw][ic]. Reference: integer_ops/transpose_conv.h, which scatters
 * into an int32 image; here each output gathers its taps instead, which needs no image and gives the same
 * sums. */
#include "../../quant.h"
#include "filters.h"

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0]) return false;
    if (p->kernel_h == 0 || p->kernel_w == 0 || p->stride_h == 0 || p->stride_w == 0) return false;
    if (p->dilation_h != 1 || p->dilation_w != 1 || p->depth != x->dims[3]) return false;
    if (p->pad_top >= p->kernel_h || p->pad_left >= p->kernel_w) return false;
    if (p->reserved != 0) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    if (p->input_zero < INT8_MIN || p->input_zero > INT8_MAX) return false;
    const uint32_t oc = y->dims[3];
    const uint64_t filter = (uint64_t)p->kernel_h * p->kernel_w * p->depth; /* 48 bits */
    if (filter > TF_TENSOR_BYTES_MAX) return false;
    return tf_are_filters(call, p->flags, filter * oc, oc);
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

/* An output pixel: where it lies, with the padding added, and what reaches it. */
typedef struct {
    uint32_t y, x;
    range_t rows, columns;
} pixel_t;

static int32_t gather(const tf_conv_params_t *p, uint32_t width, const int8_t *image, const int8_t *filter,
                      const pixel_t *at) {
    uint32_t sum = 0;
    for (uint32_t iy = at->rows.first; iy < at->rows.end; iy++) {
        const uint32_t ky = at->y - iy * p->stride_h;
        for (uint32_t ix = at->columns.first; ix < at->columns.end; ix++) {
            const uint32_t kx = at->x - ix * p->stride_w;
            const int8_t *input = image + (iy * width + ix) * p->depth;
            const int8_t *weight = filter + (ky * p->kernel_w + kx) * p->depth;
            for (const int8_t *const end = input + p->depth; input != end;) {
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
    tf_filters_t f;
    tf_open_filters(&f, call, p->flags);
    const uint32_t filter = (uint32_t)p->kernel_h * p->kernel_w * p->depth;
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    pixel_t at;
    for (uint32_t n = 0; n < x->dims[0]; n++, image += x->dims[1] * x->dims[2] * x->dims[3]) {
        for (uint32_t oy = 0; oy < y->dims[1]; oy++) {
            at.y = oy + p->pad_top;
            at.rows = sources(at.y, p->kernel_h, p->stride_h, x->dims[1]);
            for (uint32_t ox = 0; ox < y->dims[2]; ox++) {
                at.x = ox + p->pad_left;
                at.columns = sources(at.x, p->kernel_w, p->stride_w, x->dims[2]);
                for (uint32_t c = 0; c < y->dims[3]; c++) {
                    const int32_t sum = gather(p, x->dims[2], image, f.weights + c * filter, &at);
                    const int32_t scaled = tf_rescale(tf_wrap_add(sum, f.bias[c]), f.multiplier[c * f.step],
                                                      f.shift[c * f.step]);
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
