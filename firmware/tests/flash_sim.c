#include "flash_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

enum { SECTOR_BYTES = 4096, ECC_UNIT_BYTES = 8 };

static void refuse(const flash_sim_t *sim, const char *what, uint32_t offset, uint32_t size) {
    fprintf(stderr, "flash: operation %u: %s at 0x%x, %u bytes\n", sim->operations, what, offset, size);
    exit(1);
}

static void check_bounds(const flash_sim_t *sim, uint32_t offset, uint32_t size, uint32_t unit) {
    if (offset > sim->port.size_bytes || size > sim->port.size_bytes - offset)
        refuse(sim, "out of bounds", offset, size);
    if (size == 0 || offset % unit != 0 || size % unit != 0) refuse(sim, "off a unit's bounds", offset, size);
}

static void mark(flash_sim_t *sim, uint32_t offset, uint32_t size, bool writable) {
    for (uint32_t at = offset; at < offset + size; at += sim->port.write_bytes) {
        sim->writable[at / sim->port.write_bytes] = writable;
    }
}

/* Whether power goes during this operation. */
static bool is_cut(const flash_sim_t *sim) {
    return sim->cut_at != 0 && sim->operations == sim->cut_at;
}

static void doubt(flash_sim_t *sim, uint32_t offset, uint32_t size, bool doubtful) {
    for (uint32_t at = offset; at < offset + size; at += sim->port.write_bytes) {
        sim->doubtful[at / sim->port.write_bytes] = doubtful;
    }
}

/* A byte under the pulse: some bits fell, others not yet. What ECC makes of that may be anything. */
static uint8_t between(flash_sim_t *sim, uint8_t wanted) {
    uint8_t noise = (uint8_t)random_next(&sim->random);
    return sim->port.write_bytes >= ECC_UNIT_BYTES ? noise : (uint8_t)(wanted | noise);
}

static void weaken_byte(flash_sim_t *sim, uint32_t at, uint8_t bits) {
    sim->weak[at] |= bits;
    if (sim->weak_from == sim->weak_to) sim->weak_from = sim->weak_to = at;
    if (at < sim->weak_from) sim->weak_from = at;
    if (at >= sim->weak_to) sim->weak_to = at + 1u;
}

static void weaken_bit(flash_sim_t *sim, uint32_t at) {
    weaken_byte(sim, at, (uint8_t)(1u << random_next(&sim->random) % 8u));
}

/* Some bits of the range hold no value any more. */
static void weaken(flash_sim_t *sim, uint32_t offset, uint32_t size) {
    for (uint32_t i = offset; i < offset + size; i++) {
        if (random_next(&sim->random) % 4u == 0) weaken_byte(sim, i, (uint8_t)random_next(&sim->random));
    }
}

/* What the weak bits of the range say this time. */
static void waver(flash_sim_t *sim, uint32_t offset, uint32_t size) {
    uint32_t from = offset > sim->weak_from ? offset : sim->weak_from;
    uint32_t to = offset + size < sim->weak_to ? offset + size : sim->weak_to;
    for (uint32_t i = from; i < to; i++) {
        if (sim->weak[i] != 0) sim->bytes[i] ^= (uint8_t)(random_next(&sim->random) & sim->weak[i]);
    }
}

static bool is_torn(const flash_sim_t *sim) {
    return sim->cut == CUT_TORN || sim->cut == CUT_WEAK;
}

static int sim_erase(void *context, uint32_t offset, uint32_t size) {
    flash_sim_t *sim = context;
    sim->operations++;
    check_bounds(sim, offset, size, sim->port.sector_bytes);
    if (sim->operations == sim->fail_at) return -1;
    bool cut = is_cut(sim);
    if (cut && sim->cut == CUT_BEFORE) longjmp(sim->out, 1);
    doubt(sim, offset, size, cut);
    if (cut && sim->cut != CUT_AFTER) {
        mark(sim, offset, size, false);
        for (uint32_t i = 0; is_torn(sim) && i < size; i++) {
            if (random_next(&sim->random) % 2u == 0)
                sim->bytes[offset + i] = between(sim, sim->bytes[offset + i]);
        }
        if (sim->cut == CUT_WEAK) weaken(sim, offset, size);
        longjmp(sim->out, 1);
    }
    memset(sim->bytes + offset, 0xFF, size);
    memset(sim->weak + offset, 0, size);
    mark(sim, offset, size, true);
    if (cut) longjmp(sim->out, 1);
    return 0;
}

