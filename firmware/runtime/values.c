/* Between a model's integers and the world: raw sensor values in, classes and scores out. */
#include "kernel.h"
#include "quant.h"

static int32_t quantized(const tf_model_input_t *spec, int16_t raw) {
    return tf_wrap_add(tf_rescale(raw, spec->raw_multiplier, spec->raw_shift), spec->zero_point);
}

void tf_model_quantize(const tf_model_t *model, const int16_t *raw, void *input) {
    const tf_model_input_t *const spec = &model->input;
    if (spec->type == TF_VALUE_INT8) {
        int8_t *const to = input;
        for (uint32_t i = 0; i < spec->values; i++) {
            to[i] = (int8_t)tf_clamp(quantized(spec, raw[i]), INT8_MIN, INT8_MAX);
        }
    } else if (spec->type == TF_VALUE_INT16) {
        int16_t *const to = input;
        for (uint32_t i = 0; i < spec->values; i++) {
            to[i] = (int16_t)tf_clamp(quantized(spec, raw[i]), INT16_MIN, INT16_MAX);
        }
    } else {
        int32_t *const to = input;
        for (uint32_t i = 0; i < spec->values; i++) to[i] = quantized(spec, raw[i]);
    }
}

int32_t tf_model_value(const tf_model_t *model, const uint8_t *arena, uint32_t i) {
    const void *const output = tf_model_output(model, arena);
    if (model->output.type == TF_VALUE_INT8) return ((const int8_t *)output)[i];
    if (model->output.type == TF_VALUE_INT16) return ((const int16_t *)output)[i];
    return ((const int32_t *)output)[i];
}

uint32_t tf_model_greatest(const tf_model_t *model, const uint8_t *arena, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (tf_model_value(model, arena, i) > tf_model_value(model, arena, best)) best = i;
    }
    return best;
}

uint8_t tf_model_score(const tf_model_t *model, int32_t output) {
    const tf_model_output_t *const spec = &model->output;
    /* Farther steps than the shift leaves room for are beyond the score's ends anyway. */
    const int64_t room = INT32_MAX >> (spec->score_shift > 0 ? spec->score_shift : 0);
    int64_t steps = (int64_t)output - spec->zero_point;
    steps = steps < -room ? -room : (steps > room ? room : steps);
    return (uint8_t)tf_clamp(tf_rescale((int32_t)steps, spec->score_multiplier, spec->score_shift), 0,
                             UINT8_MAX);
}
