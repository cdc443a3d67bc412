/* The update's records (SPEC section 8, kind 5), in a log of their own (record_log.h). A boot costs one
 * erase. */
#ifndef TINYFLEET_OTA_STATE_H
#define TINYFLEET_OTA_STATE_H

#include "tinyfleet/update.h"

enum { TF_STATE_RECORD_KIND = 5, TF_STATE_RECORD_BYTES = 512 };

/* The newest valid record; false: there is none, and `record` is zero. */
bool tf_state_load(const tf_update_layout_t *layout, tf_log_t *log, tf_update_record_t *record);

/* Writes `record` under the next sequence number and reads it back. False: it is not in flash. */
bool tf_state_append(const tf_update_layout_t *layout, tf_log_t *log, tf_update_record_t *record);

#endif
