/* DEPTHWISE_CONV_2D in runs of outputs along one axis, the walked one. For each run the scratch takes columns
 * of input values, up to four taps of the other axis packed in a word, 16 channels beside one another; a
 * window is a few such words, and its products with a channel's weights are one instruction. How long a run
 * is, the scratch says. */
#include "packed.h"

enum { TAPS = 4 /* in a word */, WORDS = 4 /* in a chunk of weights */, GROUP = TF_MVE_BYTES };

typedef struct {
    uint32_t in, out, kernel, stride, dilation, pad;
    uint32_t in_step, out_step; /* from one value to the next */
} axis_t;

typedef struct {
    axis_t packed, walked;
    uint32_t words;  /* a column has for each group of channels */
    uint32_t chunks; /* of a window */
    uint32_t column_bytes;
} shape_t;

static shape_t shape_of(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const axis_t down = {x->dims[1],
                         y->dims[1],
                         p->kernel_h,
                         p->stride_h,
                         p->dilation_h,
                         p->pad_top,
                         x->dims[2] * x->dims[3],
                         y->dims[2] * y->dims[3]};
    const axis_t across = {x->dims[2],    y->dims[2],  p->kernel_w, p->stride_w,
                           p->dilation_w, p->pad_left, x->dims[3],  y->dims[3]};
    const bool columns_first = (p->flags & TF_FLAG_COLUMNS_FIRST) != 0;
    shape_t s = {.packed = columns_first ? across : down, .walked = columns_first ? down : across};
    s.words = (s.packed.kernel + TAPS - 1) / TAPS;
    s.chunks = (s.walked.kernel * s.words + WORDS - 1) / WORDS;
    s.column_bytes = s.words * TF_MVE_COLUMN;
    return s;
}

/* Outputs of a run that the scratch has room for; 0: not even one. Behind the last column may be words that
 * are read and meet weights of 0. */
static uint32_t run_length(const shape_t *s, const tf_tensor_t *scratch) {
    const uint32_t slack = (s->chunks * WORDS - s->walked.kernel * s->words) * TF_MVE_COLUMN;
    const uint32_t bytes = tf_elements(scratch);
    const uint32_t columns = bytes < slack ? 0 : (bytes - slack) / s->column_bytes;
    return columns < s->walked.kernel ? 0 : (columns - s->walked.kernel) / s->walked.stride + 1;
}

static bool check(const tf_call_t *call) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0]) return false;
    if ((p->flags & ~TF_FLAG_COLUMNS_FIRST) != 0 || p->multiplier != 0 || p->shift != 0) return false;
    if (!tf_is_window(x->dims[1], y->dims[1], p->kernel_h, p->stride_h, p->dilation_h, p->pad_top) ||
        !tf_is_window(x->dims[2], y->dims[2], p->kernel_w, p->stride_w, p->dilation_w, p->pad_left))
        return false;
    const uint32_t oc = y->dims[3];
    if (p->depth == 0 || (uint64_t)x->dims[3] * p->depth != oc) return false;
    if (!tf_is_activation(p->output_zero, p->act_min, p->act_max)) return false;
    if (!tf_is_activation(p->input_zero, p->act_min, p->act_max)) return false;
    const shape_t s = shape_of(call);
    const uint32_t channels = tf_mve_round_up(oc, TF_MVE_QUAD);
    /* u16 sizes of a kernel: no product here is beyond 2^32 but the last */
    return s.walked.dilation == 1 && run_length(&s, tf_operand(call, 2)) != 0 &&
           tf_mve_are_packed(call->model, p->weights, (uint64_t)s.chunks * TF_MVE_BYTES * channels, p->bias,
                             channels);
}

/* What the runs of an op share; of the two last, what is the same for all. */
typedef struct {
    shape_t s;
    uint32_t depth; /* output channels an input channel has */
    int32_t zero;   /* of the input */
    const int8_t *weights;
    const tf_quad_t *records;
    int8_t *plane;
    tf_mve_columns_t columns;
    tf_mve_depthwise_t run;
} op_t;

/* Columns of a run for the group of output channels from `first`. `image` is the input at its first channel,
 * `top` and `left` where the run's first window begins. */
