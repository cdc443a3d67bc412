/* Golden sets in flash, by the controller NVMC (nRF51 Reference Manual 3.0, chapter 6). The core stands still
 * while a page is erased (22 ms) or a word is written (46 us): what the line brings meanwhile may be lost. */
#include <stddef.h>
#include <string.h>

#include "board.h"
#include "tinyfleet/wire_keys.h"

enum { READ_ONLY = 0, WRITE = 1, ERASE = 2, WORD_BYTES = 4 };

#define START (TF_MICROBIT_FLASH_BASE + TF_MICROBIT_GOLDEN_OFFSET)

static bool fits(uint32_t offset, uint32_t bytes, uint32_t unit) {
    return offset <= TF_MICROBIT_GOLDEN_BYTES && bytes <= TF_MICROBIT_GOLDEN_BYTES - offset &&
           offset % unit == 0 && bytes % unit == 0;
}

/* The controller is ready within its time, whatever was asked of it. */
static void wait(void) {
    while (NVMC_READY == 0) continue;
}

static int erase(void *context, uint32_t offset, uint32_t bytes) {
    (void)context;
    if (!fits(offset, bytes, TF_MICROBIT_SECTOR_BYTES)) return -1;
    NVMC_CONFIG = ERASE;
    for (uint32_t at = 0; at < bytes; at += TF_MICROBIT_SECTOR_BYTES) {
        NVMC_ERASEPAGE = START + offset + at;
        wait();
    }
    NVMC_CONFIG = READ_ONLY;
    return 0;
}

/* Read back: a worn word must not become a window. */
static int write(void *context, uint32_t offset, const void *data, uint32_t bytes) {
    (void)context;
    if (!fits(offset, bytes, WORD_BYTES)) return -1;
    NVMC_CONFIG = WRITE;
    for (uint32_t at = 0; at < bytes; at += WORD_BYTES) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)data + at, sizeof word);
        REG32(START + offset + at) = word;
        wait();
    }
    NVMC_CONFIG = READ_ONLY;
    return memcmp((const void *)(uintptr_t)(START + offset), data, bytes) == 0 ? 0 : -1;
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t bytes) {
    (void)context;
    return fits(offset, bytes, 1) ? (const uint8_t *)(uintptr_t)(START + offset) : NULL;
}

const tf_flash_t *golden_flash(void) {
    static const tf_flash_t flash = {
        .size_bytes = TF_MICROBIT_GOLDEN_BYTES,
        .sector_bytes = TF_MICROBIT_SECTOR_BYTES,
        .write_bytes = TF_MICROBIT_WRITE_BYTES,
        .erase = erase,
        .write = write,
        .map = map,
    };
    return &flash;
}
