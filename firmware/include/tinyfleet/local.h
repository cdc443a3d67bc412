/* Images that someone beside the node brings (SMP), through the same slots, checks and trials as wanted ones.
 *
 * They go to the slot that is not the active one, and only while no want is being carried out; a newer want
 * takes that slot over. What is whole and verified may be tried: the trial confirms or reverts as any other.
 * It counts as generation 0, so whatever the manager wants of the node comes before it: at the latest when
 * the node connects again. */
#ifndef TINYFLEET_LOCAL_H
#define TINYFLEET_LOCAL_H

#include "tinyfleet/update.h"

typedef enum {
    TF_LOCAL_OK = 0,
    TF_LOCAL_BUSY,      /* another update is under way, or has taken the slot over */
    TF_LOCAL_NO_SLOT,   /* without a bootloader no firmware can be installed; or no such slot */
    TF_LOCAL_TOO_LARGE, /* for the slot, or 0 bytes */
    TF_LOCAL_OVERRUN,   /* more bytes than were announced */
    TF_LOCAL_FLASH,     /* it does not keep what was written */
    TF_LOCAL_SHA,       /* whole, and not what was announced */
    TF_LOCAL_REFUSED,   /* whole, and may not run here: `result` and `reason` say why */
    TF_LOCAL_NO_IMAGE,  /* no verified image with that digest */
    TF_LOCAL_ACTIVE,    /* the one that runs */
} tf_local_status_t;

typedef struct {
    tf_local_status_t status;
    tf_result_t result; /* REFUSED */
    const char *reason; /* REFUSED: a literal; else NULL */
} tf_local_t;

/* Opens an upload, or goes on with one of the same size and SHA-256: upload.offset_bytes says where. */
tf_local_t tf_local_begin(tf_update_t *update, bool firmware, uint32_t size_bytes, const uint8_t *sha);
/* The bytes at upload.offset_bytes. With the last one the image is verified; upload.open is false then. */
tf_local_t tf_local_write(tf_update_t *update, const uint8_t *data, uint32_t length);
/* Whether the upload that was opened can go on. */
bool tf_local_is_open(const tf_update_t *update);
/* Begins the trial of the image with that digest. A firmware's starts with the next reset, which the engine
 * asks for. */
tf_local_t tf_local_test(tf_update_t *update, const uint8_t digest[32], const tf_update_now_t *now);
/* From now on the slot holds nothing; its first sector is erased. */
tf_local_t tf_local_erase(tf_update_t *update, bool firmware, uint8_t slot);

#endif
