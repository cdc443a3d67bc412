#include "outbox.h"

#include <string.h>

static const char *leaf(tf_ring_kind_t kind) {
    return kind == TF_RING_EVENT ? "event" : "tele";
}

void outbox_init(outbox_t *outbox, session_t *session, const tf_ring_place_t *place) {
    memset(outbox, 0, sizeof *outbox);
    outbox->session = session;
    tf_ring_open(&outbox->ring, place);
}

static outbox_pending_t *pending_of(outbox_t *outbox, uint16_t id) {
    for (uint32_t i = 0; i < OUTBOX_PENDING; i++) {
        if (outbox->pending[i].id == id) return &outbox->pending[i];
    }
    return NULL;
}

static bool send(outbox_t *outbox, tf_ring_kind_t kind, const uint8_t *message, uint32_t size) {
    return session_ready(outbox->session, size) &&
           session_publish(outbox->session, leaf(kind), message, size, false);
}

bool outbox_keep(outbox_t *outbox, tf_ring_kind_t kind, const uint8_t *message, uint32_t size) {
    return tf_ring_put(&outbox->ring, kind, message, size);
}

bool outbox_put(outbox_t *outbox, tf_ring_kind_t kind, const uint8_t *message, uint32_t size) {
    outbox_pending_t *pending = pending_of(outbox, 0);
    bool direct = pending != NULL && size <= sizeof pending->bytes && outbox->ring.held == 0;
    if (!direct || !send(outbox, kind, message, size)) return outbox_keep(outbox, kind, message, size);
    pending->id = outbox->session->published;
    pending->kind = (uint8_t)kind;
    pending->size = (uint16_t)size;
    memcpy(pending->bytes, message, size);
    return true;
}

/* The first message that waits and is not under way. */
static bool next(const outbox_t *outbox, tf_ring_item_t *item) {
    uint32_t count = outbox->flight_count;
    uint32_t after = count > 0 ? outbox->flights[count - 1u].sequence : outbox->ring.acknowledged;
    return tf_ring_next(&outbox->ring, after, item);
}

void outbox_poll(outbox_t *outbox, bool may_send) {
    tf_ring_t *ring = &outbox->ring;
    tf_ring_item_t item;
    if (!outbox->session->up || (ring->held == 0 && ring->written == ring->acknowledged)) return;
    while (outbox->flight_count < OUTBOX_WINDOW && next(outbox, &item)) {
        if (!may_send || !send(outbox, item.kind, item.message.data, item.message.length)) return;
        outbox->flights[outbox->flight_count++] =
            (outbox_flight_t){outbox->session->published, item.sequence};
    }
    if (outbox->flight_count == 0) tf_ring_settle(ring);
}

void outbox_acknowledged(outbox_t *outbox, uint16_t id, bool taken) {
    outbox_pending_t *pending = id != 0 ? pending_of(outbox, id) : NULL;
    outbox_flight_t *flights = outbox->flights;
    uint32_t at = 0;
    while (at < outbox->flight_count && flights[at].id != id) at++;
    if (pending == NULL && at == outbox->flight_count) return;
    /* Asking again would get the same answer. */
    if (!taken) outbox->ring.lost++;
    if (pending != NULL) {
        pending->id = 0;
        return;
    }
    flights[at].id = 0;
    while (outbox->flight_count > 0 && flights[0].id == 0) {
        tf_ring_done(&outbox->ring, flights[0].sequence);
        outbox->flight_count--;
        memmove(flights, flights + 1, outbox->flight_count * sizeof *flights);
    }
}

void outbox_link_down(outbox_t *outbox) {
    outbox->flight_count = 0;
    for (uint32_t i = 0; i < OUTBOX_PENDING; i++) {
        outbox_pending_t *pending = &outbox->pending[i];
        if (pending->id == 0) continue;
        pending->id = 0;
        (void)outbox_keep(outbox, (tf_ring_kind_t)pending->kind, pending->bytes, pending->size);
    }
}

bool outbox_is_under_way(const outbox_t *outbox) {
    if (outbox->flight_count > 0) return true;
    for (uint32_t i = 0; i < OUTBOX_PENDING; i++) {
        if (outbox->pending[i].id != 0) return true;
    }
    return false;
}

bool outbox_is_empty(const outbox_t *outbox) {
    return outbox->ring.held == 0 && !outbox_is_under_way(outbox);
}
