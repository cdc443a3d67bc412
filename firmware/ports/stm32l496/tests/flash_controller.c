#define _DEFAULT_SOURCE
#include "flash_controller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "board.h"

#define CHECK(condition, what)                                                    \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "%s:%d: controller: %s\n", __FILE__, __LINE__, what); \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

enum { REGISTERS_AT = 0x40022000, ACR = 0x00, KEYR = 0x08, SR = 0x10, CR = 0x14, ECCR = 0x18 };
enum { PAGE = 2048, BANK = 0x80000, SIZE = 0x100000, NOTHING = 0xFF, BUSY_READS = 3 };
#define AT 0x08000000u
#define BSY (1u << 16)
#define WRPERR (1u << 4)
#define PROGERR (1u << 3)
#define PG 1u
#define PER 2u
#define PNB(cr) ((cr) >> 3 & 0xFFu)
#define BKER (1u << 11)
#define STRT (1u << 16)
#define LOCK (1u << 31)
#define DCEN (1u << 10)
#define DCRST (1u << 12)
#define ECCD (1u << 31)
#define ACR_RESET 0x600u

controller_counts_t controller_counts;

static uint8_t *memory;
static volatile uint32_t cell;          /* what the access under way reads or writes */
static uint32_t last = NOTHING, before; /* that access: offset of a register, or address in flash */
static uint32_t acr = ACR_RESET, sr, cr = LOCK, eccr, busy, keys;
static bool masked, stale, failing, torn[SIZE / 8];
static bool has_first;
static uint32_t first_at, first;
/* Writing the one that stands there cannot be told from reading it: the second access is the write. */
static uint32_t eccr_accesses;

void interrupts_off(void) {
    controller_settle();
    CHECK(!masked, "interrupts are off already");
    masked = true;
}

void interrupts_on(void) {
    controller_settle();
    CHECK(!has_first, "a double word was left half written");
    masked = false;
}

void system_reset(void) {
    CHECK(false, "reset");
    abort();
}

static void begin(uint32_t error) {
    busy = BUSY_READS;
    stale = true;
    if (failing) sr |= error;
}

static void erase_page(void) {
    uint32_t page = (cr & BKER ? BANK : 0) + PNB(cr) * PAGE;
    begin(WRPERR);
    if (!failing) memset(memory + page, 0xFF, PAGE);
    if (!failing) memset(torn + page / 8, 0, PAGE / 8);
    failing = false;
    controller_counts.erased_pages++;
}

static void program(uint32_t at, uint32_t second) {
    const uint32_t words[2] = {first, second};
    uint8_t *place = memory + (at - AT);
    for (uint32_t i = 0; i < 8; i++) CHECK(place[i] == 0xFF, "a double word is written twice (PROGERR)");
    begin(PROGERR);
    if (!failing) memcpy(place, words, sizeof words);
    failing = false;
    controller_counts.programmed++;
}

static void wrote_flash(uint32_t address, uint32_t value) {
    CHECK(busy == 0 && (cr & LOCK) == 0, "flash written while busy or locked");
    CHECK(masked, "flash written with interrupts on");
    if (!has_first) {
        CHECK(address % 8 == 0, "a double word begins with its second half");
        first_at = address;
        first = value;
        has_first = true;
        return;
    }
    CHECK(address == first_at + 4, "the second half belongs to another double word");
    has_first = false;
    program(first_at, value);
}

static void wrote_cr(uint32_t value) {
    CHECK(busy == 0, "CR written while busy");
    if ((cr & LOCK) != 0) CHECK(value == cr, "CR written while locked");
    CHECK((value & (PG | PER)) != (PG | PER), "programming and erasing at once");
    bool start = (value & STRT) != 0;
    cr = value & ~STRT;
    if (start) CHECK((value & PER) != 0, "a start of nothing");
    if (start) erase_page();
    if ((value & LOCK) != 0) keys = 0;
}

static void wrote_key(uint32_t value) {
    CHECK((cr & LOCK) != 0 && value == (keys == 0 ? 0x45670123u : 0xCDEF89ABu),
          "a wrong key locks until the next reset");
    keys++;
    if (keys == 2) cr &= ~LOCK;
}

static void wrote_acr(uint32_t value) {
    CHECK((value & DCRST) == 0 || (acr & DCEN) == 0, "the cache is reset while it is on");
    if ((value & DCRST) != 0) stale = false;
    acr = value;
}

void controller_settle(void) {
    uint32_t what = last, value = cell;
    last = NOTHING;
    if (what == NOTHING) return;
    bool changed = value != before;
    if (what >= AT) {
        if ((cr & PG) != 0)
            wrote_flash(what, value);
        else
            CHECK(!changed, "flash written without PG");
    } else if (what == KEYR) {
        wrote_key(value);
    } else if (what == CR && changed) {
        wrote_cr(value);
    } else if (what == SR && changed) {
        CHECK(busy == 0, "SR written while busy");
        sr &= ~value;
    } else if (what == ACR && changed) {
        wrote_acr(value);
    } else if (what == ECCR && ++eccr_accesses == 2) {
        eccr &= ~ECCD;
    }
}

/* An NMI comes with the read, and goes on with what was read. */
static uint32_t read_flash(uint32_t address) {
    uint32_t word;
    memcpy(&word, memory + (address - AT), sizeof word);
    if (!torn[(address - AT) / 8] || (cr & PG) != 0) return word;
    controller_counts.unmendable_reads++;
    eccr |= ECCD;
    eccr_accesses = 0;
    CHECK(flash_forgive(), "NMI that nobody forgives");
    controller_settle();
    CHECK((eccr & ECCD) == 0, "ECCD still stands: NMI for ever");
    return word ^ 0xA5A5A5A5u;
}

static uint32_t read_register(uint32_t offset) {
    switch (offset) {
        case ACR:
            return acr;
        case SR:
            if (busy == 0) return sr;
            busy--;
            return sr | BSY;
        case CR:
            return cr;
        case ECCR:
            return eccr;
        default:
            CHECK(offset == KEYR, "no such register");
            return 0;
    }
}

volatile uint32_t *sim_register(uint32_t address) {
    controller_settle();
    bool flash = address >= AT && address < AT + SIZE;
    uint32_t value = flash ? read_flash(address) : read_register(address - REGISTERS_AT);
    last = flash ? address : address - REGISTERS_AT;
    before = cell = value;
    return &cell;
}

bool controller_rests(void) {
    controller_settle();
    return (cr & LOCK) != 0 && (cr & (PG | PER)) == 0 && busy == 0 && !stale && !masked && acr == ACR_RESET;
}

void controller_fail_next(void) {
    failing = true;
}

void controller_tear(uint32_t offset) {
    torn[offset / 8] = true;
}

void controller_open(void) {
    void *wanted = (void *)(uintptr_t)AT;
    memory =
        mmap(wanted, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(memory == wanted, "no memory at the flash's address");
    memset(memory, 0x5A, SIZE);
}
