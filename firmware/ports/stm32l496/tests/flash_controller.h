/* The flash controller of RM0351, section 3, as far as the driver uses it, and stricter: what the manual
 * forbids ends the program. The flash itself stands at its real address. */
#ifndef TINYFLEET_STM32L496_FLASH_CONTROLLER_H
#define TINYFLEET_STM32L496_FLASH_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

void controller_open(void);
/* Takes note of the last access. */
void controller_settle(void);
/* Locked, not busy, its cache emptied since the last change: as an operation must leave it. */
bool controller_rests(void);

/* The next programming or erase answers with an error, having done nothing. */
void controller_fail_next(void);
/* A double word that a power cut left such that ECC cannot mend it; erasing its page mends it. */
void controller_tear(uint32_t offset);

typedef struct {
    uint32_t erased_pages, programmed, unmendable_reads;
} controller_counts_t;

extern controller_counts_t controller_counts;

#endif
