/* UNIDIRECTIONAL_SEQUENCE_LSTM: int8 activations, int16 cell. Reference:
 * tensorflow/lite/micro/kernels/lstm_eval.cc (EvalLstm) over
 * kernels/internal/reference/integer_ops/{logistic,tanh,mul,fully_connected}.h.
 *
 * A step needs no scratch: what it makes of the hidden state is the output, and the next step reads it there.
 */
#include <string.h>

#include "../../kernel.h"
#include "dot.h"

enum { INPUT = 0, OUTPUT = 1, HIDDEN = 2, CELL = 3 };
enum { INPUT_GATE = 0, FORGET_GATE = 1, CELL_GATE = 2, OUTPUT_GATE = 3, GATES = TF_DOT_ROWS };
enum { SIGMOIDS = 256, CURVE_MULTIPLIER = 3, CURVE_SHIFT_MAX = 30 };

static bool is_scale(const tf_scale_t *scale) {
    return tf_is_multiplier(scale->multiplier, scale->shift);
}

static bool are_scales(const tf_lstm_params_t *p) {
    for (uint32_t i = 0; i < GATES; i++) {
        if (!is_scale(&p->of_input[i]) || !is_scale(&p->of_hidden[i])) return false;
    }
    return is_scale(&p->forget) && is_scale(&p->update) && is_scale(&p->output);
}

static bool check(const tf_call_t *call) {
    const tf_lstm_params_t *const p = call->params;
    const tf_tensor_t *const cell = tf_operand(call, CELL);
    const uint32_t inputs = tf_elements(tf_operand(call, INPUT));
    for (uint32_t i = INPUT; i <= HIDDEN; i++) {
        if (tf_operand(call, i)->dtype != TF_INT8) return false;
    }
    if (cell->dtype != TF_INT16 || p->inputs == 0 || p->units == 0 || p->steps == 0) return false;
    if (p->inputs > TF_TENSOR_BYTES_MAX || p->units > TF_TENSOR_BYTES_MAX) return false;
    const uint32_t rows = inputs / p->inputs;
    const uint64_t weights = (uint64_t)p->units * GATES * (p->inputs + p->units); /* below 2^52 */
    return (uint64_t)rows * p->inputs == inputs && rows % p->steps == 0 && rows > 0 &&
           (uint64_t)rows * p->units == tf_elements(tf_operand(call, OUTPUT)) &&
           (uint64_t)(rows / p->steps) * p->units == tf_elements(cell) &&
           tf_elements(tf_operand(call, HIDDEN)) == tf_elements(cell) &&
           tf_has_constants(call->model, p->weights, weights, 4) &&
           tf_has_constants(call->model, p->bias, (uint64_t)p->units * GATES * 8, 4) &&
           tf_has_constants(call->model, p->sigmoid, SIGMOIDS * sizeof(uint16_t), 4) && are_scales(p) &&
           p->hidden_zero >= INT8_MIN && p->hidden_zero <= INT8_MAX && p->cell_most >= 0 &&
           p->curve_shift <= CURVE_SHIFT_MAX;
}

static int32_t clamp16(int32_t x) {
    return tf_clamp(x, INT16_MIN, INT16_MAX);
}

static int32_t scaled16(int32_t x, const tf_scale_t *scale) {
    return clamp16(tf_rescale(x, scale->multiplier, scale->shift));
}

/* Logistic of Q3.12 (x3 for the table's steps of 1/24); Q0.15. */
static int32_t sigmoid(const uint16_t *table, int32_t x) {
    const int32_t place = x * CURVE_MULTIPLIER;
    const uint32_t size = (uint32_t)(place < 0 ? -place : place);
    const uint32_t at = size >> 9;
    uint32_t result = 0x7FFFu << 10;
    if (at < SIGMOIDS - 1) {
        const uint32_t low = table[at];
        result = (low << 9) + (size & 0x1FFu) * (table[at + 1] - low);
    }
    result = place >= 0 ? result + (1u << 9) : (1u << 25) - result + (1u << 9) - 1u;
    return (int16_t)(result >> 10);
}

/* tanh x = 2 sigmoid(2 x) - 1; Q0.15. */
static int32_t tangent(const uint16_t *table, int32_t x, int32_t multiplier, uint32_t shift) {
    const uint32_t round = shift > 0 ? 1u << (shift - 1) : 0;
    const int32_t place = (int32_t)((uint32_t)(x * multiplier) + round) >> shift;
    const uint32_t size = place < 0 ? 0u - (uint32_t)place : (uint32_t)place;
    const uint32_t at = size >> 8;
    uint32_t result = 0xFFFFu << 8;
    if (at < SIGMOIDS - 1) {
        const uint32_t low = table[at];
        result = (low << 8) + (size & 0xFFu) * (table[at + 1] - low);
    }
    result = place >= 0 ? result - (1u << 23) + (1u << 7) : 0u - result + (1u << 23) + (1u << 7) - 1u;
    return (int16_t)((int32_t)result >> 8);
}

