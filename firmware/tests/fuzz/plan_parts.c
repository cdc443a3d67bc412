#include "plan_parts.h"

#include <string.h>

static uint32_t round_up(uint32_t value, uint32_t to) {
    return (value + to - 1) / to * to;
}

bool parts_of_plan(plan_parts_t *parts, const uint8_t *plan, size_t size) {
    if (size < sizeof parts->header) return false;
    memcpy(&parts->header, plan, sizeof parts->header);
    const uint32_t sections = parts->header.sections;
    if (sections > TF_PLAN_SECTIONS_MAX) return false;
    if (size < sizeof parts->header + sections * sizeof(tf_plan_section_t)) return false;
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        parts->part[kind].present = false;
        parts->part[kind].bytes = 0;
        parts->part[kind].count = 0;
    }
    for (uint32_t i = 0; i < sections; i++) {
        tf_plan_section_t section;
        memcpy(&section, plan + sizeof parts->header + i * sizeof section, sizeof section);
        if (section.kind >= KINDS || section.bytes > PART_MAX) return false;
        if (section.offset > size || section.bytes > size - section.offset) return false;
        part_t *const part = &parts->part[section.kind];
        part->present = true;
        part->bytes = section.bytes;
        part->count = section.count;
        memcpy(part->content, plan + section.offset, section.bytes);
    }
    return true;
}

size_t plan_of_parts(const plan_parts_t *parts, uint8_t *plan, size_t room) {
    tf_plan_header_t header = parts->header;
    header.sections = 0;
    for (uint32_t kind = 0; kind < KINDS; kind++) header.sections += parts->part[kind].present;
    const size_t table_end = sizeof header + header.sections * sizeof(tf_plan_section_t);
    uint32_t at = (uint32_t)table_end;
    uint32_t row = 0;
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        const part_t *const part = &parts->part[kind];
        if (!part->present) continue;
        const uint32_t start = round_up(at, TF_PLAN_ALIGN);
        if (start + part->bytes > room) return 0;
        if (start > at) memset(plan + at, 0, start - at);
        const tf_plan_section_t section = {kind, start, part->bytes, part->count};
        memcpy(plan + sizeof header + row++ * sizeof section, &section, sizeof section);
        memcpy(plan + start, part->content, part->bytes);
        at = start + part->bytes;
    }
    header.payload_bytes = at;
    memcpy(plan, &header, sizeof header);
    return at;
}

tf_op_t op_record(const plan_parts_t *parts, uint32_t at) {
    tf_op_t op;
    memcpy(&op, parts->part[TF_SECTION_OPS].content + at, sizeof op);
    return op;
}

uint32_t op_head_bytes(const tf_op_t *op) {
    return (uint32_t)sizeof *op + round_up(2u * ((uint32_t)op->inputs + op->outputs + op->temps), 4);
}

static bool is_op(const plan_parts_t *parts, uint32_t at) {
    const uint32_t left = parts->part[TF_SECTION_OPS].bytes - at;
    if (left < sizeof(tf_op_t)) return false;
    const tf_op_t op = op_record(parts, at);
    return op.bytes % 4 == 0 && op.bytes <= left && op.bytes >= op_head_bytes(&op);
}

uint32_t op_at(const plan_parts_t *parts, uint32_t index) {
    uint32_t at = 0;
    for (; index > 0 && is_op(parts, at); index--) at += op_record(parts, at).bytes;
    return at;
}

uint32_t ops_in(const plan_parts_t *parts) {
    uint32_t count = 0;
    for (uint32_t at = 0; is_op(parts, at); count++) at += op_record(parts, at).bytes;
    return count;
}

uint32_t tensors_in(const plan_parts_t *parts) {
    return parts->part[TF_SECTION_TENSORS].bytes / (uint32_t)sizeof(tf_tensor_t);
}

tf_tensor_t tensor_record(const plan_parts_t *parts, uint32_t index) {
    tf_tensor_t tensor;
    memcpy(&tensor, parts->part[TF_SECTION_TENSORS].content + index * sizeof tensor, sizeof tensor);
    return tensor;
}

void put_tensor(plan_parts_t *parts, uint32_t index, const tf_tensor_t *tensor) {
    memcpy(parts->part[TF_SECTION_TENSORS].content + index * sizeof *tensor, tensor, sizeof *tensor);
}

/* 0 for what no arena of ours could hold. */
static uint32_t bytes_of(const tf_tensor_t *tensor) {
    static const uint8_t element_bytes[] = {1, 2, 4, 1, 4, 4, 8, 8};
    uint64_t bytes = element_bytes[tensor->dtype % 8];
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        bytes *= tensor->dims[i];
        if (bytes > TF_TENSOR_BYTES_MAX) return 0;
    }
    return (uint32_t)bytes;
}

