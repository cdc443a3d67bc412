/* Update engine: brings the wanted firmware or model into the free slot, tries it, confirms it or goes back.
 * Of a want that names both, the firmware comes first: the model may need it. A challenger comes last: it
 * runs from the free slot beside the active model, until another want ends it.
 *
 * No I/O but flash, no clock, no allocation; all RAM is in tf_update_t (25 KiB: one group of 16, one manifest
 * of 8, the rest small). Drive it with the events below; after each, take actions with tf_update_next() until
 * it says false. An action that cannot be done now is simply not taken yet: nothing is lost by taking it
 * later.
 *
 * Power may fail anywhere: what must survive stands in checked records (ota/state.h), and the active model is
 * never touched until another one is confirmed. A firmware is tried by the bootloader (boot.h): the engine
 * asks for that, and goes on in the firmware that is on trial. */
#ifndef TINYFLEET_UPDATE_H
#define TINYFLEET_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/boot.h"
#include "tinyfleet/flash.h"
#include "tinyfleet/image.h"
#include "tinyfleet/record_log.h"
#include "tinyfleet/unpack.h"
#include "tinyfleet/wire.h"

#define TF_UPDATE_SLOTS 2u
#define TF_UPDATE_NO_SLOT 0xFFu
#define TF_UPDATE_NO_GROUP 0xFFFFu
#define TF_UPDATE_NEVER UINT64_MAX
#define TF_UPDATE_TRIES 3u /* an interrupted trial counts as one */
#define TF_UPDATE_STATUS_QUEUE 8u

/* Where things are in one flash. State: two sectors. All offsets and sizes are multiples of the flash's
 * sector, which divides TF_SECTOR_BYTES. */
typedef struct {
    const tf_flash_t *flash;
    uint32_t state_offset[2];
    uint32_t slot_offset[TF_UPDATE_SLOTS];
    uint32_t slot_bytes;
    /* Where encoded artifacts lie until all of them is there; 0 bytes: only raw ones are taken. */
    uint32_t staging_offset;
    uint32_t staging_bytes;
} tf_update_layout_t;

/* 0 in a time means the default in brackets. */
typedef struct {
    tf_update_layout_t layout;
    tf_image_policy_t policy;      /* security_counter is the engine's own and ignored here */
    const uint8_t *firmware_image; /* digest of the running firmware, as birth says it; NULL: not known */
    tf_boot_t *boot;               /* opened; NULL: no bootloader, so no firmware can be installed */
    uint8_t booted;                /* slot of the running firmware */
    bool crashed;                  /* the last run ended by a fault, or by the watchdog */
    /* Whether a firmware's image says that it has the ops of a verified model. NULL: they are not compared.
     */
    bool (*has_ops)(const tf_image_t *firmware, const tf_image_t *model);
    uint32_t group_timeout_ms;   /* without a new chunk, before subscribing again [5000] */
    uint32_t group_tries;        /* such time-outs in a row, before PAUSED [4] */
    uint32_t pause_first_ms;     /* before a damaged group is fetched again; doubles each time [500] */
    uint32_t resume_ms;          /* PAUSED tries again by itself; doubles up to 16 times this [60000] */
    uint32_t trial_timeout_ms;   /* for the answer to TRIAL [600000], and besides */
    uint32_t trial_inference_ms; /* for each live inference that it asks for [60000] */
    uint32_t self_test_ms;       /* for a firmware's answer to TRIAL, the broker's among it [300000] */
} tf_update_config_t;

/* What the node knows at the moment of an event. */
typedef struct {
    uint64_t uptime_ms;
    bool has_unix_s;
    uint64_t unix_s;
    bool has_battery_pct;
    uint8_t battery_pct;
    bool has_budget;       /* the radio is on for so many bytes at a time */
    uint32_t budget_bytes; /* each time */
    uint32_t left_bytes;   /* of this time; 0: it is over */
} tf_update_now_t;

typedef enum {
    TF_UPDATE_SLOT_EMPTY = 0,
    TF_UPDATE_SLOT_FILLING = 1,   /* being written: holds nothing */
    TF_UPDATE_SLOT_CANDIDATE = 2, /* verified, not confirmed */
    TF_UPDATE_SLOT_CONFIRMED = 3, /* active, or was before the other */
} tf_update_slot_t;

