/* Records that must survive anything: an append log in two sectors that take turns.
 *
 * Each record is whole by itself (SPEC section 8) and checked by its CRC; key 0 of its map is a sequence
 * number, and the newest valid one counts, so a torn write leaves the one before it. The first record after
 * each loading opens the other, freshly erased sector: no place that a power cut may have half written is
 * ever written again. A sector's first record counts only if it reads well many times over: with the other
 * sector erased it would be the only one, and a write that was cut may leave bits that waver. Bootloader and
 * firmware write with this same code. */
#ifndef TINYFLEET_RECORD_LOG_H
#define TINYFLEET_RECORD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"
#include "tinyfleet/wire.h"

#define TF_LOG_RECORD_MAX 512u

/* Where a log is. `record_bytes` divides the sector, is a multiple of the flash's write unit, and at most
 * TF_LOG_RECORD_MAX. */
typedef struct {
    const tf_flash_t *flash;
    uint32_t offset[2];
    uint16_t kind;
    uint32_t record_bytes;
} tf_log_place_t;

typedef struct {
    uint32_t sector; /* which of the two holds the newest record */
    uint32_t next;   /* offset in it of the next record; past the end: the other sector comes next */
} tf_log_t;

/* Whether a body is a record that this build can read; one that is not does not count. */
typedef bool (*tf_log_accept_t)(tf_bytes_t body);

/* Body of the newest record in flash, data NULL when there is none, and its sequence number. */
tf_bytes_t tf_log_load(const tf_log_place_t *place, tf_log_accept_t accept, tf_log_t *log,
                       uint32_t *sequence);

/* Seals the record whose body stands behind the header's room in `area` (record_bytes long, its rest erased
 * bytes), writes it and reads it back. False: it is not in flash. */
bool tf_log_append(const tf_log_place_t *place, tf_log_t *log, uint8_t *area, uint32_t body_bytes);

#endif