typedef struct {
    const tf_lstm_params_t *params;
    const int8_t *weights;
    const int32_t *bias;
    const uint16_t *sigmoid;
} lstm_t;

/* What goes into the four gates of a unit, Q3.12. */
static void gate_inputs(const lstm_t *lstm, uint32_t unit, const int8_t *x, const int8_t *hidden,
                        int32_t into[GATES]) {
    const tf_lstm_params_t *const p = lstm->params;
    const uint32_t pitch = p->inputs + p->units;
    const int8_t *const weights = lstm->weights + unit * GATES * pitch;
    const int32_t *const bias = lstm->bias + unit * GATES * 2;
    int32_t of_input[GATES], of_hidden[GATES];
    for (uint32_t i = 0; i < GATES; i++) {
        of_input[i] = bias[2 * i];
        of_hidden[i] = bias[2 * i + 1];
    }
    tf_dot_rows(of_input, weights, pitch, x, p->inputs);
    tf_dot_rows(of_hidden, weights + p->inputs, pitch, hidden, p->units);
    for (uint32_t i = 0; i < GATES; i++) {
        into[i] = clamp16(scaled16(of_input[i], &p->of_input[i]) + scaled16(of_hidden[i], &p->of_hidden[i]));
    }
}

/* One step of one sequence: from x and the hidden state to the next one. */
static void step(const lstm_t *lstm, const int8_t *x, const int8_t *hidden, int16_t *cell, int8_t *next) {
    const tf_lstm_params_t *const p = lstm->params;
    const uint16_t *const table = lstm->sigmoid;
    for (uint32_t unit = 0; unit < p->units; unit++) {
        int32_t into[GATES];
        gate_inputs(lstm, unit, x, hidden, into);
        const int32_t update = p->flags & TF_FLAG_CELL_SIGMOID
                                   ? sigmoid(table, into[CELL_GATE])
                                   : tangent(table, into[CELL_GATE], CURVE_MULTIPLIER, 0);
        const int32_t kept = scaled16(sigmoid(table, into[FORGET_GATE]) * cell[unit], &p->forget);
        const int32_t added = scaled16(sigmoid(table, into[INPUT_GATE]) * update, &p->update);
        int32_t value = clamp16(kept + added);
        if (p->flags & TF_FLAG_CELL_CLIP) value = tf_clamp(value, -p->cell_most, p->cell_most);
        cell[unit] = (int16_t)value;
        const int32_t curve = tangent(table, value, p->curve_multiplier, p->curve_shift);
        const int32_t product = curve * sigmoid(table, into[OUTPUT_GATE]);
        const int32_t scaled = tf_rescale(product, p->output.multiplier, p->output.shift);
        next[unit] = (int8_t)tf_clamp(tf_wrap_add(scaled, p->hidden_zero), INT8_MIN, INT8_MAX);
    }
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_lstm_params_t *const p = call->params;
    const lstm_t lstm = {p, tf_constant(call->model, p->weights), tf_constant(call->model, p->bias),
                         tf_constant(call->model, p->sigmoid)};
    const int8_t *const input = tf_read(call, INPUT, arena);
    int8_t *const output = tf_write(call, OUTPUT, arena);
    int8_t *hidden = tf_write(call, HIDDEN, arena);
    int16_t *cell = tf_write(call, CELL, arena);
    const uint32_t batches = tf_elements(tf_operand(call, CELL)) / p->units;
    const bool time_major = (p->flags & TF_FLAG_TIME_MAJOR) != 0;
    const uint32_t stride = time_major ? batches : 1;
    for (uint32_t batch = 0; batch < batches; batch++, hidden += p->units, cell += p->units) {
        uint32_t row = time_major ? batch : batch * p->steps;
        const int8_t *last = hidden;
        for (uint32_t i = 0; i < p->steps; i++, row += stride) {
            int8_t *const next = output + row * p->units;
            step(&lstm, input + row * p->inputs, last, cell, next);
            last = next;
        }
        memcpy(hidden, last, p->units);
    }
}

const tf_kernel_t tf_kernel_lstm = {
    .code = TF_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
    .inputs = 1,
    .outputs = 3,
    .param_bytes = sizeof(tf_lstm_params_t),
    .own_dtypes = true,
    .check = check,
    .run = run,
};
