/* The chip's own flash through its controller (4.3 NVMC). The core stands still while a page is erased (85
 * ms, 4.3.1) or a word is written (41 us): nothing here needs to run from RAM. A word could be written twice
 * between erases (n_WRITE, 4.3.9); the node relies on once, and so this refuses the second. */
#include <stddef.h>
#include <string.h>

#include "board.h"

#define SIZE MAP(FLASH_BYTES)
#define SECTOR MAP(SECTOR_BYTES)
#define UNIT MAP(WRITE_BYTES)

enum { FLASH_ERR_RANGE = -1, FLASH_ERR_ALIGN = -2, FLASH_ERR_WRITTEN = -3, FLASH_ERR_CHIP = -4 };
enum { CONFIG_READ = 0, CONFIG_WRITE = 1, CONFIG_ERASE = 2 };

static const uint8_t *const memory = (const uint8_t *)(uintptr_t)FLASH_BASE;

static int check(uint32_t offset, uint32_t size, uint32_t unit) {
    if (offset > SIZE || size > SIZE - offset) return FLASH_ERR_RANGE;
    if (offset % unit != 0 || size % unit != 0) return FLASH_ERR_ALIGN;
    return 0;
}

static bool is_erased(uint32_t offset, uint32_t size) {
    for (uint32_t at = 0; at < size; at += UNIT) {
        if (REG32(FLASH_BASE + offset + at) != 0xFFFFFFFFu) return false;
    }
    return true;
}

static void configure(uint32_t mode) {
    NVMC_CONFIG = mode;
    while (NVMC_READY == 0) continue;
}

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    int error = check(offset, size, SECTOR);
    if (error != 0) return error;
    configure(CONFIG_ERASE);
    for (uint32_t at = 0; at < size; at += SECTOR) {
        NVMC_ERASEPAGE = FLASH_BASE + offset + at;
        while (NVMC_READY == 0) continue;
    }
    configure(CONFIG_READ);
    return is_erased(offset, size) ? 0 : FLASH_ERR_CHIP;
}

static int write(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    int error = check(offset, size, UNIT);
    if (error != 0) return error;
    if (!is_erased(offset, size)) return FLASH_ERR_WRITTEN;
    configure(CONFIG_WRITE);
    for (uint32_t at = 0; at < size; at += UNIT) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)data + at, sizeof word);
        REG32(FLASH_BASE + offset + at) = word;
        while (NVMC_READY == 0) continue;
    }
    configure(CONFIG_READ);
    return memcmp(memory + offset, data, size) == 0 ? 0 : FLASH_ERR_CHIP;
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    return check(offset, size, 1) == 0 ? memory + offset : NULL;
}

const tf_flash_t *flash_port(void) {
    static const tf_flash_t flash = {
        .size_bytes = SIZE,
        .sector_bytes = SECTOR,
        .write_bytes = UNIT,
        .erase = erase,
        .write = write,
        .map = map,
    };
    return &flash;
}