void fit_arena(plan_parts_t *parts) {
    uint32_t arena = 0;
    part_t *const constants = &parts->part[TF_SECTION_CONSTANTS];
    for (uint32_t i = 0; i < tensors_in(parts); i++) {
        const tf_tensor_t tensor = tensor_record(parts, i);
        if (tensor.offset > TF_TENSOR_BYTES_MAX) continue;
        const uint32_t end = tensor.offset + bytes_of(&tensor);
        if (tensor.place == TF_PLACE_CONSTANT) {
            if (end <= constants->bytes || end > PART_MAX) continue;
            memset(constants->content + constants->bytes, 1, end - constants->bytes);
            constants->bytes = end;
        } else if (end > arena) {
            arena = end;
        }
    }
    parts->header.arena_bytes = round_up(arena, TF_PLAN_ALIGN);
}

static uint32_t first_tensor(const plan_parts_t *parts, uint32_t kind, uint32_t index) {
    tf_endpoint_t end;
    memcpy(&end, parts->part[kind].content + index * sizeof end, sizeof end);
    return end.tensor;
}

/* Bytes of all tensors of INPUTS or OUTPUTS, filled to a multiple of 4. */
static uint32_t endpoint_bytes(const plan_parts_t *parts, uint32_t kind) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < parts->part[kind].bytes / sizeof(tf_endpoint_t); i++) {
        const uint32_t index = first_tensor(parts, kind, i);
        if (index >= tensors_in(parts)) continue;
        const tf_tensor_t tensor = tensor_record(parts, index);
        bytes += bytes_of(&tensor);
    }
    return bytes > PART_MAX ? PART_MAX + 1u : round_up(bytes, 4);
}

void fit_vectors(plan_parts_t *parts) {
    part_t *const vectors = &parts->part[TF_SECTION_VECTORS];
    const uint32_t step =
        endpoint_bytes(parts, TF_SECTION_INPUTS) + endpoint_bytes(parts, TF_SECTION_OUTPUTS);
    if (!vectors->present) return;
    uint32_t steps = 1;
    if (vectors->bytes >= sizeof steps) memcpy(&steps, vectors->content, sizeof steps);
    if (steps == 0 || steps > PART_MAX || (uint64_t)vectors->count * (4 + steps * step) > PART_MAX) {
        vectors->present = false;
        return;
    }
    const uint32_t one = 4 + steps * step;
    if (vectors->bytes == vectors->count * one) return;
    vectors->bytes = vectors->count * one;
    for (uint32_t i = 0; i < vectors->count; i++) memcpy(vectors->content + i * one, &steps, sizeof steps);
}

/* Length of the CBOR item at `at`, of those kinds that metadata has; 0 where it ends too early. */
static uint32_t item_bytes(const part_t *part, uint32_t at) {
    uint32_t left = 1;
    uint32_t end = at;
    while (left > 0) {
        if (end >= part->bytes) return 0;
        const uint8_t first = part->content[end++];
        const uint32_t wide = first % 32 < 24 ? 0 : 1u << (first % 32 - 24) % 4;
        if (wide > part->bytes - end || wide > 4) return 0;
        uint32_t argument = wide == 0 ? first % 32u : 0;
        for (uint32_t i = 0; i < wide; i++) argument = argument << 8 | part->content[end++];
        const uint8_t major = first / 32;
        left--;
        if (argument > part->bytes) return 0;
        if (major == 2 || major == 3) end += argument;
        if (major == 4) left += argument;
        if (major == 5) left += 2 * argument;
        if (left > part->bytes || end > part->bytes) return 0;
    }
    return end - at;
}

/* Puts the u16 `value` in the place of the value of `key`, a number below 24. */
static void put_number(part_t *map, uint8_t key, uint32_t value) {
    uint32_t at = 1; /* behind the head of a map of at most 23 pairs */
    while (at < map->bytes) {
        const uint32_t key_bytes = item_bytes(map, at);
        const uint32_t value_at = at + key_bytes;
        const uint32_t value_bytes = key_bytes == 0 ? 0 : item_bytes(map, value_at);
        if (value_bytes == 0) return;
        if (map->content[at] != key) {
            at = value_at + value_bytes;
            continue;
        }
        const uint32_t behind = map->bytes - value_at - value_bytes;
        if (map->bytes + 3 > PART_MAX) return;
        memmove(map->content + value_at + 3, map->content + value_at + value_bytes, behind);
        map->content[value_at] = 0x19;
        map->content[value_at + 1] = (uint8_t)(value >> 8);
        map->content[value_at + 2] = (uint8_t)value;
        map->bytes = value_at + 3 + behind;
        return;
    }
}

void fit_metadata(plan_parts_t *parts) {
    enum { KEY_SAMPLES = 5, KEY_CHANNELS = 6 };
    if (parts->part[TF_SECTION_INPUTS].bytes < sizeof(tf_endpoint_t)) return;
    const uint32_t index = first_tensor(parts, TF_SECTION_INPUTS, 0);
    if (index >= tensors_in(parts)) return;
    const tf_tensor_t tensor = tensor_record(parts, index);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        elements *= tensor.dims[i];
        if (elements == 0 || elements > UINT16_MAX) return;
    }
    put_number(&parts->part[TF_SECTION_METADATA], KEY_SAMPLES, (uint32_t)elements);
    put_number(&parts->part[TF_SECTION_METADATA], KEY_CHANNELS, 1);
}
