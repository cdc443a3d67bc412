/* Changes plans without breaking what holds them together: most of libFuzzer's own mutations end at the
 * section table. A few changes at a time, of fields that mean something, and then mostly sizes made to fit.
 */
#include <string.h>

#include "fuzz.h"
#include "plan_parts.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t room, unsigned int seed);

enum { CHANGES_MAX = 4 };

typedef struct {
    uint64_t state;
} dice_t;

static uint32_t roll(dice_t *dice, uint32_t below) {
    dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
    return below == 0 ? 0 : (uint32_t)(dice->state >> 33) % below;
}

static bool chance(dice_t *dice, uint32_t percent) {
    return roll(dice, 100) < percent;
}

static uint32_t number(dice_t *dice, uint32_t now) {
    static const uint32_t edges[] = {0,         1,        2,         3,       4,
                                     7,         8,        15,        16,      17,
                                     31,        32,       127,       128,     255,
                                     256,       4095,     4096,      32767,   32768,
                                     65535,     65536,    1 << 20,   1 << 24, (1 << 24) + 1,
                                     INT32_MAX, 1u << 31, UINT32_MAX};
    switch (roll(dice, 8)) {
        case 0:
            return edges[roll(dice, sizeof edges / sizeof edges[0])];
        case 1:
            return now + 1;
        case 2:
            return now - 1;
        case 3:
            return now ^ 1u << roll(dice, 32);
        case 4:
            return now * 2;
        case 5:
            return now / 2;
        case 6:
            return now + (roll(dice, 17) - 8) * 16;
        default:
            return roll(dice, 40);
    }
}

static void change_at(part_t *part, uint32_t at, uint32_t width, dice_t *dice) {
    uint32_t value = 0;
    if (at + width > part->bytes) return;
    memcpy(&value, part->content + at, width);
    value = number(dice, value);
    memcpy(part->content + at, &value, width);
}

/* A naturally aligned field of 1, 2 or 4 bytes. */
static void change_field(part_t *part, uint32_t from, uint32_t bytes, dice_t *dice) {
    const uint32_t width = 1u << roll(dice, 3);
    if (bytes < width) return;
    change_at(part, from + roll(dice, bytes / width) * width, width, dice);
}

static void change_tensor(plan_parts_t *parts, dice_t *dice) {
    const uint32_t count = tensors_in(parts);
    if (count == 0) return;
    const uint32_t index = roll(dice, count);
    tf_tensor_t t = tensor_record(parts, index);
    const uint32_t a = roll(dice, TF_DIMS_MAX), b = roll(dice, TF_DIMS_MAX);
    switch (roll(dice, 9)) {
        case 8: /* where one byte too many is outside the arena */
            t.offset = (parts->header.arena_bytes + TF_PLAN_ALIGN - 1) / TF_PLAN_ALIGN * TF_PLAN_ALIGN;
            break;
        case 0:
            t.offset = roll(dice, parts->header.arena_bytes / TF_PLAN_ALIGN + 1) * TF_PLAN_ALIGN;
            break;
        case 1: /* onto another one */
            t.offset = tensor_record(parts, roll(dice, count)).offset;
            break;
        case 2:
            t.place = (uint8_t)roll(dice, 3);
            break;
        case 3:
            t.dtype = (uint8_t)roll(dice, 8);
            break;
        case 4: /* the same elements in another shape */
            t.dims[a] *= t.dims[b];
            if (a != b) t.dims[b] = 1;
            break;
        case 5: {
            const uint32_t dim = t.dims[a];
            t.dims[a] = t.dims[b];
            t.dims[b] = dim;
            break;
        }
        case 6:
            t.rank = (uint8_t)roll(dice, TF_DIMS_MAX + 1);
            break;
        default:
            t.dims[a] = number(dice, t.dims[a]);
            if (t.dims[a] != 1 && t.rank <= a) t.rank = (uint8_t)(a + 1);
            break;
    }
    put_tensor(parts, index, &t);
}

