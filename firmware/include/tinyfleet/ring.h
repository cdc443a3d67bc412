/* Messages that wait for the broker: a log in flash that goes round. When it is full the oldest go, and are
 * counted.
 *
 * Each record is whole by itself and checked (SPEC section 8, ring); it says how many messages were lost and
 * up to which all are acknowledged, so nothing is ever written in place. The first record after a start opens
 * a freshly erased sector: no place that a power cut may have half written is ever written again. After a cut
 * a message may be sent once more. */
#ifndef TINYFLEET_RING_H
#define TINYFLEET_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"
#include "tinyfleet/wire.h"

#define TF_RING_RECORD_KIND 8u
#define TF_RING_MESSAGE_MAX 1024u
#define TF_RING_OVERHEAD_BYTES \
    48u /* most that stands around a message, before it is padded to a write unit */
#define TF_RING_RECORD_BYTES 1280u /* the longest, with write units of up to 256 bytes */

typedef enum { TF_RING_TELE = 0, TF_RING_EVENT = 1, TF_RING_KINDS } tf_ring_kind_t;

/* `offset` and `bytes` are multiples of the flash's sector, three of them at least; a sector holds the
 * longest record. */
typedef struct {
    const tf_flash_t *flash;
    uint32_t offset;
    uint32_t bytes;
} tf_ring_place_t;

typedef struct {
    tf_ring_place_t place;
    uint32_t sequence;     /* of the newest record */
    uint32_t acknowledged; /* what stands up to this record waits no more */
    uint32_t written;      /* what the newest record says of that */
    uint32_t lost;         /* dropped, or never written; wraps */
    uint32_t held;         /* messages that wait */
    uint32_t sector;       /* the newest record's, and how much of it is used */
    uint32_t used;
    bool fresh;    /* the next record opens another sector */
    uint32_t tail; /* no message that waits stands before this, from the region's start */
    uint8_t area[TF_RING_RECORD_BYTES];
} tf_ring_t;

typedef struct {
    uint32_t sequence;
    tf_ring_kind_t kind;
    tf_bytes_t message; /* in flash; valid until the next tf_ring_put */
} tf_ring_item_t;

/* Finds what waits there. */
void tf_ring_open(tf_ring_t *ring, const tf_ring_place_t *place);
/* False: it is not in flash, and counted as lost. */
bool tf_ring_put(tf_ring_t *ring, tf_ring_kind_t kind, const uint8_t *message, uint32_t bytes);
/* The first message that waits and is newer than record `after` (tf_ring_t.acknowledged: the oldest); false:
 * none. */
bool tf_ring_next(const tf_ring_t *ring, uint32_t after, tf_ring_item_t *item);
/* That message and all before it are acknowledged. */
void tf_ring_done(tf_ring_t *ring, uint32_t sequence);
/* Nothing waits any more: puts that on record, unless it stands there. */
void tf_ring_settle(tf_ring_t *ring);

#endif
