/* The bench app as a process: its console is standard input and output, its model an image in a file, its
 * flash for golden sets a file that is kept. For tests of both protocols without an emulator.
 *
 * usage: bench_host IMAGE FLASH [ARENA_BYTES] */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../apps/bench/session.h"

enum { FLASH_BYTES = 96 * 1024, SECTOR_BYTES = 1024, MODEL_MAX = 1 << 20, ARENA_BYTES = 1 << 20 };

static uint8_t *flash_bytes;
static tf_bench_port_t port;
static session_t session;

static uint32_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)(now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    if (offset > FLASH_BYTES || size > FLASH_BYTES - offset || (offset | size) % SECTOR_BYTES != 0) return -1;
    memset(flash_bytes + offset, 0xFF, size);
    return 0;
}

static int write_flash(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    if (offset > FLASH_BYTES || size > FLASH_BYTES - offset || (offset | size) % 4 != 0) return -1;
    for (uint32_t i = 0; i < size; i++) {
        if (flash_bytes[offset + i] != 0xFF) abort();
    }
    memcpy(flash_bytes + offset, data, size);
    return 0;
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    return offset > FLASH_BYTES || size > FLASH_BYTES - offset ? NULL : flash_bytes + offset;
}

static const tf_flash_t golden = {
    .size_bytes = FLASH_BYTES,
    .sector_bytes = SECTOR_BYTES,
    .write_bytes = 4,
    .erase = erase,
    .write = write_flash,
    .map = map,
};

/* The end of input is the end of the board. */
static bool read_byte(uint8_t *byte) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 0) <= 0) return false;
    if (read(STDIN_FILENO, byte, 1) == 1) return true;
    exit(0);
}

static void put(const uint8_t *data, uint32_t length) {
    if (fwrite(data, 1, length, stdout) != length) exit(2);
}

static void sleep_until(uint32_t until_us) {
    if (fflush(stdout) != 0) exit(2);
    const int32_t left_us = (int32_t)(until_us - now_us());
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (left_us > 0) (void)poll(&input, 1, left_us / 1000 + 1);
}

/* Told beside the console. */
static void edge(void) {
    if (fputs("edge\n", stderr) < 0) exit(2);
}

static bool stack_intact(void) {
    return true;
}

static void *room(size_t bytes) {
    void *start = NULL;
    if (posix_memalign(&start, 64, bytes) != 0) exit(2);
    return start;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    uint8_t *const model = room(MODEL_MAX);
    FILE *const file = fopen(argv[1], "rb");
    if (file == NULL) return 2;
    const size_t model_bytes = fread(model, 1, MODEL_MAX, file);
    (void)fclose(file);
    const int flash_file = open(argv[2], O_RDWR);
    if (flash_file < 0) return 2;
    flash_bytes = mmap(NULL, FLASH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, flash_file, 0);
    if (flash_bytes == MAP_FAILED) return 2;
    const uint32_t arena_bytes = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : ARENA_BYTES;
    port = (tf_bench_port_t){
        .device_type = "bench-host",
        .model = model,
        .model_bytes = (uint32_t)model_bytes,
        .golden = &golden,
        .arena = room(arena_bytes),
        .arena_bytes = arena_bytes,
        .line_bytes = 4096,
        .now_us = now_us,
        .edge = edge,
        .read = read_byte,
        .write = put,
        .idle = sleep_until,
        .stack_intact = stack_intact,
    };
    session_start(&session, &port);
    for (;;) session_turn(&session);
}
