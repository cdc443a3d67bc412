/* Flash for host tests, stricter than flash: it ends the program at a write to a unit that was not erased
 * since it was last touched, outside of the flash, or off a unit's bounds. It starts full of noise, not
 * erased.
 *
 * Units of 8 bytes and more are taken to have ECC, as those of STM32L4 have: one that a cut leaves half
 * written reads as anything.
 *
 * Power can be cut at any operation. Then the operation does not return: the simulator jumps to `out`. */
#ifndef TINYFLEET_TESTS_FLASH_SIM_H
#define TINYFLEET_TESTS_FLASH_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"

/* What the operation that is cut leaves behind. */
typedef enum {
    CUT_BEFORE = 0, /* nothing happened */
    CUT_TORN = 1,   /* a part, and one unit between old and new */
    CUT_SILENT = 2, /* reads as before, but may not be written without another erase */
    CUT_AFTER = 3,  /* all of it, though nobody was told */
    CUT_WEAK =
        4, /* as torn, and bits that were under the pulse read otherwise each time, until it is erased */
    CUT_KINDS = 5,
} flash_cut_t;

typedef struct {
    tf_flash_t port;
    uint8_t *bytes;
    bool *writable; /* a unit: erased, and not touched since */
    bool *doubtful; /* a unit: power went while it was touched; it may read well and still not last */
    uint8_t *weak;  /* a byte's bits that read otherwise each time */
    uint32_t weak_from, weak_to; /* all of them lie there */
    uint32_t operations;         /* erases and writes so far */
    uint32_t cut_at;             /* operation that is cut, from 1; 0: none */
    flash_cut_t cut;
    jmp_buf out;
    uint32_t random;
    uint32_t fail_at;   /* operation that fails without effect, from 1; 0: none */
    uint32_t lose_from; /* writes from this offset on report success and keep nothing; UINT32_MAX: none */
} flash_sim_t;

void flash_sim_open(flash_sim_t *sim, uint32_t size_bytes, uint32_t write_bytes);
void flash_sim_close(flash_sim_t *sim);
/* The same contents and wear, no cut. */
void flash_sim_copy(flash_sim_t *to, const flash_sim_t *from);
/* Calls `live` with power cut at its operation `at` (0: never). True: the cut came, and `live` did not
 * return, but was left by longjmp; what it changes must be static. */
bool flash_sim_cut(flash_sim_t *sim, uint32_t at, flash_cut_t cut, uint32_t random,
                   void (*live)(const void *context), const void *context);
/* As a programmer would at the factory: erases and writes, not counted. */
void flash_sim_program(flash_sim_t *sim, uint32_t offset, const uint8_t *data, uint32_t size);
/* Whether no unit of the range is doubtful. */
bool flash_sim_is_sound(const flash_sim_t *sim, uint32_t offset, uint32_t size);

#endif
