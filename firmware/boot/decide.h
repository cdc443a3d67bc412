/* Inside of boot: the decision as a table, complete over (view, first slot, second slot). */
#ifndef TINYFLEET_BOOT_DECIDE_H
#define TINYFLEET_BOOT_DECIDE_H

#include <stdint.h>

/* What record and reset reason say; it names which slot is looked at first. */
typedef enum {
    VIEW_BLANK = 0, /* no record: A first */
    VIEW_SETTLED,   /* the active slot first */
    VIEW_TRIAL,     /* a slot is on trial and may be started once more: that slot first */
    VIEW_SPENT,     /* its tries are used up: the active slot first */
    VIEW_BITTEN,    /* the watchdog ended its last start: the active slot first */
    VIEW_COUNT
} boot_view_t;

typedef enum { START_NONE = 0, START_FIRST, START_SECOND } boot_start_t;

/* What is written before that start. */
typedef enum {
    WRITE_NOTHING = 0,
    WRITE_ADOPT,   /* a board that was given its firmware before the first start */
    WRITE_COUNT,   /* one more try; when it cannot be written, the slot is not tried */
    WRITE_REFUSED, /* the trial ends: its slot does not verify */
    WRITE_FAILED,  /* the trial ends: it was not confirmed in time */
    WRITE_REPLACE, /* the active slot does not verify: the other takes its place */
} boot_write_t;

typedef struct {
    uint8_t known; /* every cell of the table was written on purpose */
    uint8_t start;
    uint8_t write;
} boot_row_t;

/* [view][first verifies][second verifies]; the second is verified only when the first is not good. */
extern const boot_row_t tf_boot_table[VIEW_COUNT][2][2];

#endif