static int sim_write(void *context, uint32_t offset, const void *data, uint32_t size) {
    flash_sim_t *sim = context;
    const uint8_t *bytes = data;
    sim->operations++;
    check_bounds(sim, offset, size, sim->port.write_bytes);
    for (uint32_t at = offset; at < offset + size; at += sim->port.write_bytes) {
        if (!sim->writable[at / sim->port.write_bytes])
            refuse(sim, "write to a unit that is not erased", at, size);
    }
    if (sim->operations == sim->fail_at) return -1;
    bool cut = is_cut(sim);
    if (cut && sim->cut == CUT_BEFORE) longjmp(sim->out, 1);
    mark(sim, offset, size, false);
    if (cut) doubt(sim, offset, size, true);
    if (offset >= sim->lose_from || (cut && sim->cut == CUT_SILENT)) {
        if (cut) longjmp(sim->out, 1);
        return 0;
    }
    uint32_t whole = size;
    /* Half the time all of it was written, and one bit not well enough: the hardest to see. */
    if (cut && sim->cut == CUT_WEAK && random_next(&sim->random) % 2u == 0) {
        memcpy(sim->bytes + offset, bytes, size);
        weaken_bit(sim, offset + random_next(&sim->random) % size);
        longjmp(sim->out, 1);
    }
    if (cut && is_torn(sim)) whole = random_next(&sim->random) % size;
    memcpy(sim->bytes + offset, bytes, whole);
    if (cut && is_torn(sim)) {
        /* Some bits of the unit under the pulse fell, others not yet. */
        uint32_t unit = whole / sim->port.write_bytes * sim->port.write_bytes;
        for (uint32_t i = unit; i < unit + sim->port.write_bytes; i++) {
            sim->bytes[offset + i] = between(sim, bytes[i]);
        }
        if (sim->cut == CUT_WEAK) weaken(sim, offset + unit, sim->port.write_bytes);
    }
    if (cut) longjmp(sim->out, 1);
    return 0;
}

static const uint8_t *sim_map(void *context, uint32_t offset, uint32_t size) {
    flash_sim_t *sim = context;
    if (offset > sim->port.size_bytes || size > sim->port.size_bytes - offset)
        refuse(sim, "map out of bounds", offset, size);
    waver(sim, offset, size);
    return sim->bytes + offset;
}

void flash_sim_open(flash_sim_t *sim, uint32_t size_bytes, uint32_t write_bytes) {
    memset(sim, 0, sizeof *sim);
    sim->port = (tf_flash_t){.context = sim,
                             .size_bytes = size_bytes,
                             .sector_bytes = SECTOR_BYTES,
                             .write_bytes = write_bytes,
                             .erase = sim_erase,
                             .write = sim_write,
                             .map = sim_map};
    sim->bytes = malloc(size_bytes);
    sim->writable = calloc(size_bytes / write_bytes, sizeof *sim->writable);
    sim->doubtful = calloc(size_bytes / write_bytes, sizeof *sim->doubtful);
    sim->weak = calloc(size_bytes, 1);
    if (sim->bytes == NULL || sim->weak == NULL || sim->writable == NULL || sim->doubtful == NULL) exit(1);
    sim->lose_from = UINT32_MAX;
    sim->random = 0x2545F491u;
    for (uint32_t i = 0; i < size_bytes; i++) sim->bytes[i] = (uint8_t)random_next(&sim->random);
}

void flash_sim_close(flash_sim_t *sim) {
    free(sim->bytes);
    free(sim->writable);
    free(sim->doubtful);
    free(sim->weak);
    memset(sim, 0, sizeof *sim);
}

void flash_sim_copy(flash_sim_t *to, const flash_sim_t *from) {
    memcpy(to->bytes, from->bytes, from->port.size_bytes);
    memset(to->weak + to->weak_from, 0, to->weak_to - to->weak_from);
    memcpy(to->weak + from->weak_from, from->weak + from->weak_from, from->weak_to - from->weak_from);
    to->weak_from = from->weak_from;
    to->weak_to = from->weak_to;
    uint32_t units = from->port.size_bytes / from->port.write_bytes;
    memcpy(to->writable, from->writable, units * sizeof *from->writable);
    memcpy(to->doubtful, from->doubtful, units * sizeof *from->doubtful);
    to->operations = to->cut_at = to->fail_at = 0;
    to->lose_from = UINT32_MAX;
}

bool flash_sim_cut(flash_sim_t *sim, uint32_t at, flash_cut_t cut, uint32_t random,
                   void (*live)(const void *context), const void *context) {
    sim->operations = 0;
    sim->cut_at = at;
    sim->cut = cut;
    sim->random = random;
    if (setjmp(sim->out) != 0) {
        sim->cut_at = 0;
        return true;
    }
    live(context);
    sim->cut_at = 0;
    return false;
}

void flash_sim_program(flash_sim_t *sim, uint32_t offset, const uint8_t *data, uint32_t size) {
    uint32_t sectors = (size + SECTOR_BYTES - 1u) / SECTOR_BYTES * SECTOR_BYTES;
    check_bounds(sim, offset, sectors, SECTOR_BYTES);
    memset(sim->bytes + offset, 0xFF, sectors);
    memcpy(sim->bytes + offset, data, size);
    memset(sim->weak + offset, 0, sectors);
    mark(sim, offset, sectors, false);
}

bool flash_sim_is_sound(const flash_sim_t *sim, uint32_t offset, uint32_t size) {
    for (uint32_t at = offset; at < offset + size; at += sim->port.write_bytes) {
        if (sim->doubtful[at / sim->port.write_bytes]) return false;
    }
    return true;
}
