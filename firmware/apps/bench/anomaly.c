#include "anomaly.h"

#include <string.h>

enum { STEPS_MAX = 1024 }; /* beyond what any zero point leaves of int8 */

#define LARGEST 2147483.0f /* of what thousandths in 32 bits say; what is larger is told as this */

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_at(const uint8_t *floats, uint32_t i) {
    float value;
    memcpy(&value, floats + i * sizeof value, sizeof value);
    return value;
}

/* As QuantizeFloatToInt8 of the reference firmware: half away from zero, then clamped. What is no number
 * becomes the lowest. */
static uint8_t quantized(float value, float scale, int32_t zero_point) {
    const float steps = value / scale;
    int32_t whole = -STEPS_MAX;
    if (steps > (float)STEPS_MAX) {
        whole = STEPS_MAX;
    } else if (steps > (float)-STEPS_MAX) {
        whole = (int32_t)(steps < 0.0f ? steps - 0.5f : steps + 0.5f);
    }
    whole += zero_point;
    if (whole < INT8_MIN) whole = INT8_MIN;
    if (whole > INT8_MAX) whole = INT8_MAX;
    return (uint8_t)whole;
}

const char *anomaly_prepare(const bench_t *bench, const uint8_t *floats, uint8_t *input) {
    const tf_model_input_t *const spec = &bench->model.input;
    if (spec->scale_bits == 0) return "The model does not say its input's scale";
    const float scale = float_of(spec->scale_bits);
    for (uint32_t i = 0; i < spec->bytes; i++) {
        input[i] = quantized(float_at(floats, i), scale, spec->zero_point);
    }
    return NULL;
}

int32_t anomaly_error(const bench_t *bench, const uint8_t *floats) {
    const tf_model_output_t *const spec = &bench->model.output;
    const float scale = float_of(spec->scale_bits);
    float sum = 0.0f;
    for (uint32_t i = 0; i < spec->values; i++) {
        const int32_t steps = tf_model_value(&bench->model, bench->port->arena, i) - spec->zero_point;
        const float error = (float)steps * scale - float_at(floats, i);
        sum += error * error;
    }
    const float mean = sum / (float)spec->values;
    if (!(mean < LARGEST)) return INT32_MAX;
    return (int32_t)(mean * 1000.0f + 0.5f);
}
