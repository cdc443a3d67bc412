/* SVDF: a filter over features gives one value a run, a filter over time goes over the last of them.
 * Reference: tensorflow/lite/micro/kernels/svdf_common.cc (EvalIntegerSvdfReference). */
#include "../../kernel.h"
#include "dot.h"

enum { INPUT = 0, OUTPUT = 1, STATE = 2 };

static bool check(const tf_call_t *call) {
    const tf_svdf_params_t *const p = call->params;
    const tf_tensor_t *const state = tf_operand(call, STATE);
    const uint32_t inputs = tf_elements(tf_operand(call, INPUT));
    const uint32_t outputs = tf_elements(tf_operand(call, OUTPUT));
    if (tf_operand(call, INPUT)->dtype != TF_INT8 || tf_operand(call, OUTPUT)->dtype != TF_INT8) return false;
    if (state->dtype != TF_INT8 && state->dtype != TF_INT16) return false;
    if (p->inputs == 0 || p->units == 0 || p->rank == 0 || p->memory == 0) return false;
    if (p->inputs > TF_TENSOR_BYTES_MAX || p->units > TF_TENSOR_BYTES_MAX ||
        p->memory > TF_TENSOR_BYTES_MAX) {
        return false;
    }
    const uint32_t batches = inputs / p->inputs;
    const uint64_t filters = (uint64_t)p->units * p->rank; /* below 2^40 */
    if (filters > TF_TENSOR_BYTES_MAX) return false;
    return batches > 0 && (uint64_t)batches * p->inputs == inputs &&
           (uint64_t)batches * p->units == outputs && filters * p->memory <= TF_TENSOR_BYTES_MAX &&
           filters * p->memory * batches == tf_elements(state) &&
           tf_has_constants(call->model, p->features, filters * p->inputs, 4) &&
           tf_has_constants(call->model, p->feature_bias, filters * 4, 4) &&
           tf_has_constants(call->model, p->times, filters * p->memory * tf_dtype_bytes(state->dtype), 4) &&
           tf_has_constants(call->model, p->bias, (uint64_t)p->units * 4, 4) &&
           tf_is_multiplier(p->feature_multiplier, p->feature_shift) &&
           tf_is_multiplier(p->output_multiplier, p->output_shift);
}

/* Takes `newest` into a filter's memory, the oldest out, and sums over what is there then. */
static int32_t over_time16(int32_t sum, int16_t *memory, const int16_t *weights, uint32_t count,
                           int32_t newest) {
    uint32_t total = (uint32_t)sum;
    for (uint32_t i = 0; i + 1 < count; i++) {
        memory[i] = memory[i + 1];
        total += (uint32_t)(memory[i] * weights[i]);
    }
    memory[count - 1] = (int16_t)newest;
    return (int32_t)(total + (uint32_t)(memory[count - 1] * weights[count - 1]));
}

static int32_t over_time8(int32_t sum, int8_t *memory, const int8_t *weights, uint32_t count,
                          int32_t newest) {
    uint32_t total = (uint32_t)sum;
    for (uint32_t i = 0; i + 1 < count; i++) {
        memory[i] = memory[i + 1];
        total += (uint32_t)(memory[i] * weights[i]);
    }
    memory[count - 1] = (int8_t)newest;
    return (int32_t)(total + (uint32_t)(memory[count - 1] * weights[count - 1]));
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_svdf_params_t *const p = call->params;
    const bool wide = tf_operand(call, STATE)->dtype == TF_INT16;
    const int32_t most = wide ? INT16_MAX : INT8_MAX;
    const int32_t *const bias = tf_constant(call->model, p->bias);
    const int32_t *const feature_bias = tf_constant(call->model, p->feature_bias);
    const int8_t *const features = tf_constant(call->model, p->features);
    const void *const times = tf_constant(call->model, p->times);
    const int8_t *input = tf_read(call, INPUT, arena);
    int8_t *output = tf_write(call, OUTPUT, arena);
    void *const state = tf_write(call, STATE, arena);
    const int8_t *const end = input + tf_elements(tf_operand(call, INPUT));
    for (uint32_t row = 0; input != end; input += p->inputs) {
        uint32_t filter = 0;
        for (uint32_t unit = 0; unit < p->units; unit++) {
            int32_t sum = bias[unit];
            for (uint32_t rank = 0; rank < p->rank; rank++, filter++, row++) {
                const int32_t feature =
                    tf_dot(feature_bias[filter], features + filter * p->inputs, input, p->inputs);
                const int32_t scaled = tf_rescale(feature, p->feature_multiplier, p->feature_shift);
                const int32_t newest = tf_clamp(scaled, -most - 1, most) + p->state_zero;
                const uint32_t at = row * p->memory;
                const uint32_t weights = filter * p->memory;
                sum = wide ? over_time16(sum, (int16_t *)state + at, (const int16_t *)times + weights,
                                         p->memory, newest)
                           : over_time8(sum, (int8_t *)state + at, (const int8_t *)times + weights, p->memory,
                                        newest);
            }
            const int32_t value =
                tf_wrap_add(tf_rescale(sum, p->output_multiplier, p->output_shift), p->output_zero);
            *output++ = (int8_t)tf_clamp(value, INT8_MIN, INT8_MAX);
        }
    }
}

const tf_kernel_t tf_kernel_svdf = {
    .code = TF_OP_SVDF,
    .inputs = 1,
    .outputs = 2,
    .param_bytes = sizeof(tf_svdf_params_t),
    .own_dtypes = true,
    .check = check,
    .run = run,
};
