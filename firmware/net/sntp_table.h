/* SNTP's states: a table, complete over (state, event). */
#ifndef TINYFLEET_NET_SNTP_TABLE_H
#define TINYFLEET_NET_SNTP_TABLE_H

#include "tinyfleet/sntp.h"

typedef enum {
    SNTP_START = 0, /* there is a server */
    SNTP_STOP,      /* there is none */
    SNTP_SENT,      /* the request is out */
    SNTP_TIMEOUT,   /* the time that the state waits for has come */
    SNTP_SPENT,     /* likewise, and no try is left */
    SNTP_ANSWER,    /* the time */
    SNTP_KISS,      /* the server asks to be left alone (RFC 4330, section 8) */
    SNTP_EVENTS
} sntp_event_t;

typedef enum {
    SNTP_KEEP = 0,
    SNTP_FIRST,  /* tries begin anew */
    SNTP_COUNT,  /* one more */
    SNTP_REST,   /* for TF_SNTP_RETRY_MS */
    SNTP_SETTLE, /* for TF_SNTP_AGAIN_MS */
} sntp_action_t;

typedef struct {
    uint8_t known; /* every cell was written on purpose */
    uint8_t next;
    uint8_t action;
} sntp_cell_t;

extern const sntp_cell_t tf_sntp_table[TF_SNTP_STATES][SNTP_EVENTS];

#endif
