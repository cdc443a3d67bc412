/* Checks a plan before its first op runs. A signed artifact is still input: a fault here must be a refusal,
 * never a wild read, on a node that nobody can reach. */
#include <string.h>

#include "kernel.h"
#include "metadata.h"
#include "quant.h"

typedef struct {
    uint32_t offset;
    uint32_t bytes;
    uint32_t count;
    bool present;
} span_t;

enum { SPANS = TF_SECTION_STATE + 1 };

static tf_model_status_t refuse(tf_model_t *model, tf_model_status_t status, uint32_t where) {
    model->where = where;
    return status;
}

static tf_model_status_t check_header(tf_model_t *model) {
    const tf_plan_header_t *const header = (const tf_plan_header_t *)(const void *)model->payload;
    if (model->size < sizeof(*header) || (uintptr_t)model->payload % TF_PLAN_ALIGN != 0 ||
        header->magic != TF_PLAN_MAGIC) {
        return refuse(model, TF_MODEL_MALFORMED, 0);
    }
    if (header->abi != TF_RUNTIME_ABI) {
        return refuse(model, TF_MODEL_ABI, offsetof(tf_plan_header_t, abi));
    }
    if (header->core >= 8 || ((uint32_t)tf_runtime_cores() >> header->core & 1u) == 0) {
        return refuse(model, TF_MODEL_CORE, offsetof(tf_plan_header_t, core));
    }
    if (header->payload_bytes != model->size) {
        return refuse(model, TF_MODEL_MALFORMED, offsetof(tf_plan_header_t, payload_bytes));
    }
    if (header->arena_bytes % TF_PLAN_ALIGN != 0) {
        return refuse(model, TF_MODEL_MALFORMED, offsetof(tf_plan_header_t, arena_bytes));
    }
    model->arena_bytes = header->arena_bytes;
    return TF_MODEL_OK;
}

static tf_model_status_t check_sections(tf_model_t *model, span_t spans[SPANS]) {
    const tf_plan_header_t *const header = (const tf_plan_header_t *)(const void *)model->payload;
    const tf_plan_section_t *const table = (const tf_plan_section_t *)(const void *)(header + 1);
    if (header->sections > TF_PLAN_SECTIONS_MAX ||
        header->sections * sizeof(*table) > model->size - sizeof(*header)) {
        return refuse(model, TF_MODEL_MALFORMED, offsetof(tf_plan_header_t, sections));
    }
    uint32_t end = (uint32_t)(sizeof(*header) + header->sections * sizeof(*table));
    for (uint32_t i = 0; i < header->sections; i++) {
        const tf_plan_section_t *const s = &table[i];
        const uint32_t where = (uint32_t)(sizeof(*header) + i * sizeof(*table));
        if (i > 0 && s->kind <= table[i - 1].kind) return refuse(model, TF_MODEL_MALFORMED, where);
        if (s->offset % TF_PLAN_ALIGN != 0 || s->offset < end || s->offset > model->size ||
            s->bytes > model->size - s->offset) {
            return refuse(model, TF_MODEL_MALFORMED, where);
        }
        end = s->offset + s->bytes;
        if (s->kind < SPANS) spans[s->kind] = (span_t){s->offset, s->bytes, s->count, true};
    }
    for (uint32_t kind = TF_SECTION_METADATA; kind <= TF_SECTION_CONSTANTS; kind++) {
        if (!spans[kind].present) return refuse(model, TF_MODEL_MALFORMED, sizeof(*header));
    }
    return TF_MODEL_OK;
}

