/* Anybody on the console of a bench board: frames, MLPerf commands, SMP and noise. The first byte says how
 * the bytes arrive and whether there is a model; golden sets go to flash that ends the run where it is
 * misused.
 *
 * What the board says goes into a frame reader. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../apps/bench/dut.h"
#include "../../apps/bench/session.h"

enum { FLASH_BYTES = 8192, SECTOR_BYTES = 1024, ARENA_BYTES = 1 << 16, PLAN_MAX = 1 << 16, TURNS_MAX = 64 };

static unsigned long frames, commands, stored;
static uint8_t flash_bytes[FLASH_BYTES];
static const uint8_t *next, *end;
static uint32_t burst, left_of_burst, clock_us;
static tf_frame_reader_t heard;
static uint8_t heard_bytes[TF_FRAME_BUFFER_BYTES];

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    if (offset > FLASH_BYTES || size > FLASH_BYTES - offset || (offset | size) % SECTOR_BYTES != 0) abort();
    memset(flash_bytes + offset, 0xFF, size);
    return 0;
}

static int write_flash(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    if (offset > FLASH_BYTES || size > FLASH_BYTES - offset || (offset | size) % 4 != 0) abort();
    for (uint32_t i = 0; i < size; i++) {
        if (flash_bytes[offset + i] != 0xFF) abort();
    }
    memcpy(flash_bytes + offset, data, size);
    stored++;
    return 0;
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    if (offset > FLASH_BYTES || size > FLASH_BYTES - offset) abort();
    return flash_bytes + offset;
}

static const tf_flash_t golden = {
    .size_bytes = FLASH_BYTES,
    .sector_bytes = SECTOR_BYTES,
    .write_bytes = 4,
    .erase = erase,
    .write = write_flash,
    .map = map,
};

static uint32_t now_us(void) {
    return clock_us += 100;
}

static bool read_byte(uint8_t *byte) {
    if (next == end || left_of_burst == 0) return false;
    left_of_burst--;
    *byte = *next++;
    return true;
}

static void put(const uint8_t *data, uint32_t length) {
    tf_frame_t frame;
    for (uint32_t i = 0; i < length; i++) {
        if (tf_frame_reader_put(&heard, data[i], &frame)) frames++;
        if (data[i] == '\n') commands++;
    }
}

static void idle(uint32_t until_us) {
    clock_us = until_us;
}

static void edge(void) {}

static bool stack_intact(void) {
    return true;
}

/* `infer` a thousand times over shows no more than once: digits behind the third are taken away. */
static uint8_t *tamed(const uint8_t *data, size_t size) {
    static const char command[] = "infer";
    enum { NAME = sizeof command - 1 };
    uint8_t *const copy = malloc(size ? size : 1);
    if (copy == NULL) abort();
    memcpy(copy, data, size);
    for (size_t at = 0; at + NAME < size; at++) {
        if (memcmp(copy + at, command, NAME) != 0) continue;
        uint32_t digits = 0;
        for (size_t i = at + NAME; i < size && copy[i] != '%'; i++) {
            digits = copy[i] >= '0' && copy[i] <= '9' ? digits + 1 : 0;
            if (digits > 3) copy[i] = ' ';
        }
    }
    return copy;
}

static void *room(size_t bytes) {
    void *start = NULL;
    if (posix_memalign(&start, 64, bytes) != 0) abort();
    return start;
}

static uint8_t plan[PLAN_MAX] __attribute__((aligned(64)));
static uint32_t plan_bytes;

static void read_plan(void) {
    FILE *const file = fopen(FUZZ_PLAN, "rb");
    if (file == NULL) abort();
    plan_bytes = (uint32_t)fread(plan, 1, sizeof plan, file);
    (void)fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static session_t session;
    if (size == 0) return 0;
    if (plan_bytes == 0) read_plan();
    uint8_t *const copy = tamed(data + 1, size - 1);
    uint8_t *const arena = room(ARENA_BYTES);
    memset(flash_bytes, 0xFF, sizeof flash_bytes);
    burst = data[0] >> 1 == 0 ? UINT32_MAX : data[0] >> 1;
    next = copy;
    end = copy + size - 1;
    tf_frame_reader_init(&heard, heard_bytes, sizeof heard_bytes);
    const tf_bench_port_t port = {
        .device_type = "fuzz",
        .model = plan,
        .model_bytes = 0,
        .golden = &golden,
        .arena = arena,
        .arena_bytes = ARENA_BYTES,
        .line_bytes = 1024,
        .now_us = now_us,
        .edge = edge,
        .read = read_byte,
        .write = put,
        .idle = idle,
        .stack_intact = stack_intact,
    };
    left_of_burst = 0;
    session_start(&session, &port);
    if (data[0] & 1) {
        bench_load_plan(&session.bench, plan, plan_bytes);
        if (session.bench.result != TF_RESULT_SUCCESS) abort();
        tf_mlperf_start(&session.mlperf, dut_of(&session.bench));
    }
    /* Jobs of a million runs end with the input. */
    for (uint32_t turns = 0; next < end && turns < size + TURNS_MAX; turns++) {
        left_of_burst = burst;
        session_turn(&session);
    }
    free(arena);
    free(copy);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: frames said %lu, lines %lu, writes to flash %lu\n", frames, commands, stored);
}
