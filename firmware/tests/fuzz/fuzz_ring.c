/* The ring over flash that holds anything: the first byte says how many commands follow, then come the
 * commands and what the flash holds. Whatever that is, what is put then comes out, in order. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/ring.h"

enum { SECTOR = 2048, SECTORS = 4, COMMANDS_MAX = 63 };

static uint8_t *memory;
static unsigned long put_in, found;

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    if (offset % SECTOR != 0 || size != SECTOR || offset >= SECTORS * SECTOR) abort();
    memset(memory + offset, 0xFF, size);
    return 0;
}

static int write(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    if (offset % 4 != 0 || size % 4 != 0 || offset / SECTOR != (offset + size - 1) / SECTOR) abort();
    for (uint32_t i = 0; i < size; i++) {
        if (memory[offset + i] != 0xFF) abort();
    }
    memcpy(memory + offset, data, size);
    return 0;
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    if (offset > SECTORS * SECTOR || size > SECTORS * SECTOR - offset) abort();
    return memory + offset;
}

static void command(tf_ring_t *ring, uint8_t what, uint32_t *cursor) {
    uint8_t message[TF_RING_MESSAGE_MAX] = {what};
    tf_ring_item_t item;
    switch (what % 5) {
        case 0:
            if (tf_ring_next(ring, *cursor, &item)) {
                fuzz_touch(item.message.data, item.message.length);
                *cursor = item.sequence;
                found++;
            }
            break;
        case 1:
            tf_ring_done(ring, *cursor);
            break;
        case 2:
            tf_ring_settle(ring);
            break;
        case 3:
            tf_ring_open(ring, &ring->place);
            *cursor = ring->acknowledged;
            break;
        default:
            if (!tf_ring_put(ring, TF_RING_EVENT, message, 1u + (uint32_t)what * 4u)) abort();
            put_in++;
            break;
    }
}

/* All that is put after the flash was read comes out behind what it held. */
static void expect_order(tf_ring_t *ring) {
    const uint8_t first[] = {1, 2, 3}, second[] = {4};
    if (!tf_ring_put(ring, TF_RING_TELE, first, sizeof first)) abort();
    if (!tf_ring_put(ring, TF_RING_EVENT, second, sizeof second)) abort();
    tf_ring_item_t item, before = {0}, last = {0};
    uint32_t cursor = ring->acknowledged, count = 0;
    while (tf_ring_next(ring, cursor, &item)) {
        if ((int32_t)(item.sequence - cursor) <= 0 || ++count > SECTORS * SECTOR) abort();
        cursor = item.sequence;
        before = last;
        last = item;
    }
    if (last.message.length != sizeof second || before.message.length != sizeof first) abort();
    if (memcmp(before.message.data, first, sizeof first) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static tf_ring_t ring;
    if (size < 1) return 0;
    size_t commands = data[0] % (COMMANDS_MAX + 1);
    if (commands > size - 1) commands = size - 1;
    const uint8_t *held = data + 1 + commands;
    size_t bytes = size - 1 - commands;
    if (bytes > SECTORS * SECTOR) bytes = SECTORS * SECTOR;
    /* On the heap and just as long, so that a read beyond it is seen. */
    memory = malloc(SECTORS * SECTOR);
    if (memory == NULL) abort();
    memset(memory, 0xFF, SECTORS * SECTOR);
    memcpy(memory, held, bytes);
    const tf_flash_t flash = {.size_bytes = SECTORS * SECTOR,
                              .sector_bytes = SECTOR,
                              .write_bytes = 4,
                              .erase = erase,
                              .write = write,
                              .map = map};
    const tf_ring_place_t place = {&flash, 0, SECTORS * SECTOR};
    tf_ring_open(&ring, &place);
    uint32_t cursor = ring.acknowledged;
    for (size_t i = 0; i < commands; i++) command(&ring, data[1 + i], &cursor);
    expect_order(&ring);
    free(memory);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: %lu messages put, %lu found\n", put_in, found);
}
