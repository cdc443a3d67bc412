/* DEPTHWISE_CONV_2D in runs of outputs. For each run the scratch takes columns of input values: up to four
 * taps of one axis, the packed one, in a word, 16 channels beside one another. A window is a column for each
 * tap of the other axis, the walked one; its words' products with a channel's weights are one instruction.
 * Runs go along the walked axis, where outputs share columns, or, with one tap there, along the packed one.
 * How long a run is, the scratch says. */
#include "packed.h"

enum { TAPS = 4 /* in a word */, WORDS = 4 /* in a chunk of weights */, GROUP = TF_MVE_BYTES };

typedef struct {
    uint32_t in, out, kernel, stride, dilation, pad;
    uint32_t in_step, out_step; /* from one value to the next */
} axis_t;

typedef struct {
    axis_t packed, walked;
    bool stacked;         /* runs go along the packed axis */
    uint32_t words;       /* a column has for each group of channels */
    uint32_t chunks;      /* of a window */
    uint32_t column_step; /* from one output's first column to the next one's */
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
    s.stacked = s.walked.kernel == 1;
    s.column_step = s.stacked ? 1 : s.walked.stride;
    return s;
}

/* Outputs of a run that the scratch has room for; 0: not even one. Behind the last column may be words that
 * are read and meet weights of 0. */
static uint32_t run_length(const shape_t *s, const tf_tensor_t *scratch) {
    const uint32_t slack = (s->chunks * WORDS - s->walked.kernel * s->words) * TF_MVE_COLUMN;
    const uint32_t bytes = tf_elements(scratch);
    const uint32_t columns = bytes < slack ? 0 : (bytes - slack) / s->column_bytes;
    return columns < s->walked.kernel ? 0 : (columns - s->walked.kernel) / s->column_step + 1;
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
    const int8_t *weights;
    const tf_quad_t *records;
    int8_t *plane;
    int8_t zeros[GROUP]; /* the input's zero point */
    uint8_t spread[GROUP];
    tf_mve_columns_t columns;
    tf_mve_depthwise_t run;
} op_t;

/* Columns of the scratch from number `at`, from a line along the packed axis: `from` is its first value,
 * `top` where the window begins in it, `step` bytes lie from one column's values to the next. NULL: padding.
 */
static void put(op_t *op, uint32_t at, uint32_t count, const int8_t *from, int32_t top, uint32_t step) {
    const axis_t *const packed = &op->s.packed;
    tf_mve_columns_t *const c = &op->columns;
    c->to = op->plane + at * op->s.column_bytes;
    c->columns = count;
    c->spread = from != 0 && op->depth != 1 ? op->spread : 0;
    for (uint32_t taps = packed->kernel; taps != 0 && count != 0; c->to += TF_MVE_COLUMN) {
        for (uint32_t k = 0; k < TAPS; k++) {
            const bool inside = from != 0 && taps != 0 && top >= 0 && top < (int32_t)packed->in;
            c->from[k] = inside ? from + (uint32_t)top * packed->in_step : op->zeros;
            c->from_step[k] = inside ? step : 0;
            if (taps != 0) taps--;
            top += (int32_t)packed->dilation;
        }
        tf_mve_columns(c);
    }
}

/* Along the walked axis: `image` is the input, `left` where the run's first window begins. Columns in the
 * padding stay as they are from one group of channels to the next. */
static void gather_walked(op_t *op, const int8_t *image, int32_t top, int32_t left, bool is_first_group) {
    const axis_t *const walked = &op->s.walked;
    const uint32_t all = (op->run.outputs - 1) * walked->stride + walked->kernel;
    const uint32_t before = left < 0 ? (uint32_t)-left : 0;
    const uint32_t begin = left < 0 ? 0 : (uint32_t)left;
    const uint32_t inside = all - before < walked->in - begin ? all - before : walked->in - begin;
    put(op, before, inside, image + begin * walked->in_step, top, walked->in_step);
    if (!is_first_group) return;
    put(op, 0, before, 0, 0, 0);
    put(op, before + inside, all - before - inside, 0, 0, 0);
}

/* Along the packed axis: windows that meet the padding one by one, the others together. */
static void gather_stacked(op_t *op, const int8_t *line, int32_t top) {
    const axis_t *const packed = &op->s.packed;
    const int32_t last = (int32_t)packed->in - (int32_t)((packed->kernel - 1) * packed->dilation + 1);
    const int32_t stride = (int32_t)packed->stride;
    uint32_t count;
    for (uint32_t at = 0; at < op->run.outputs; at += count, top += (int32_t)count * stride) {
        count = 1;
        if (top >= 0 && top <= last) {
            const uint32_t inside = (uint32_t)((last - top) / stride) + 1;
            count = inside < op->run.outputs - at ? inside : op->run.outputs - at;
        }
        put(op, at, count, line, top, packed->stride * packed->in_step);
    }
}

/* The group of output channels from `first` on; answers where its first input channel lies in `image`. */
static const int8_t *open_group(op_t *op, const int8_t *image, uint32_t first, uint32_t channels) {
    op->columns.channels = channels;
    if (op->depth == 1) return image + first;
    const uint32_t begin = first / op->depth;
    for (uint32_t i = 0; i < channels; i++) op->spread[i] = (uint8_t)((first + i) / op->depth - begin);
    return image + begin;
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

/* An image's outputs: lines of runs. */
static void each_run(op_t *op, const int8_t *image, int8_t *output, uint32_t oc, uint32_t most) {
    const shape_t *const s = &op->s;
    const axis_t *const along = s->stacked ? &s->packed : &s->walked;
    const axis_t *const over = s->stacked ? &s->walked : &s->packed;
    int32_t top = -(int32_t)over->pad;
    for (uint32_t i = 0; i < over->out; i++, output += over->out_step, top += (int32_t)over->stride) {
        int32_t left = -(int32_t)along->pad;
        for (uint32_t at = 0; at < along->out; at += op->run.outputs) {
            op->run.outputs = along->out - at < most ? along->out - at : most;
            for (uint32_t c = 0; c < oc; c += GROUP) {
                const uint32_t channels = oc - c < GROUP ? oc - c : GROUP;
                const int8_t *const from = open_group(op, image, c, channels);
                if (s->stacked) {
                    gather_stacked(op, from + (uint32_t)top * over->in_step, left);
                } else {
                    gather_walked(op, from, top, left, c == 0);
                }
                convolve(op, output + at * along->out_step, c, channels);
            }
            left += (int32_t)(op->run.outputs * along->stride);
        }
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_conv_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    op_t op = {
        .s = shape_of(call),
        .depth = p->depth,
        .weights = tf_constant(call->model, p->weights),
        .records = tf_constant(call->model, p->bias),
        .plane = tf_write(call, 2, arena),
    };
    tf_mve_fill(op.zeros, p->input_zero, GROUP);
    op.columns.to_step = op.s.column_bytes;
    op.run = (tf_mve_depthwise_t){
        .plane = op.plane,
        .plane_step = op.s.column_step * op.s.column_bytes,
        .output_step = op.s.stacked ? op.s.packed.out_step : op.s.walked.out_step,
        .chunks = op.s.chunks,
        .output_zero = p->output_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    const uint32_t most = run_length(&op.s, tf_operand(call, 2));
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t n = 0; n < x->dims[0]; n++) {
        each_run(&op, image, output, y->dims[3], most);
        image += x->dims[1] * x->dims[2] * x->dims[3];
        output += y->dims[1] * y->dims[2] * y->dims[3];
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