static bool check_tensor(const tf_model_t *model, const tf_tensor_t *t) {
    if (t->dtype > TF_UINT64 || t->rank > TF_DIMS_MAX || t->reserved != 0) return false;
    uint32_t elements = 1;
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        const uint32_t dim = t->dims[i];
        if (dim == 0 || dim > TF_TENSOR_BYTES_MAX || (i >= t->rank && dim != 1)) return false;
        const uint64_t product = (uint64_t)elements * dim; /* 2^24 x 2^24 */
        if (product > TF_TENSOR_BYTES_MAX) return false;
        elements = (uint32_t)product;
    }
    const uint32_t bytes = tf_tensor_bytes(t); /* at most 8 x 2^24 */
    if (bytes > TF_TENSOR_BYTES_MAX) return false;
    if (t->place == TF_PLACE_CONSTANT) {
        return tf_has_constants(model, t->offset, bytes, tf_dtype_bytes(t->dtype) == 8 ? 8 : 4);
    }
    return t->place == TF_PLACE_ARENA && t->offset % TF_PLAN_ALIGN == 0 && t->offset <= model->arena_bytes &&
           bytes <= model->arena_bytes - t->offset;
}

static tf_model_status_t check_tensors(tf_model_t *model, const span_t *span) {
    if (span->count > TF_PLAN_RECORDS_MAX || span->bytes != span->count * sizeof(tf_tensor_t)) {
        return refuse(model, TF_MODEL_MALFORMED, span->offset);
    }
    model->tensors_at = span->offset;
    model->tensor_count = span->count;
    for (uint32_t i = 0; i < span->count; i++) {
        if (!check_tensor(model, tf_tensor(model, i))) {
            return refuse(model, TF_MODEL_MALFORMED, span->offset + i * (uint32_t)sizeof(tf_tensor_t));
        }
    }
    return TF_MODEL_OK;
}

static bool overlap(const tf_tensor_t *a, const tf_tensor_t *b) {
    if (a->place != TF_PLACE_ARENA || b->place != TF_PLACE_ARENA) return false;
    return a->offset < b->offset + tf_tensor_bytes(b) && b->offset < a->offset + tf_tensor_bytes(a);
}

/* What an op writes (outputs, temps) is in the arena and meets none of its other tensors, but for an output
 * in place. */
static bool check_writes(const tf_call_t *call, const tf_kernel_t *kernel) {
    const uint32_t count = (uint32_t)kernel->inputs + kernel->outputs + kernel->temps;
    for (uint32_t w = kernel->inputs; w < count; w++) {
        const tf_tensor_t *const written = tf_operand(call, w);
        if (written->place != TF_PLACE_ARENA) return false;
        for (uint32_t i = 0; i < w; i++) {
            const tf_tensor_t *const other = tf_operand(call, i);
            if (!overlap(written, other)) continue;
            const bool may = w == kernel->inputs && i < kernel->inputs && kernel->in_place != 0;
            if (!may || !kernel->in_place(call, i)) return false;
            if (written->offset != other->offset && !kernel->overlaps) return false;
        }
    }
    return true;
}

static bool check_op(const tf_call_t *call, const tf_kernel_t *kernel) {
    const tf_op_t *const op = call->op;
    const uint32_t count = (uint32_t)op->inputs + op->outputs + op->temps;
    if (op->inputs != kernel->inputs || op->outputs != kernel->outputs || op->temps != kernel->temps) {
        return false;
    }
    const uint32_t params_at = (uint32_t)((const uint8_t *)call->params - (const uint8_t *)op);
    if (op->bytes != params_at + kernel->param_bytes) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (call->tensors[i] >= call->model->tensor_count) return false;
        if (!kernel->own_dtypes && tf_operand(call, i)->dtype != TF_INT8) return false;
    }
    return kernel->check(call) && check_writes(call, kernel);
}

