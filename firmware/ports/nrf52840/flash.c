/* The flash controller NVMC (4.3). The core stands still while a page is erased (85 ms, 4.3.1) or a word is
 * written (41 us): nothing here needs to run from RAM. A word could be written twice between erases (n_WRITE,
 * 4.3.9); the node relies on once. */
#include <stdbool.h>
#include <string.h>

#include "board.h"

enum { CONFIG_READ = 0, CONFIG_WRITE = 1, CONFIG_ERASE = 2 };

static void configure(uint32_t mode) {
    NVMC_CONFIG = mode;
    while (NVMC_READY == 0) continue;
}

static bool chip_erase(uint32_t offset, uint32_t size) {
    configure(CONFIG_ERASE);
    for (uint32_t at = 0; at < size; at += MAP(SECTOR_BYTES)) {
        NVMC_ERASEPAGE = FLASH_BASE + offset + at;
        while (NVMC_READY == 0) continue;
    }
    configure(CONFIG_READ);
    return true;
}

static bool chip_write(uint32_t offset, const uint8_t *data, uint32_t size) {
    configure(CONFIG_WRITE);
    for (uint32_t at = 0; at < size; at += MAP(WRITE_BYTES)) {
        uint32_t word;
        memcpy(&word, data + at, sizeof word);
        REG32(FLASH_BASE + offset + at) = word;
        while (NVMC_READY == 0) continue;
    }
    configure(CONFIG_READ);
    return true;
}

#include "chip_flash_body.h"
