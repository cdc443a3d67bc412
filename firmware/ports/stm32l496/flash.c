/* The chip's own flash: two banks, pages of 2 KiB, written by double words of 64 bits with 8 of ECC (3.3).
 * Bits of a written double word cannot be cleared later, for its ECC would not match: a unit is written once,
 * and here, too, the chip itself refuses (PROGERR, 3.3.7). A double word that a power cut left half written
 * or half erased may be one that ECC cannot mend: reading it raises NMI (3.3.2), which flash_forgive ends;
 * what was read is then any value, as from other flash, and the records' checksums refuse it. */
#include <stddef.h>
#include <string.h>

#include "board.h"

#define SIZE MAP(FLASH_BYTES)
#define SECTOR MAP(SECTOR_BYTES)
#define UNIT MAP(WRITE_BYTES)
#define BANK (SIZE / 2u)

enum { FLASH_ERR_RANGE = -1, FLASH_ERR_ALIGN = -2, FLASH_ERR_WRITTEN = -3, FLASH_ERR_CHIP = -4 };

#define KEY1 0x45670123u
#define KEY2 0xCDEF89ABu
#define SR_BUSY (1u << 16)
#define SR_ERRORS 0xC3FAu /* all but EOP and BSY; cleared by writing ones */
#define CR_PG (1u << 0)
#define CR_PER (1u << 1)
#define CR_PNB(page) ((page) << 3)
#define CR_BKER (1u << 11)
#define CR_STRT (1u << 16)
#define CR_LOCK (1u << 31)
#define ACR_DCEN (1u << 10)
#define ACR_DCRST (1u << 12)
#define ECCR_ECCD (1u << 31)

static const uint8_t *const memory = (const uint8_t *)(uintptr_t)FLASH_BASE;

bool flash_forgive(void) {
    if ((FLASH_ECCR & ECCR_ECCD) == 0) return false;
    FLASH_ECCR |= ECCR_ECCD;
    return true;
}

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

static void unlock(void) {
    while ((FLASH_SR & SR_BUSY) != 0) continue;
    if ((FLASH_CR & CR_LOCK) != 0) {
        FLASH_KEYR = KEY1;
        FLASH_KEYR = KEY2;
    }
    FLASH_SR = SR_ERRORS;
}

/* False: the chip says that it did not. */
static bool done(void) {
    while ((FLASH_SR & SR_BUSY) != 0) continue;
    return (FLASH_SR & SR_ERRORS) == 0;
}

/* The data cache keeps what stood there before (3.3.4). */
static void lock(void) {
    FLASH_CR = CR_LOCK;
    FLASH_ACR &= ~ACR_DCEN;
    FLASH_ACR |= ACR_DCRST;
    FLASH_ACR &= ~ACR_DCRST;
    FLASH_ACR |= ACR_DCEN;
}

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    int error = check(offset, size, SECTOR);
    if (error != 0) return error;
    bool well = true;
    unlock();
    for (uint32_t at = offset; well && at < offset + size; at += SECTOR) {
        uint32_t page = at % BANK / SECTOR;
        FLASH_CR = CR_PER | CR_PNB(page) | (at >= BANK ? CR_BKER : 0);
        FLASH_CR |= CR_STRT;
        well = done();
    }
    lock();
    return well && is_erased(offset, size) ? 0 : FLASH_ERR_CHIP;
}

static int write(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    int error = check(offset, size, UNIT);
    if (error != 0) return error;
    if (!is_erased(offset, size)) return FLASH_ERR_WRITTEN;
    bool well = true;
    unlock();
    FLASH_CR = CR_PG;
    for (uint32_t at = 0; well && at < size; at += UNIT) {
        uint32_t words[2];
        memcpy(words, (const uint8_t *)data + at, sizeof words);
        /* The second starts the programming; nothing may come between the two. */
        interrupts_off();
        REG32(FLASH_BASE + offset + at) = words[0];
        REG32(FLASH_BASE + offset + at + 4u) = words[1];
        interrupts_on();
        well = done();
    }
    lock();
    return well && memcmp(memory + offset, data, size) == 0 ? 0 : FLASH_ERR_CHIP;
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