/* A size is known to several records: changes it wherever it stands, in shapes and in parameters. */
static void change_size(plan_parts_t *parts, dice_t *dice) {
    const uint32_t count = tensors_in(parts);
    if (count == 0) return;
    const tf_tensor_t chosen = tensor_record(parts, roll(dice, count));
    const uint32_t before = chosen.dims[roll(dice, TF_DIMS_MAX)];
    const uint32_t after = chance(dice, 50) ? 1 + roll(dice, 24) : number(dice, before);
    for (uint32_t i = 0; i < count; i++) {
        tf_tensor_t t = tensor_record(parts, i);
        for (uint32_t d = 0; d < t.rank && d < TF_DIMS_MAX; d++) {
            if (t.dims[d] == before && chance(dice, 90)) t.dims[d] = after;
        }
        put_tensor(parts, i, &t);
    }
    part_t *const ops = &parts->part[TF_SECTION_OPS];
    for (uint32_t i = 0; i < ops_in(parts); i++) {
        const uint32_t at = op_at(parts, i);
        const tf_op_t op = op_record(parts, at);
        const uint32_t width = chance(dice, 50) ? 2 : 4;
        for (uint32_t k = op_head_bytes(&op); k + width <= op.bytes; k += width) {
            uint32_t value = 0;
            memcpy(&value, ops->content + at + k, width);
            if (value == before && chance(dice, 80)) memcpy(ops->content + at + k, &after, width);
        }
    }
}

/* Moves what follows `at` in a section; false when it would not fit. */
static bool make_room(part_t *part, uint32_t at, uint32_t bytes) {
    if (part->bytes + bytes > PART_MAX) return false;
    memmove(part->content + at + bytes, part->content + at, part->bytes - at);
    part->bytes += bytes;
    return true;
}

static void cut(part_t *part, uint32_t at, uint32_t bytes) {
    memmove(part->content + at, part->content + at + bytes, part->bytes - at - bytes);
    part->bytes -= bytes;
}

static void change_op(plan_parts_t *parts, dice_t *dice) {
    part_t *const ops = &parts->part[TF_SECTION_OPS];
    const uint32_t count = ops_in(parts);
    if (count == 0) return;
    const uint32_t at = op_at(parts, roll(dice, count));
    tf_op_t op = op_record(parts, at);
    const uint32_t head = op_head_bytes(&op);
    const uint32_t operands = (uint32_t)op.inputs + op.outputs + op.temps;
    switch (roll(dice, 10)) {
        case 0: /* another tensor */
            if (operands != 0) {
                const uint16_t tensor = (uint16_t)roll(dice, tensors_in(parts) + 1);
                memcpy(ops->content + at + sizeof op + roll(dice, operands) * 2, &tensor, sizeof tensor);
            }
            break;
        case 1: /* an op that may take the same record */
            op.code = op_record(parts, op_at(parts, roll(dice, count))).code;
            memcpy(ops->content + at, &op, sizeof op);
            break;
        case 2:
            op.variant = (uint8_t)roll(dice, 3);
            memcpy(ops->content + at, &op, sizeof op);
            break;
        case 3: { /* once more, there or elsewhere */
            uint8_t copy[512];
            const uint32_t to = op_at(parts, roll(dice, count + 1));
            if (op.bytes > sizeof copy) break;
            memcpy(copy, ops->content + at, op.bytes);
            if (!make_room(ops, to, op.bytes)) break;
            memcpy(ops->content + to, copy, op.bytes);
            ops->count++;
            break;
        }
        case 4:
            if (count < 2) break;
            cut(ops, at, op.bytes);
            ops->count--;
            break;
        case 5:
            change_field(ops, at, head, dice);
            break;
        default:
            change_field(ops, at + head, op.bytes - head, dice);
            break;
    }
}