static tf_model_status_t check_ops(tf_model_t *model, const span_t *span) {
    if (span->count > TF_PLAN_RECORDS_MAX) return refuse(model, TF_MODEL_MALFORMED, span->offset);
    model->ops_at = span->offset;
    model->ops_bytes = span->bytes;
    model->op_count = span->count;
    const uint32_t core = ((const tf_plan_header_t *)(const void *)model->payload)->core;
    uint32_t at = 0;
    for (uint32_t i = 0; i < span->count; i++) {
        const uint32_t where = span->offset + at;
        if (span->bytes - at < sizeof(tf_op_t)) return refuse(model, TF_MODEL_MALFORMED, where);
        const tf_op_t *const op = (const tf_op_t *)(const void *)(model->payload + where);
        if (op->bytes < sizeof(tf_op_t) || op->bytes % 4 != 0 || op->bytes > span->bytes - at) {
            return refuse(model, TF_MODEL_MALFORMED, where);
        }
        if (tf_find_kernel(op->code, 0) == 0) return refuse(model, TF_MODEL_OP, i);
        const tf_kernel_t *const kernel = tf_find_kernel(op->code, op->variant);
        if (kernel == 0 || (op->variant != 0 && op->variant != core))
            return refuse(model, TF_MODEL_MALFORMED, where);
        tf_call_t call;
        (void)tf_next_op(model, &at, &call);
        if (!check_op(&call, kernel)) return refuse(model, TF_MODEL_MALFORMED, where);
    }
    return at == span->bytes ? TF_MODEL_OK : refuse(model, TF_MODEL_MALFORMED, span->offset + at);
}

static bool is_of_type(int32_t value, uint8_t dtype) {
    return dtype == TF_INT32 || (dtype == TF_INT16 && value >= INT16_MIN && value <= INT16_MAX) ||
           (dtype == TF_INT8 && value >= INT8_MIN && value <= INT8_MAX);
}

/* The endpoints of an INPUTS or OUTPUTS section and the bytes of all their tensors; NULL when one does not
 * add up. */
static const tf_endpoint_t *check_endpoint(const tf_model_t *model, const span_t *span, uint32_t *bytes) {
    if (span->count == 0 || span->count > TF_ENDPOINTS_MAX) return 0;
    if (span->bytes != span->count * sizeof(tf_endpoint_t)) return 0;
    const tf_endpoint_t *const ends = (const tf_endpoint_t *)(const void *)(model->payload + span->offset);
    for (uint32_t i = 0; i < span->count; i++) {
        const tf_endpoint_t *const e = &ends[i];
        if (e->tensor >= model->tensor_count || !tf_is_multiplier(e->multiplier, e->shift)) return 0;
        const tf_tensor_t *const t = tf_tensor(model, e->tensor);
        if (t->place != TF_PLACE_ARENA || !is_of_type(e->zero_point, t->dtype)) return 0;
        *bytes += tf_tensor_bytes(t);
    }
    return ends;
}

static tf_model_status_t check_endpoints(tf_model_t *model, const span_t *inputs, const span_t *outputs) {
    const tf_endpoint_t *const in = check_endpoint(model, inputs, &model->all_input_bytes);
    if (in == 0) return refuse(model, TF_MODEL_MALFORMED, inputs->offset);
    const tf_endpoint_t *const out = check_endpoint(model, outputs, &model->all_output_bytes);
    if (out == 0) return refuse(model, TF_MODEL_MALFORMED, outputs->offset);
    model->inputs_at = inputs->offset;
    model->outputs_at = outputs->offset;
    model->input_count = inputs->count;
    model->output_count = outputs->count;
    const tf_tensor_t *const source = tf_tensor(model, in->tensor);
    const tf_tensor_t *const sink = tf_tensor(model, out->tensor);
    model->input.bytes = tf_tensor_bytes(source);
    model->input.values = tf_elements(source);
    model->input.type = source->dtype;
    model->input.zero_point = in->zero_point;
    model->input.raw_multiplier = in->multiplier;
    model->input.raw_shift = in->shift;
    model->output_bytes = tf_tensor_bytes(sink);
    model->output.values = tf_elements(sink);
    model->output.type = sink->dtype;
    model->output.zero_point = out->zero_point;
    model->output.score_multiplier = out->multiplier;
    model->output.score_shift = out->shift;
    if ((uint64_t)model->input.samples * model->input.channels != model->input.values) {
        return refuse(model, TF_MODEL_MALFORMED, inputs->offset);
    }
    return TF_MODEL_OK;
}

