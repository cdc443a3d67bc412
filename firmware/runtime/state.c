/* What a model remembers between two runs: its beginning, and golden vectors that step through it. */
#include <string.h>

#include "kernel.h"

static void fill(uint8_t *to, uint32_t elements, uint32_t width, int64_t value) {
    const uint64_t bits = (uint64_t)value;
    for (uint32_t i = 0; i < elements; i++) {
        for (uint32_t k = 0; k < width; k++) *to++ = (uint8_t)(bits >> (8 * k));
    }
}

void tf_model_reset(const tf_model_t *model, uint8_t *arena) {
    const tf_state_t *const states = (const tf_state_t *)(const void *)(model->payload + model->states_at);
    for (uint32_t i = 0; i < model->state_count; i++) {
        const tf_tensor_t *const tensor = tf_tensor(model, states[i].tensor);
        uint8_t *const to = arena + tensor->offset;
        if (states[i].initial == TF_STATE_FILLED) {
            fill(to, tf_elements(tensor), tf_dtype_bytes(tensor->dtype), states[i].fill);
        } else {
            memcpy(to, tf_constant(model, states[i].initial), tf_tensor_bytes(tensor));
        }
    }
}

static uint32_t padded(uint32_t bytes) {
    return (bytes + 3u) / 4u * 4u;
}

bool tf_model_vector(const tf_model_t *model, uint32_t i, uint32_t step, const uint8_t **input,
                     const uint8_t **output) {
    if (i >= model->vector_count || step >= model->vector_steps) return false;
    const uint32_t bytes = padded(model->all_input_bytes) + padded(model->all_output_bytes);
    const uint32_t at = i * (4u + model->vector_steps * bytes) + 4u + step * bytes;
    *input = model->payload + model->vectors_at + at;
    *output = *input + padded(model->all_input_bytes);
    return true;
}

bool tf_model_begin_step(const tf_model_t *model, uint8_t *arena, uint32_t i, uint32_t step) {
    const uint8_t *from, *expected;
    if (!tf_model_vector(model, i, step, &from, &expected)) return false;
    if (step == 0) tf_model_reset(model, arena);
    uint32_t bytes;
    void *input;
    for (uint32_t k = 0; (input = tf_model_input_at(model, arena, k, &bytes)) != 0; k++, from += bytes) {
        memcpy(input, from, bytes);
    }
    return true;
}

bool tf_model_step_passes(const tf_model_t *model, const uint8_t *arena, uint32_t i, uint32_t step) {
    const uint8_t *from, *expected;
    if (!tf_model_vector(model, i, step, &from, &expected)) return false;
    uint32_t bytes;
    const void *output;
    for (uint32_t k = 0; (output = tf_model_output_at(model, arena, k, &bytes)) != 0;
         k++, expected += bytes) {
        if (memcmp(output, expected, bytes) != 0) return false;
    }
    return true;
}

bool tf_model_vector_passes(const tf_model_t *model, uint8_t *arena, uint32_t arena_bytes, uint32_t i) {
    /* The inputs are written before tf_model_run looks. */
    if (arena_bytes < model->arena_bytes) return false;
    for (uint32_t step = 0; step < model->vector_steps; step++) {
        if (!tf_model_begin_step(model, arena, i, step)) return false;
        if (tf_model_run(model, arena, arena_bytes) != TF_MODEL_OK) return false;
        if (!tf_model_step_passes(model, arena, i, step)) return false;
    }
    return i < model->vector_count;
}
