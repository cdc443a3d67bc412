/* The flash port of a chip whose flash is read where it stands: a unit is written once between two erases,
 * whatever the chip itself would allow. A port's flash.c includes it behind its `chip_erase(offset, size)`
 * and `chip_write(offset, data, size)`, which get only what lies within the flash and at its bounds; false:
 * the chip says that it did not. */
#include <stddef.h>
#include <string.h>

#include "board.h"

#define SIZE MAP(FLASH_BYTES)
#define SECTOR MAP(SECTOR_BYTES)
#define UNIT MAP(WRITE_BYTES)

enum { FLASH_ERR_RANGE = -1, FLASH_ERR_ALIGN = -2, FLASH_ERR_WRITTEN = -3, FLASH_ERR_CHIP = -4 };

static const uint8_t *const memory = (const uint8_t *)(uintptr_t)FLASH_BASE;

static int check(uint32_t offset, uint32_t size, uint32_t unit) {
    if (offset > SIZE || size > SIZE - offset) return FLASH_ERR_RANGE;
    if (offset % unit != 0 || size % unit != 0) return FLASH_ERR_ALIGN;
    return 0;
}

static bool is_erased(uint32_t offset, uint32_t size) {
    for (uint32_t at = 0; at < size; at += 4u) {
        if (REG32(FLASH_BASE + offset + at) != 0xFFFFFFFFu) return false;
    }
    return true;
}

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    int error = check(offset, size, SECTOR);
    if (error != 0) return error;
    return chip_erase(offset, size) && is_erased(offset, size) ? 0 : FLASH_ERR_CHIP;
}

static int write(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    int error = check(offset, size, UNIT);
    if (error != 0) return error;
    if (!is_erased(offset, size)) return FLASH_ERR_WRITTEN;
    return chip_write(offset, data, size) && memcmp(memory + offset, data, size) == 0 ? 0 : FLASH_ERR_CHIP;
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
