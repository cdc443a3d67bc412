/* How one configuration takes the place of another: a table, complete over (state, event). */
#ifndef TINYFLEET_OTA_CONFIG_TABLE_H
#define TINYFLEET_OTA_CONFIG_TABLE_H

#include <stdint.h>

#include "tinyfleet/config_store.h"

typedef enum {
    CONFIG_OFFER = 0,  /* a newer change came */
    CONFIG_WRITTEN,    /* it stands whole in the free region */
    CONFIG_UNWRITABLE, /* it does not */
    CONFIG_BEGIN,      /* nothing stands against trying it */
    CONFIG_RESTART,    /* the node starts and finds this state in its record */
    CONFIG_REACHED,    /* the broker took the node in */
    CONFIG_MISSED,     /* an attempt ended before that */
    CONFIG_SPENT,      /* and no other is left */
    CONFIG_LATE,       /* all attempts took too long */
    CONFIG_DAMAGED,    /* the staged or tried one no longer reads */
    CONFIG_LOST,       /* the kept one no longer reads, but the other does */
    CONFIG_EVENTS
} config_event_t;

typedef enum {
    CONFIG_ACTION_NONE = 0,
    CONFIG_ACTION_WRITE,  /* the change, to the free region */
    CONFIG_ACTION_TRY,    /* the first attempt */
    CONFIG_ACTION_AGAIN,  /* another one, if any are left */
    CONFIG_ACTION_KEEP,   /* the free region is the active one from now on */
    CONFIG_ACTION_REFUSE, /* remember which one it was, and why */
} config_action_t;

enum {
    CONFIG_CELL_KNOWN = 1u, /* every cell was written on purpose */
    CONFIG_CELL_RECORD = 2u /* goes into flash before anything else is done */
};

typedef struct {
    uint8_t next; /* tf_config_state_t */
    uint8_t action;
    uint8_t flags;
} config_cell_t;

extern const config_cell_t tf_config_table[TF_CONFIG_STATES][CONFIG_EVENTS];

#endif