static tf_model_status_t check_vectors(tf_model_t *model, const span_t *span) {
    if (!span->present) return TF_MODEL_OK;
    const uint64_t step = (model->all_input_bytes + 3u) / 4u * 4u + (model->all_output_bytes + 3u) / 4u * 4u;
    if (span->count == 0 || span->count > TF_VECTORS_MAX || span->bytes < sizeof(uint32_t)) {
        return refuse(model, TF_MODEL_MALFORMED, span->offset);
    }
    const uint32_t steps = *(const uint32_t *)(const void *)(model->payload + span->offset);
    if (steps == 0 || steps > TF_STEPS_MAX || span->bytes != span->count * (4u + steps * step)) {
        return refuse(model, TF_MODEL_MALFORMED, span->offset);
    }
    model->vectors_at = span->offset;
    model->vector_count = span->count;
    model->vector_steps = steps;
    const uint32_t vector = span->bytes / span->count;
    for (uint32_t i = 0; i < span->count; i++) {
        const uint32_t where = span->offset + i * vector;
        if (*(const uint32_t *)(const void *)(model->payload + where) != steps) {
            return refuse(model, TF_MODEL_MALFORMED, where);
        }
    }
    return TF_MODEL_OK;
}

static tf_model_status_t check_states(tf_model_t *model, const span_t *span) {
    if (!span->present) return TF_MODEL_OK;
    if (span->count > TF_PLAN_RECORDS_MAX || span->bytes != span->count * sizeof(tf_state_t)) {
        return refuse(model, TF_MODEL_MALFORMED, span->offset);
    }
    model->states_at = span->offset;
    model->state_count = span->count;
    const tf_state_t *const states = (const tf_state_t *)(const void *)(model->payload + span->offset);
    for (uint32_t i = 0; i < span->count; i++) {
        const tf_state_t *const state = &states[i];
        const uint32_t where = span->offset + i * (uint32_t)sizeof(*state);
        if (state->tensor >= model->tensor_count) return refuse(model, TF_MODEL_MALFORMED, where);
        const tf_tensor_t *const t = tf_tensor(model, state->tensor);
        const bool filled = state->initial == TF_STATE_FILLED;
        if (t->place != TF_PLACE_ARENA ||
            (!filled && !tf_has_constants(model, state->initial, tf_tensor_bytes(t), 4))) {
            return refuse(model, TF_MODEL_MALFORMED, where);
        }
    }
    return TF_MODEL_OK;
}

tf_model_status_t tf_model_load(tf_model_t *model, const uint8_t *payload, uint32_t size) {
    memset(model, 0, sizeof(*model));
    model->payload = payload;
    model->size = size;
    span_t spans[SPANS];
    memset(spans, 0, sizeof(spans));
    tf_model_status_t status = check_header(model);
    if (status != TF_MODEL_OK) return status;
    status = check_sections(model, spans);
    if (status != TF_MODEL_OK) return status;
    model->constants_at = spans[TF_SECTION_CONSTANTS].offset;
    model->constants_bytes = spans[TF_SECTION_CONSTANTS].bytes;
    const span_t *const metadata = &spans[TF_SECTION_METADATA];
    if (!tf_read_metadata(model, metadata->offset, metadata->bytes)) return TF_MODEL_MALFORMED;
    status = check_tensors(model, &spans[TF_SECTION_TENSORS]);
    if (status != TF_MODEL_OK) return status;
    status = check_ops(model, &spans[TF_SECTION_OPS]);
    if (status != TF_MODEL_OK) return status;
    status = check_endpoints(model, &spans[TF_SECTION_INPUTS], &spans[TF_SECTION_OUTPUTS]);
    if (status != TF_MODEL_OK) return status;
    status = check_states(model, &spans[TF_SECTION_STATE]);
    if (status != TF_MODEL_OK) return status;
    return check_vectors(model, &spans[TF_SECTION_VECTORS]);
}
