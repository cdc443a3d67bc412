/* When the node's radio is on (SPEC section 10): a table over its states, and the budgets of a wake. No I/O
 * and no clock; whoever drives it hands facts in and carries its actions out (radio.c). */
#ifndef TINYFLEET_NODE_SLEEPER_H
#define TINYFLEET_NODE_SLEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/wire.h"

#define SLEEPER_NEVER UINT64_MAX
#define SLEEPER_AWAKE_MS 60000u /* where the policy does not say */
/* A wake is never shorter: a policy by mistake must not keep the node from the want that mends it. */
#define SLEEPER_AWAKE_LEAST_MS 5000u
#define SLEEPER_SAY_MS 5000u  /* for ASLEEP to be acknowledged */
#define SLEEPER_CLOSE_MS 300u /* for the last packets to leave */

typedef enum {
    SLEEPER_STAYS = 0, /* the radio is always on */
    SLEEPER_WAKING,    /* on, the broker not reached yet */
    SLEEPER_AWAKE,     /* on, and at work */
    SLEEPER_LEAVING,   /* it says ASLEEP */
    SLEEPER_CLOSING,   /* disconnected, its last packets leave */
    SLEEPER_ASLEEP,    /* off until the next wake */
    SLEEPER_STATES
} sleeper_state_t;

/* Facts as events; each may come again while it holds. */
typedef enum {
    SLEEPER_STAY = 0, /* the policy is to stay awake */
    SLEEPER_SLEEP,    /* it is to sleep */
    SLEEPER_UP,       /* the broker answers */
    SLEEPER_DOWN,     /* it does not */
    SLEEPER_SPENT,    /* the wake's time or bytes are used up */
    SLEEPER_IDLE,     /* nothing is left to say or to fetch */
    SLEEPER_SAID,     /* all that was said is acknowledged */
    SLEEPER_DUE,      /* the state's time is over */
    SLEEPER_EVENTS
} sleeper_event_t;

typedef enum {
    SLEEPER_NOTHING = 0,
    SLEEPER_BEGIN, /* a wake's budgets begin; the radio is on already */
    SLEEPER_SAY,   /* publish ASLEEP */
    SLEEPER_CLOSE, /* disconnect */
    SLEEPER_OFF,   /* end what connection there is, radio off */
    SLEEPER_ON,    /* radio on, connect at once; a wake's budgets begin */
} sleeper_action_t;

typedef struct {
    bool known; /* every cell of the table was written on purpose */
    uint8_t next;
    uint8_t action;
} sleeper_cell_t;

extern const sleeper_cell_t sleeper_table[SLEEPER_STATES][SLEEPER_EVENTS];

typedef struct {
    tf_sleep_t policy; /* may change at any time */
    sleeper_state_t state;
    uint64_t woke_ms;
    uint32_t woke_bytes;
    uint64_t due_ms;  /* of the state; NEVER: it has none */
    uint64_t wake_ms; /* the next one, once ASLEEP is about to be said */
} sleeper_t;

typedef struct {
    uint64_t now_ms;
    uint32_t bytes;             /* on air so far; wraps */
    bool up, heard, idle, said; /* heard: the want, without which no wake ends by its bytes */
    bool held;                  /* a wake does not end by its budgets now */
    uint32_t (*random)(void);
} sleeper_facts_t;

/* At start the radio is on and a wake begins. */
void sleeper_init(sleeper_t *sleeper, const tf_sleep_t *policy, uint64_t now_ms, uint32_t bytes);
/* The next action, NOTHING when there is none; call it until then. */
sleeper_action_t sleeper_poll(sleeper_t *sleeper, const sleeper_facts_t *facts);
bool sleeper_radio(const sleeper_t *sleeper);
/* Seconds until the next wake, rounded up. */
uint32_t sleeper_next_wake_s(const sleeper_t *sleeper, uint64_t now_ms);
/* Bytes that this wake may still cost, 0 when its time is over; UINT32_MAX: no limit. */
uint32_t sleeper_left_bytes(const sleeper_t *sleeper, uint64_t now_ms, uint32_t bytes);
/* When the state or the wake ends by time; NEVER: not by time. */
uint64_t sleeper_due_ms(const sleeper_t *sleeper);

#endif
