/* Which firmware starts: the record that bootloader and firmware share, and the decision made from it.
 *
 * A firmware asks for a trial of the other slot (tf_boot_request) and resets. The bootloader starts it at
 * most TF_BOOT_TRIES times; that firmware confirms (tf_boot_confirm) or refuses (tf_boot_reject) itself,
 * else the bootloader goes back. What runs is never touched. docs/boot.md draws it. */
#ifndef TINYFLEET_BOOT_H
#define TINYFLEET_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"
#include "tinyfleet/image.h"
#include "tinyfleet/record_log.h"

#define TF_BOOT_SLOTS 2u
#define TF_BOOT_NO_SLOT 0xFFu
#define TF_BOOT_TRIES 3u

enum { TF_BOOT_RECORD_KIND = 6, TF_BOOT_RECORD_BYTES = 128 };

typedef struct {
    const tf_flash_t *flash;
    uint32_t state_offset[2]; /* one sector each */
    uint32_t slot_offset[TF_BOOT_SLOTS];
    uint32_t slot_bytes;
    tf_image_start_t start; /* where an image runs from */
    uint32_t address;       /* RAM_LOAD: of the execution area. XIP: where the core sees the flash */
    uint32_t room_bytes;    /* RAM_LOAD: of the execution area */
} tf_boot_layout_t;

/* What survives a reset, newest record. */
typedef struct {
    uint32_t sequence;
    uint8_t active;            /* confirmed slot, or NO_SLOT */
    uint8_t pending;           /* slot on trial, or NO_SLOT */
    uint8_t tries;             /* starts of the pending slot so far */
    uint32_t token;            /* of the last request: whoever asked knows its answer by it */
    uint8_t result;            /* tf_result_t of the last trial; INITIAL while it is open */
    uint32_t security_counter; /* of confirmed firmware; only ever raised */
} tf_boot_record_t;

typedef struct {
    const tf_boot_layout_t *layout;
    bool has_record;
    tf_boot_record_t record;
    tf_log_t log;
} tf_boot_t;

/* Reads the record; without one, nothing is active. */
void tf_boot_open(tf_boot_t *boot, const tf_boot_layout_t *layout);
/* Each writes one record; false: it is not in flash, and the record in RAM is as it was. */
bool tf_boot_adopt(tf_boot_t *boot, uint8_t slot, uint32_t security_counter);
bool tf_boot_request(tf_boot_t *boot, uint8_t slot, uint32_t token);
bool tf_boot_count(tf_boot_t *boot);
bool tf_boot_confirm(tf_boot_t *boot, uint32_t security_counter);
bool tf_boot_reject(tf_boot_t *boot, tf_result_t result);

/* What an image in `slot` must be to start there. `base` says device type and trust. */
tf_image_policy_t tf_boot_policy(const tf_boot_t *boot, const tf_image_policy_t *base, uint8_t slot);
const uint8_t *tf_boot_slot(const tf_boot_layout_t *layout, uint8_t slot);

/* Why the processor started, as far as memory that no start clears can tell. */
typedef enum {
    TF_RESET_POWER = 0,    /* that memory was lost: power came */
    TF_RESET_REQUEST = 1,  /* the firmware asked for it */
    TF_RESET_FAULT = 2,    /* it faulted or panicked, and said so */
    TF_RESET_WATCHDOG = 3, /* it hung, and said so, or said nothing at all */
} tf_reset_t;

typedef struct {
    uint8_t slot;                      /* to start, or NO_SLOT: neither may */
    bool trial;                        /* its firmware must confirm */
    tf_image_t image;                  /* of that slot */
    const char *reason[TF_BOOT_SLOTS]; /* why a slot was refused; NULL: it was not, or not looked at */
} tf_boot_choice_t;

/* Verifies what has to be, writes what has to be, and says what to start. */
void tf_boot_choose(tf_boot_t *boot, const tf_image_policy_t *base, tf_reset_t reset,
                    tf_boot_choice_t *choice);

/* What the bootloader lends to the firmware that it starts: P-256 is 9 KB of code that is in flash already,
 * and keeps no variables. */
#define TF_BOOT_SERVICES 1u

typedef struct {
    uint32_t version;
    const void *p256; /* br_ec_impl of BearSSL */
    bool (*ecdsa_verify)(const uint8_t point[65], tf_bytes_t signature, const uint8_t digest[32]);
} tf_boot_services_t;

const tf_boot_services_t *tf_boot_services(void);

/* Bootloader to firmware, in memory that no start clears. */
#define TF_HANDOFF_MAGIC 0x54464232u

typedef struct {
    uint32_t magic;
    uint32_t reset; /* tf_reset_t of the start that leads here; the bootloader's */
    uint32_t slot;
    uint32_t trial;
    uint32_t ending; /* tf_reset_t; the firmware's, before it resets */
    const tf_boot_services_t *services;
    uint32_t check; /* of all before it */
} tf_handoff_t;

void tf_handoff_seal(tf_handoff_t *handoff);
bool tf_handoff_is_whole(const tf_handoff_t *handoff);

#endif
