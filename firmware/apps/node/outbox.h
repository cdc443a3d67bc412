/* Telemetry and events on their way to the manager: none is forgotten before the broker has acknowledged it.
 * What cannot be sent waits in flash (ring.h); an event that was sent is remembered until it is acknowledged.
 */
#ifndef TINYFLEET_NODE_OUTBOX_H
#define TINYFLEET_NODE_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "session.h"
#include "tinyfleet/ring.h"

#define OUTBOX_PENDING 2u
#define OUTBOX_PENDING_BYTES 256u
#define OUTBOX_WINDOW 4u /* messages of the ring under way; the client has room for more of others */

typedef struct {
    uint16_t id; /* 0: free */
    uint16_t size;
    uint8_t kind;
    uint8_t bytes[OUTBOX_PENDING_BYTES];
} outbox_pending_t;

typedef struct {
    uint16_t id; /* 0: acknowledged */
    uint32_t sequence;
} outbox_flight_t;

typedef struct {
    session_t *session;
    tf_ring_t ring;
    outbox_pending_t pending[OUTBOX_PENDING];
    outbox_flight_t flights[OUTBOX_WINDOW]; /* oldest first */
    uint32_t flight_count;
} outbox_t;

void outbox_init(outbox_t *outbox, session_t *session, const tf_ring_place_t *place);
/* Now, or once it can be sent. False: it is lost, and counted. */
bool outbox_put(outbox_t *outbox, tf_ring_kind_t kind, const uint8_t *message, uint32_t size);
/* Keeps it in flash whatever the link. */
bool outbox_keep(outbox_t *outbox, tf_ring_kind_t kind, const uint8_t *message, uint32_t size);
/* Sends what waits; `may_send`: this wake has bytes for that. */
void outbox_poll(outbox_t *outbox, bool may_send);
/* The broker has taken a message of ours, or refused it. */
void outbox_acknowledged(outbox_t *outbox, uint16_t id, bool taken);
/* The connection has ended, or is about to: what was not acknowledged waits again. */
void outbox_link_down(outbox_t *outbox);
/* Nothing is under way, and nothing waits. */
bool outbox_is_empty(const outbox_t *outbox);
bool outbox_is_under_way(const outbox_t *outbox);

#endif
