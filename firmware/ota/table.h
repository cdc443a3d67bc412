/* The update's state machine: one table, complete over (state, event). SPEC section 4 names the states. */
#ifndef TINYFLEET_OTA_TABLE_H
#define TINYFLEET_OTA_TABLE_H

#include <stdint.h>

#include "tinyfleet/wire_keys.h"

/* What can happen. Each carries a result, INITIAL where nothing went wrong; it is taken where the cell tells
 * or the state changes. */
typedef enum {
    EVENT_OFFER = 0, /* a newer want names a firmware or model that does not run */
    EVENT_CURRENT,   /* a newer want names only what runs */
    EVENT_FIRMWARE,  /* a newer want names a firmware that does not run, and none can be installed */
    EVENT_STAY,      /* a newer want names nothing */
    EVENT_KEEP,      /* a newer want names what runs, and the challenger that runs beside it */
    EVENT_WITHDRAW,  /* the want was emptied */
    EVENT_REMIND,    /* the want acted on came again */
    EVENT_RESTART,   /* the node starts and finds this state in its record */
    EVENT_LINK_UP,
    EVENT_LINK_DOWN,
    EVENT_DUE,       /* the time that the state waits for has come */
    EVENT_START,     /* nothing stands against the download */
    EVENT_WAIT,      /* battery, time of day or the wake's budget stand against it */
    EVENT_EXPIRE,    /* the deadline has passed */
    EVENT_PRESENT,   /* the free slot holds the wanted image already */
    EVENT_DAMAGED,   /* fetched bytes do not match their hash */
    EVENT_STALL,     /* nothing comes */
    EVENT_REFUSE,    /* it cannot be had, or must not be installed */
    EVENT_VERIFIED,  /* all there, signed, and for this node */
    EVENT_PROCEED,   /* the step before is on record */
    EVENT_PASS,      /* the trial showed what it had to */
    EVENT_HALFWAY,   /* likewise, and what is wanted besides comes now */
    EVENT_REJECT,    /* it did not */
    EVENT_CHALLENGE, /* PROCEED of a challenger, which has no trial */
    EVENT_COUNT
} event_t;

/* What is done on the way; install.c and fetch.c. */
typedef enum {
    ACTION_NONE = 0,
    ACTION_OFFER,     /* forget the last download, then consider */
    ACTION_CURRENT,   /* nothing is to be fetched */
    ACTION_CONSIDER,  /* may the download start? */
    ACTION_DEFER,     /* consider again later */
    ACTION_FETCH,     /* the next missing group */
    ACTION_REFETCH,   /* the same group after a pause */
    ACTION_CONTINUE,  /* a pause is over, or a group is late */
    ACTION_PAUSE,     /* until the link comes back, the want comes again, or it is time */
    ACTION_STOP,      /* no longer wanted */
    ACTION_FAIL,      /* the free slot holds nothing */
    ACTION_CHECK,     /* verify the free slot once more */
    ACTION_PRESENT,   /* all of it is in the free slot */
    ACTION_STAGE,     /* the free slot holds a candidate */
    ACTION_TRY,       /* count a trial, then begin it: of a firmware by the bootloader */
    ACTION_RETRY,     /* a trial was cut off: another one, if any are left */
    ACTION_CONFIRM,   /* the candidate becomes the active one */
    ACTION_ADVANCE,   /* likewise, and what is wanted besides is offered: a model, then a challenger */
    ACTION_CHALLENGE, /* the candidate runs beside the active one, its golden vectors first */
    ACTION_RESUME,    /* again, after a start */
    ACTION_ACCOMPANY, /* its golden vectors passed */
    ACTION_KEEP,      /* it goes on */
} action_t;

enum {
    CELL_KNOWN = 1u,  /* every cell of the table was written on purpose */
    CELL_RECORD = 2u, /* goes into flash before anything else is done */
    CELL_TELL = 4u,   /* a status message */
};

typedef struct {
    uint8_t next; /* tf_update_state_t */
    uint8_t action;
    uint8_t flags;
} cell_t;

enum { STATE_COUNT = TF_UPDATE_STATE_SHADOW + 1 };

/* The engine follows it until a cell's action has no event of its own to add (engine.c). */
extern const cell_t tf_update_table[STATE_COUNT][EVENT_COUNT];

#endif
