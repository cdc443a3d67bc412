/* Which of the two configuration regions a node uses, and how another configuration takes its place.
 *
 * A change is written, whole, to the region that is not in use, then tried: kept once the broker was reached
 * with it, else the one before comes back by itself, over resets too. The one in use is never written to. No
 * I/O but flash, no clock, no allocation. */
#ifndef TINYFLEET_CONFIG_STORE_H
#define TINYFLEET_CONFIG_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"
#include "tinyfleet/record_log.h"
#include "tinyfleet/wire.h"

#define TF_CONFIG_TRIES 5u         /* attempts to reach the broker; a reset in between begins another */
#define TF_CONFIG_TRIAL_MS 120000u /* for all of them, in one run */
#define TF_CONFIG_RECORD_MAX 2048u /* of a configuration that a node writes: its bounds allow 1.7 KB */
#define TF_CONFIG_STATE_KIND 7u    /* of the record below (SPEC section 8) */
#define TF_CONFIG_STATE_BYTES 64u

typedef struct {
    const tf_flash_t *flash;
    uint32_t region_offset[2];
    uint32_t region_bytes;
    uint32_t state_offset[2]; /* a sector each */
} tf_config_layout_t;

typedef enum {
    TF_CONFIG_SETTLED = 0,
    TF_CONFIG_STAGED = 1, /* the free region holds another one, not tried yet */
    TF_CONFIG_TRIAL = 2,  /* which is in use, but not kept yet */
    TF_CONFIG_STATES
} tf_config_state_t;

/* What survives a reset. */
typedef struct {
    uint32_t sequence; /* of this record */
    uint8_t state;
    uint8_t active;   /* region, kept */
    uint8_t tries;    /* begun in this trial */
    uint32_t refused; /* sequence of the last configuration that was not kept; 0: none */
    uint8_t result;   /* tf_result_t: why not */
} tf_config_record_t;

typedef struct {
    const tf_config_layout_t *layout;
    tf_config_record_t record;
    tf_log_t log;
    const char *detail; /* why the last one was not kept; NULL after a reset */
    uint8_t area[TF_CONFIG_RECORD_MAX];
} tf_config_store_t;

/* Reads the records; a trial that a reset cut off goes on, or ends. False: no region holds a configuration.
 * `layout` must stay. */
bool tf_config_open(tf_config_store_t *store, const tf_config_layout_t *layout);

/* The region to use now, an offset. Ask again after each call below that answers true. */
uint32_t tf_config_in_use(const tf_config_store_t *store);

/* Whether a change of this sequence is newer than all that was used, staged or refused. They wrap. */
bool tf_config_is_newer(const tf_config_store_t *store, uint32_t sequence);

/* Writes the configuration in use with its change to the free region. Ignored when it is not newer or a
 * trial is open. What cannot be written, or asks for TLS where there is no key, is refused. */
void tf_config_offer(tf_config_store_t *store, const tf_config_change_t *change);

/* Begins the trial of what is staged. True: use tf_config_in_use() from now on. */
bool tf_config_begin(tf_config_store_t *store);
/* The broker was reached: what is on trial is kept. True: flash does not take that; as below. */
bool tf_config_reached(tf_config_store_t *store);
/* An attempt ended before that. True: it was the last one; the configuration before is in use again. */
bool tf_config_missed(tf_config_store_t *store, tf_result_t result, const char *detail);
/* TF_CONFIG_TRIAL_MS are over, likewise. */
bool tf_config_late(tf_config_store_t *store);

#endif
