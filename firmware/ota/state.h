/* The update's records: an append log in two sectors that take turns.
 *
 * Each record is whole by itself (SPEC section 8, kind 5) and checked by its CRC; the newest valid one
 * counts, so a torn write leaves the one before it. The first record of every boot opens the other, freshly
 * erased sector: no place that a power cut may have half written is ever written again. A boot costs one
 * erase. */
#ifndef TINYFLEET_OTA_STATE_H
#define TINYFLEET_OTA_STATE_H

#include "tinyfleet/update.h"

enum { TF_STATE_RECORD_KIND = 5, TF_STATE_RECORD_BYTES = 256 };

/* The newest valid record; false: there is none, and `record` is zero. */
bool tf_state_load(const tf_update_layout_t *layout, tf_update_log_t *log, tf_update_record_t *record);

/* Writes `record` under the next sequence number and reads it back. False: it is not in flash. */
bool tf_state_append(const tf_update_layout_t *layout, tf_update_log_t *log, tf_update_record_t *record);

#endif