/* What survives a reset, newest record. */
typedef struct {
    uint32_t sequence;
    uint32_t boot;  /* this boot's number, from 1 */
    uint8_t active; /* slot, or TF_UPDATE_NO_SLOT */
    uint8_t slots[TF_UPDATE_SLOTS];
    uint32_t generation;  /* acted on; 0: none */
    uint8_t state;        /* tf_update_state_t */
    uint8_t result;       /* tf_result_t */
    uint8_t tries;        /* trials begun for this image; of a challenger, crashes */
    uint16_t committed;   /* sectors of the download that are in flash, without a gap */
    uint32_t size_bytes;  /* of the download */
    uint32_t image_bytes; /* installed, by the manifest; 0: not known */
    uint8_t manifest[32];
    uint8_t image[32];
    uint32_t security_counter;             /* of confirmed models; only ever raised */
    bool firmware;                         /* what is under way is a firmware, else a model */
    uint8_t firmware_slots[TF_BOOT_SLOTS]; /* tf_update_slot_t; which one is active the boot record says */
    bool has_next;                         /* a model is wanted once the firmware is confirmed */
    uint8_t next_manifest[32];
    uint8_t next_image[32];
    uint32_t next_bytes;
    uint32_t token;  /* of a firmware's trial that no want asked for (generation 0) */
    bool shadow;     /* what is under way, or runs in SHADOW, is a challenger */
    bool has_shadow; /* one is wanted once firmware and model are as wanted */
    uint8_t shadow_manifest[32];
    uint8_t shadow_image[32];
    uint32_t shadow_bytes;
    bool has_not_before, has_deadline, has_min_battery_pct;
    uint64_t not_before;
    uint64_t deadline;
    uint8_t min_battery_pct;
    tf_trial_t trial;
} tf_update_record_t;

typedef enum {
    TF_UPDATE_SUBSCRIBE = 1, /* blob topic of (manifest, group) at QoS 1, Retain Handling 0 */
    TF_UPDATE_UNSUBSCRIBE = 2,
    /* Publish `status`. Where it has a transfer only elapsed_ms is set; the byte counts are the node's. */
    TF_UPDATE_STATUS = 3,
    /* A model: load `image` from `slot`, run golden vectors and what `trial` asks. A firmware, which runs:
     * test yourself, the active model's golden vectors and the broker among it. Then answer
     * tf_update_trial(). */
    TF_UPDATE_TRIAL = 4,
    /* From now on run `slot` (NO_SLOT: nothing); ends any trial; a new epoch and a new birth. */
    TF_UPDATE_RUN = 5,
    /* Reset, once what was published is out. Nothing else is worth doing. */
    TF_UPDATE_RESET = 6,
    /* Run the model in `slot` beside the active one, its golden vectors first, then answer tf_update_trial();
     * once more whenever it must not go on. NO_SLOT: run it no longer. */
    TF_UPDATE_SHADOW = 7,
} tf_update_action_kind_t;

typedef struct {
    tf_update_action_kind_t kind;
    uint8_t manifest[16]; /* SUBSCRIBE, UNSUBSCRIBE: the blob's name */
    uint16_t group;
    tf_status_t status; /* STATUS */
    uint8_t slot;       /* TRIAL, RUN, SHADOW */
    bool firmware;      /* TRIAL */
    tf_image_t image;   /* TRIAL, RUN, SHADOW: verified, payload mapped in flash */
    tf_trial_t trial;   /* TRIAL: 0 inferences when the want asks for none */
} tf_update_action_t;

typedef struct {
    tf_status_t entries[TF_UPDATE_STATUS_QUEUE];
    uint32_t first;
    uint32_t count;
} tf_update_queue_t;