static void gather(op_t *op, const int8_t *image, int32_t top, int32_t left, uint32_t first,
                   uint32_t channels) {
    const axis_t *const packed = &op->s.packed;
    const axis_t *const walked = &op->s.walked;
    const uint32_t all = (op->run.outputs - 1) * walked->stride + walked->kernel;
    const uint32_t before = left < 0 ? (uint32_t)-left : 0;
    const uint32_t begin = left < 0 ? 0 : (uint32_t)left;
    const uint32_t inside = all - before < walked->in - begin ? all - before : walked->in - begin;
    const int8_t *const column = image + begin * walked->in_step;
    tf_mve_columns_t *const c = &op->columns;
    int8_t zeros[GROUP];
    uint8_t spread[GROUP];
    tf_mve_fill(zeros, op->zero, GROUP);
    if (op->depth != 1) {
        for (uint32_t i = 0; i < channels; i++)
            spread[i] = (uint8_t)((first + i) / op->depth - first / op->depth);
        first /= op->depth;
    }
    c->channels = channels;
    int8_t *to = op->plane;
    uint32_t taps = packed->kernel;
    for (; taps != 0; to += TF_MVE_COLUMN) {
        for (uint32_t k = 0; k < TAPS; k++) {
            c->from[k] = zeros;
            c->from_step[k] = 0;
        }
        c->spread = 0;
        c->to = to;
        c->columns = before;
        if (before != 0) tf_mve_columns(c);
        c->to += (before + inside) * op->s.column_bytes;
        c->columns = all - before - inside;
        if (c->columns != 0) tf_mve_columns(c);
        for (uint32_t k = 0; k < TAPS && taps != 0; k++, taps--, top += (int32_t)packed->dilation) {
            if (top < 0 || top >= (int32_t)packed->in) continue;
            c->from[k] = column + (uint32_t)top * packed->in_step + first;
            c->from_step[k] = walked->in_step;
        }
        c->spread = op->depth != 1 ? spread : 0;
        c->to = to + before * op->s.column_bytes;
        c->columns = inside;
        tf_mve_columns(c);
    }
}

/* The last channels, fewer than four: their fillers have no place in the output. */
static void convolve_rest(tf_mve_depthwise_t run, int8_t *to, uint32_t rest) {
    enum { AT_ONCE = 8 };
    int8_t some[AT_ONCE * TF_MVE_QUAD];
    const uint32_t out_step = run.output_step;
    run.quads = 1;
    run.output = some;
    run.output_step = TF_MVE_QUAD;
    for (uint32_t left = run.outputs; left != 0; left -= run.outputs) {
        run.outputs = left < AT_ONCE ? left : AT_ONCE;
        tf_mve_depthwise(&run);
        run.plane += run.outputs * run.plane_step;
        for (uint32_t i = 0; i < run.outputs; i++, to += out_step) {
            for (uint32_t c = 0; c < rest; c++) to[c] = some[i * TF_MVE_QUAD + c];
        }
    }
}

static void convolve(op_t *op, int8_t *output, uint32_t first, uint32_t channels) {
    const uint32_t quad_weights = op->s.chunks * TF_MVE_BYTES * TF_MVE_QUAD;
    const uint32_t quad = first / TF_MVE_QUAD;
    op->run.weights = op->weights + quad * quad_weights;
    op->run.records = op->records + quad;
    op->run.output = output + first;
    op->run.quads = channels / TF_MVE_QUAD;
    if (op->run.quads != 0) tf_mve_depthwise(&op->run);
    const uint32_t rest = channels % TF_MVE_QUAD;
    if (rest == 0) return;
    tf_mve_depthwise_t last = op->run;
    last.plane += last.quads * TF_MVE_BYTES;
    last.weights += last.quads * quad_weights;
    last.records += last.quads;
    convolve_rest(last, last.output + (channels - rest), rest);
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    op_t op = {
        .s = shape_of(call),
        .depth = p->depth,
        .zero = p->input_zero,
        .weights = tf_constant(call->model, p->weights),
        .records = tf_constant(call->model, p->bias),
        .plane = tf_write(call, 2, arena),
    };
    const axis_t *const packed = &op.s.packed;
    const axis_t *const walked = &op.s.walked;
    op.columns.to_step = op.s.column_bytes;
    op.run = (tf_mve_depthwise_t){
        .plane = op.plane,
        .plane_step = walked->stride * op.s.column_bytes,
        .output_step = walked->out_step,
        .chunks = op.s.chunks,
        .output_zero = p->output_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    const uint32_t most = run_length(&op.s, tf_operand(call, 2));
    const uint32_t oc = y->dims[3];
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t n = 0; n < x->dims[0]; n++) {
        int8_t *line = output;
        int32_t top = -(int32_t)packed->pad;
        for (uint32_t i = 0; i < packed->out; i++, line += packed->out_step) {
            int32_t left = -(int32_t)walked->pad;
            for (uint32_t at = 0; at < walked->out; at += op.run.outputs) {
                op.run.outputs = walked->out - at < most ? walked->out - at : most;
                for (uint32_t c = 0; c < oc; c += GROUP) {
                    const uint32_t channels = oc - c < GROUP ? oc - c : GROUP;
                    gather(&op, image, top, left, c, channels);
                    convolve(&op, line + at * walked->out_step, c, channels);
                }
                left += (int32_t)(op.run.outputs * walked->stride);
            }
            top += (int32_t)packed->stride;
        }
        image += x->dims[1] * x->dims[2] * x->dims[3];
        output += y->dims[1] * y->dims[2] * oc;
    }
}

const tf_kernel_t tf_mve_kernel_depthwise_conv = {
    .code = TF_OP_DEPTHWISE_CONV_2D,
    .inputs = 1,
    .outputs = 1,
    .temps = 1,
    .param_bytes = sizeof(tf_conv_params_t),
    .check = check,
    .run = run,
};
