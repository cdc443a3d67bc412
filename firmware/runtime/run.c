/* Runs a loaded plan. Nothing here checks again what tf_model_load has checked. */
#include "kernel.h"

bool tf_next_op(const tf_model_t *model, uint32_t *at, tf_call_t *call) {
    if (*at >= model->ops_bytes) return false;
    const uint8_t *const record = model->payload + model->ops_at + *at;
    const tf_op_t *const op = (const tf_op_t *)(const void *)record;
    const uint32_t tensors = (uint32_t)op->inputs + op->outputs + op->temps;
    call->model = model;
    call->op = op;
    call->tensors = (const uint16_t *)(const void *)(record + sizeof(tf_op_t));
    call->params = record + sizeof(tf_op_t) + (tensors * sizeof(uint16_t) + 3u) / 4u * 4u;
    *at += op->bytes;
    return true;
}

const void *tf_read(const tf_call_t *call, uint32_t i, const uint8_t *arena) {
    const tf_tensor_t *const tensor = tf_operand(call, i);
    if (tensor->place == TF_PLACE_CONSTANT) return tf_constant(call->model, tensor->offset);
    return arena + tensor->offset;
}

void *tf_write(const tf_call_t *call, uint32_t i, uint8_t *arena) {
    return arena + tf_operand(call, i)->offset;
}

void tf_run_op(const tf_call_t *call, uint8_t *arena) {
    tf_find_kernel(call->op->code, call->op->variant)->run(call, arena);
}

tf_model_status_t tf_model_run(const tf_model_t *model, uint8_t *arena, uint32_t arena_bytes) {
    if (arena_bytes < model->arena_bytes || (uintptr_t)arena % TF_PLAN_ALIGN != 0) return TF_MODEL_ARENA;
    tf_call_t call;
    for (uint32_t at = 0; tf_next_op(model, &at, &call);) tf_run_op(&call, arena);
    return TF_MODEL_OK;
}

static const tf_tensor_t *endpoint(const tf_model_t *model, uint32_t at, uint32_t i) {
    const tf_endpoint_t *const ends = (const tf_endpoint_t *)(const void *)(model->payload + at);
    return tf_tensor(model, ends[i].tensor);
}

void *tf_model_input_at(const tf_model_t *model, uint8_t *arena, uint32_t i, uint32_t *bytes) {
    if (i >= model->input_count) return 0;
    const tf_tensor_t *const tensor = endpoint(model, model->inputs_at, i);
    *bytes = tf_tensor_bytes(tensor);
    return arena + tensor->offset;
}

const void *tf_model_output_at(const tf_model_t *model, const uint8_t *arena, uint32_t i, uint32_t *bytes) {
    if (i >= model->output_count) return 0;
    const tf_tensor_t *const tensor = endpoint(model, model->outputs_at, i);
    *bytes = tf_tensor_bytes(tensor);
    return arena + tensor->offset;
}

void *tf_model_input(const tf_model_t *model, uint8_t *arena) {
    uint32_t bytes;
    return tf_model_input_at(model, arena, 0, &bytes);
}

const void *tf_model_output(const tf_model_t *model, const uint8_t *arena) {
    uint32_t bytes;
    return tf_model_output_at(model, arena, 0, &bytes);
}
