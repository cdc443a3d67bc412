/* 16 MiB of the board's memory, backed by a file under QEMU, behave as flash only because this driver
 * insists: erase sets whole sectors to 0xFF, a write unit is written once between erases, nothing outside is
 * touched. */
#include <string.h>

#include "board.h"

#define SECTOR_BYTES 4096u
#define WRITE_BYTES 4u

enum { FLASH_ERR_RANGE = -1, FLASH_ERR_ALIGN = -2, FLASH_ERR_WRITTEN = -3 };

static uint8_t *const memory = (uint8_t *)(uintptr_t)FLASH_BASE;

static int check(uint32_t offset, uint32_t size, uint32_t unit) {
    if (offset > FLASH_SIZE || size > FLASH_SIZE - offset) return FLASH_ERR_RANGE;
    if (offset % unit != 0 || size % unit != 0) return FLASH_ERR_ALIGN;
    return 0;
}

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    int error = check(offset, size, SECTOR_BYTES);
    if (error != 0) return error;
    memset(memory + offset, 0xFF, size);
    return 0;
}

/* Unit by unit in order, so that a killed emulator leaves what a power cut would. */
static int write(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    int error = check(offset, size, WRITE_BYTES);
    if (error != 0) return error;
    volatile uint32_t *to = (volatile uint32_t *)(memory + offset);
    for (uint32_t i = 0; i < size / WRITE_BYTES; i++) {
        if (to[i] != 0xFFFFFFFFu) return FLASH_ERR_WRITTEN;
    }
    for (uint32_t i = 0; i < size / WRITE_BYTES; i++) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)data + i * WRITE_BYTES, sizeof word);
        to[i] = word;
    }
    return 0;
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    return check(offset, size, 1) == 0 ? memory + offset : NULL;
}

const tf_flash_t *flash_port(void) {
    static const tf_flash_t flash = {
        .size_bytes = FLASH_SIZE,
        .sector_bytes = SECTOR_BYTES,
        .write_bytes = WRITE_BYTES,
        .erase = erase,
        .write = write,
        .map = map,
    };
    return &flash;
}