static void add_tensor(plan_parts_t *parts, dice_t *dice) {
    const uint32_t count = tensors_in(parts);
    part_t *const tensors = &parts->part[TF_SECTION_TENSORS];
    if (count == 0 || !make_room(tensors, tensors->bytes, sizeof(tf_tensor_t))) return;
    const tf_tensor_t copy = tensor_record(parts, roll(dice, count));
    put_tensor(parts, count, &copy);
    tensors->count++;
}

/* What libFuzzer would do to any bytes, in one section. */
static void change_bytes(part_t *part, dice_t *dice) {
    if (!part->present) return;
    const uint32_t slice = part->bytes == 0 ? 0 : roll(dice, part->bytes);
    const uint32_t window = part->bytes - slice < 64 ? part->bytes - slice : 64;
    if (window == 0 || chance(dice, 20)) {
        part->bytes = (uint32_t)LLVMFuzzerMutate(part->content, part->bytes, PART_MAX);
    } else {
        (void)LLVMFuzzerMutate(part->content + slice, window, window);
    }
}

static void change_records(part_t *part, dice_t *dice) {
    if (part->bytes != 0) change_field(part, 0, part->bytes, dice);
    if (chance(dice, 10) && part->bytes >= 16 && make_room(part, 0, 16)) {
        memcpy(part->content, part->content + 16, 16);
        part->count++;
    }
}

static void change(plan_parts_t *parts, dice_t *dice) {
    const uint32_t what = roll(dice, 100);
    if (what < 20) {
        change_tensor(parts, dice);
    } else if (what < 35) {
        change_size(parts, dice);
    } else if (what < 65) {
        change_op(parts, dice);
    } else if (what < 68) {
        add_tensor(parts, dice);
    } else if (what < 78) {
        part_t *const constants = &parts->part[TF_SECTION_CONSTANTS];
        change_field(constants, 0, constants->bytes, dice);
    } else if (what < 82) {
        change_bytes(&parts->part[TF_SECTION_CONSTANTS], dice);
    } else if (what < 87) {
        change_records(&parts->part[TF_SECTION_INPUTS + roll(dice, 2)], dice);
    } else if (what < 90) {
        change_bytes(&parts->part[TF_SECTION_METADATA], dice);
    } else if (what < 95) {
        change_records(&parts->part[TF_SECTION_VECTORS + roll(dice, 2)], dice);
    } else if (what < 97) {
        part_t *const part = &parts->part[1 + roll(dice, KINDS - 1)];
        part->count = number(dice, part->count);
    } else if (what < 98) {
        part_t *const part = &parts->part[1 + roll(dice, KINDS - 1)];
        part->present = !part->present;
    } else {
        parts->header.arena_bytes = number(dice, parts->header.arena_bytes);
        parts->header.core = (uint16_t)roll(dice, 4);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    static plan_parts_t parts; /* too large for a stack; a mutation leaves nothing behind in it */
    dice_t dice = {seed * 2654435761u + 1};
    if (chance(&dice, 3) || !parts_of_plan(&parts, data, size)) return LLVMFuzzerMutate(data, size, max_size);
    for (uint32_t i = 1 + roll(&dice, 1 + roll(&dice, CHANGES_MAX)); i > 0; i--) change(&parts, &dice);
    if (chance(&dice, 90)) fit_arena(&parts);
    if (chance(&dice, 90)) fit_metadata(&parts);
    if (chance(&dice, 90)) fit_vectors(&parts);
    const size_t made = plan_of_parts(&parts, data, max_size);
    return made != 0 ? made : LLVMFuzzerMutate(data, size, max_size);
}

/* Sections of the one with some of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t room, unsigned int seed) {
    static plan_parts_t one, other;
    dice_t dice = {seed * 2654435761u + 1};
    if (!parts_of_plan(&one, a, a_size) || !parts_of_plan(&other, b, b_size)) return 0;
    for (uint32_t kind = 1; kind < KINDS; kind++) {
        if (chance(&dice, 30)) one.part[kind] = other.part[kind];
    }
    fit_arena(&one);
    fit_metadata(&one);
    fit_vectors(&one);
    return plan_of_parts(&one, out, room);
}
