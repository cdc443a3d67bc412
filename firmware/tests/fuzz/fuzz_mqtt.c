/* A server that sends anything. The input: how long the pieces are that arrive, what the client does in
 * between, and the server's bytes. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/mqtt.h"

enum { ROOM = 2048, HEAD = 2, TICK_MS = 700 };

static unsigned long connections, messages, acks, ends;

typedef struct {
    tf_mqtt_t client;
    uint32_t room;
    uint32_t payload_left; /* of the message that arrives */
    bool in_message, open;
} peer_t;

static uint32_t room(void *context) {
    return ((peer_t *)context)->room;
}

static int write(void *context, const uint8_t *data, uint32_t size, bool more) {
    peer_t *const peer = context;
    (void)more;
    if (!peer->open || size > peer->room) abort();
    fuzz_touch(data, size);
    peer->room -= size;
    return 0;
}

static void flush(void *context) {
    (void)context;
}

static void close_link(void *context) {
    ((peer_t *)context)->open = false;
}

static void on_connected(void *context) {
    peer_t *const peer = context;
    connections++;
    const tf_mqtt_filter_t filters[] = {{"tf/1/node/want", 1, 0}, {"tf/1/blob/+", 0, 2}};
    (void)tf_mqtt_subscribe(&peer->client, filters, 2);
    (void)tf_mqtt_publish(&peer->client, "tf/1/node/birth", (const uint8_t *)"birth", 5, 1, true);
}

static void on_closed(void *context, tf_mqtt_end_t why, uint8_t reason) {
    peer_t *const peer = context;
    (void)reason;
    if (why == TF_MQTT_END_CLOSED) abort(); /* nobody here asked for it */
    peer->in_message = false;
    ends++;
}

static void on_message(void *context, const tf_mqtt_message_t *message) {
    peer_t *const peer = context;
    if (peer->in_message || message->qos > 1 || message->topic_bytes == 0) abort();
    fuzz_touch(message->topic, message->topic_bytes);
    peer->in_message = true;
    peer->payload_left = message->payload_bytes;
    messages++;
}

static void on_payload(void *context, const uint8_t *data, uint32_t size, bool last) {
    peer_t *const peer = context;
    if (!peer->in_message || size > peer->payload_left) abort();
    fuzz_touch(data, size);
    peer->payload_left -= size;
    if (last != (peer->payload_left == 0)) abort();
    peer->in_message = !last;
}

static void on_ack(void *context, tf_mqtt_request_t type, uint16_t id, const uint8_t *codes, uint32_t count) {
    peer_t *const peer = context;
    if (id == 0) abort();
    fuzz_touch(codes, count);
    acks++;
    if (type == TF_MQTT_SUBSCRIBE) {
        const char *const filter = "tf/1/blob/+";
        (void)tf_mqtt_unsubscribe(&peer->client, &filter, 1);
    }
}

/* What the client does between two pieces. */
static void act(peer_t *peer, uint8_t habits, uint32_t *now_ms) {
    if (habits & 1) *now_ms += TICK_MS;
    if (habits & 2) {
        (void)tf_mqtt_publish(&peer->client, "tf/1/node/tele", (const uint8_t *)"x", 1, habits >> 2 & 1,
                              false);
    }
    /* Else the transport stays full, and acknowledgements wait. */
    if (habits & 8) {
        peer->room = ROOM;
        tf_mqtt_writable(&peer->client, *now_ms);
    }
    (void)tf_mqtt_tick(&peer->client, *now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD) return 0;
    const uint32_t longest = data[0] ? data[0] : 1u << 16;
    const uint8_t habits = data[1];
    peer_t *const peer = calloc(1, sizeof *peer);
    if (peer == NULL) abort();
    peer->room = ROOM;
    peer->open = true;
    const tf_mqtt_transport_t transport = {peer, room, write, flush, close_link};
    const tf_mqtt_events_t events = {peer, on_connected, on_closed, on_message, on_payload, on_ack};
    tf_mqtt_init(&peer->client, &transport, &events);
    const tf_mqtt_options_t options = {.client_id = "node",
                                       .keepalive_s = 30,
                                       .receive_maximum = 8,
                                       .maximum_packet_bytes = 4096,
                                       .answer_timeout_ms = 10000};
    uint32_t now_ms = UINT32_MAX - 5000; /* it wraps on the way */
    if (!tf_mqtt_open(&peer->client, &options, now_ms)) abort();
    tf_mqtt_opened(&peer->client, now_ms);
    for (size_t at = HEAD; at < size && peer->client.state != TF_MQTT_IDLE;) {
        const size_t piece = size - at < longest ? size - at : longest;
        uint8_t *const copy = malloc(piece);
        if (copy == NULL) abort();
        memcpy(copy, data + at, piece);
        tf_mqtt_input(&peer->client, copy, (uint32_t)piece, now_ms);
        free(copy);
        at += piece;
        if (peer->client.state != TF_MQTT_IDLE) act(peer, habits, &now_ms);
    }
    if (peer->client.state != TF_MQTT_IDLE) tf_mqtt_lost(&peer->client);
    if (peer->client.state != TF_MQTT_IDLE) abort();
    free(peer);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: connections %lu, messages %lu, acknowledgements %lu, ends %lu\n", connections, messages,
           acks, ends);
}
