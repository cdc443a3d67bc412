/* The flash controller: two banks, pages of 2 KiB, written by double words of 64 bits with 8 of ECC (3.3).
 * Bits of a written double word cannot be cleared later, for its ECC would not match: a unit is written once,
 * and here, too, the chip itself refuses (PROGERR, 3.3.7). A double word that a power cut left half written
 * or half erased may be one that ECC cannot mend: reading it raises NMI (3.3.2), which flash_forgive ends;
 * what was read is then any value, as from other flash, and the records' checksums refuse it. */
#include <stdbool.h>
#include <string.h>

#include "board.h"

#define SECTOR MAP(SECTOR_BYTES)
#define BANK (MAP(FLASH_BYTES) / 2u)

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

bool flash_forgive(void) {
    if ((FLASH_ECCR & ECCR_ECCD) == 0) return false;
    FLASH_ECCR |= ECCR_ECCD;
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

static bool chip_erase(uint32_t offset, uint32_t size) {
    bool well = true;
    unlock();
    for (uint32_t at = offset; well && at < offset + size; at += SECTOR) {
        uint32_t page = at % BANK / SECTOR;
        FLASH_CR = CR_PER | CR_PNB(page) | (at >= BANK ? CR_BKER : 0);
        FLASH_CR |= CR_STRT;
        well = done();
    }
    lock();
    return well;
}

static bool chip_write(uint32_t offset, const uint8_t *data, uint32_t size) {
    bool well = true;
    unlock();
    FLASH_CR = CR_PG;
    for (uint32_t at = 0; well && at < size; at += MAP(WRITE_BYTES)) {
        uint32_t words[2];
        memcpy(words, data + at, sizeof words);
        /* The second starts the programming; nothing may come between the two. */
        interrupts_off();
        REG32(FLASH_BASE + offset + at) = words[0];
        REG32(FLASH_BASE + offset + at + 4u) = words[1];
        interrupts_on();
        well = done();
    }
    lock();
    return well;
}

#include "chip_flash_body.h"
