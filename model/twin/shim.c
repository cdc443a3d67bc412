/* Flat doors for the host twin, so that Python needs no copy of a C struct. */
#include "kernel.h"

uint32_t tf_twin_model_bytes(void);
uint32_t tf_twin_load(tf_model_t *model, const uint8_t *payload, uint32_t size);
uint32_t tf_twin_where(const tf_model_t *model);
uint32_t tf_twin_step(const tf_model_t *model, uint32_t at, uint8_t *arena);

uint32_t tf_twin_model_bytes(void) {
    return sizeof(tf_model_t);
}

uint32_t tf_twin_load(tf_model_t *model, const uint8_t *payload, uint32_t size) {
    return (uint32_t)tf_model_load(model, payload, size);
}

uint32_t tf_twin_where(const tf_model_t *model) {
    return model->where;
}

/* Runs the op whose record starts `at` bytes into OPS and returns where the next one starts. */
uint32_t tf_twin_step(const tf_model_t *model, uint32_t at, uint8_t *arena) {
    tf_call_t call;
    if (tf_next_op(model, &at, &call)) tf_run_op(&call, arena);
    return at;
}