typedef struct {
    uint16_t group;      /* being fetched; 0 is the manifest, NO_GROUP none */
    uint16_t subscribed; /* what the node was told; NO_GROUP none */
    uint8_t subscribed_manifest[16];
    bool again;          /* unsubscribe and subscribe once more */
    bool pausing;        /* between two fetches of a damaged group */
    uint32_t received;   /* bit i: chunk i of the group is in the buffer */
    uint32_t last_bytes; /* group 0: length of its last chunk, 0 while it has not come */
    uint32_t last_index; /* group 0: which chunk that is */
    uint32_t bad;        /* damaged fetches in a row */
    uint32_t timeouts;   /* in a row */
    uint32_t resumes;    /* by the node itself, without progress in between */
    uint64_t started_ms; /* uptime when the want came, or when this boot began */
    bool has_manifest;
    uint32_t sectors_at; /* offset of the sector hashes in `manifest` */
    uint32_t sector_count;
    uint32_t done[TF_SECTORS_MAX / 32u]; /* bit i: sector i is in flash and matches */
    tf_packed_t packed;                  /* what the sectors make; RAW: themselves */
    bool unpacking;                      /* all are there, and the slot is being written */
    uint32_t unpacked;                   /* bytes of it that are in flash */
    tf_unpack_t unpack;
    uint8_t manifest[TF_MANIFEST_MAX_BYTES];
    uint8_t buffer[TF_GROUP_BYTES];
} tf_update_fetch_t;

/* An image that comes by another way than a want (local.h). */
typedef struct {
    bool open;
    bool firmware;
    bool has_sha;
    uint8_t sha[32];
    uint32_t size_bytes;
    uint32_t offset_bytes;
    uint32_t
        sequence; /* of the record that opened it: another one since, and the slot is not ours any more */
} tf_update_upload_t;

typedef struct {
    tf_update_config_t config;
    tf_update_record_t record;
    tf_update_upload_t upload;
    bool link;
    tf_log_t log;
    uint64_t deadline_ms; /* the want's deadline as uptime; NEVER while no clock is known */
    uint64_t due_ms;      /* time-out, end of a pause, next try or end of a trial; NEVER: none */
    uint32_t status_seq;
    const char *detail; /* why, for the next status */
    bool run_due, trial_due, reset_due, shadow_due;
    bool shadow_runs;  /* a challenger, as far as the node was told */
    bool runs;         /* the active slot holds a model that this firmware runs */
    tf_image_t active; /* that model, verified at start or confirmed since */
    tf_image_t candidate;
    bool has_held; /* a newer want came during a firmware's trial, which ends first */
    tf_want_t held;
    tf_update_queue_t queue;
    tf_update_fetch_t fetch;
} tf_update_t;

/* Reads the records, counts the boot, verifies the active slot (falls back to the other confirmed one; on a
 * board without records adopts a slot that verifies). False: the state sectors cannot be written; what runs
 * still runs. */
bool tf_update_start(tf_update_t *update, const tf_update_config_t *config, const tf_update_now_t *now);

/* What runs now, or NULL: nothing. */
const tf_image_t *tf_update_active(const tf_update_t *update);
const tf_update_record_t *tf_update_record(const tf_update_t *update);

/* Whether a want of this generation would be acted on as a new one. Generations wrap. */
bool tf_update_is_newer(const tf_update_t *update, uint32_t generation);
/* A `want` came; NULL: its payload was empty. Older generations are ignored. */
void tf_update_want(tf_update_t *update, const tf_want_t *want, const tf_update_now_t *now);
/* A chunk came, of group 0 or another. `data` may be any bytes. */
void tf_update_chunk(tf_update_t *update, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t length,
                     const tf_update_now_t *now);
void tf_update_link(tf_update_t *update, bool up, const tf_update_now_t *now);
/* Answer to TRIAL or SHADOW: TF_RESULT_SUCCESS or why not. `detail` is a literal or NULL. */
void tf_update_trial(tf_update_t *update, tf_result_t result, const char *detail, const tf_update_now_t *now);
/* Call when uptime_ms reaches tf_update_due(), and when battery or clock changed. Earlier does no harm. */
void tf_update_tick(tf_update_t *update, const tf_update_now_t *now);
uint64_t tf_update_due(const tf_update_t *update);

bool tf_update_next(tf_update_t *update, tf_update_action_t *action);

#endif
