/* A TLS server that sends anything, to the link that stands between it and the MQTT client. The first byte
 * says how long the pieces are that arrive, the rest is the server's. A first input shows a certificate that
 * the link trusts, but nobody here finds the answer to the rest of a handshake: nothing may open, and the end
 * is told once. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/tls.h"

static unsigned long flights, failures_seen, silent;

typedef struct {
    tf_tls_link_t tls;
    tf_mqtt_t client;
    bool open;
    unsigned opened, failed, closed;
} peer_t;

static uint32_t room(void *context) {
    return ((peer_t *)context)->open ? 4096 : 0;
}

static int write(void *context, const uint8_t *data, uint32_t size, bool more) {
    (void)more;
    if (!((peer_t *)context)->open) abort();
    fuzz_touch(data, size);
    return 0;
}

static void flush(void *context) {
    (void)context;
}

static void close_link(void *context) {
    ((peer_t *)context)->open = false;
}

static void random_bytes(void *context, uint8_t out[32]) {
    (void)context;
    memset(out, 0x5A, 32);
}

static void on_open(void *context) {
    ((peer_t *)context)->opened++;
}

static void on_failed(void *context, int error) {
    (void)error;
    ((peer_t *)context)->failed++;
}

static void on_connected(void *context) {
    (void)context;
    abort();
}

static void on_closed(void *context, tf_mqtt_end_t why, uint8_t reason) {
    (void)why, (void)reason;
    ((peer_t *)context)->closed++;
}

static void on_message(void *context, const tf_mqtt_message_t *message) {
    (void)context, (void)message;
    abort();
}

static void on_payload(void *context, const uint8_t *data, uint32_t size, bool last) {
    (void)context, (void)data, (void)size, (void)last;
    abort();
}

static void on_ack(void *context, tf_mqtt_request_t type, uint16_t id, const uint8_t *codes, uint32_t count) {
    (void)context, (void)type, (void)id, (void)codes, (void)count;
    abort();
}

/* The authority's key is 1, so its point is the curve's generator. */
static const uint8_t point[] = {0x04, 0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5,
                                0x63, 0xA4, 0x40, 0xF2, 0x77, 0x03, 0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4,
                                0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96, 0x4F, 0xE3, 0x42, 0xE2, 0xFE, 0x1A,
                                0x7F, 0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E, 0x16, 0x2B, 0xCE, 0x33,
                                0x57, 0x6B, 0x31, 0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5};
/* CN=tinyfleet, as the certificate of the first input has its issuer. */
static const uint8_t name[] = {0x30, 0x14, 0x31, 0x12, 0x30, 0x10, 0x06, 0x03, 0x55, 0x04, 0x03,
                               0x0C, 0x09, 't',  'i',  'n',  'y',  'f',  'l',  'e',  'e',  't'};

static void begin(peer_t *peer) {
    static const uint8_t secret[32] = {1};
    const tf_tls_t config = {.server = {"broker.tinyfleet", 16},
                             .ca_name = {name, sizeof name},
                             .ca_key = {point, sizeof point},
                             .certificate = {name, sizeof name},
                             .key = {secret, sizeof secret},
                             .day = 20454};
    const tf_mqtt_transport_t below = {peer, room, write, flush, close_link};
    const tf_tls_events_t events = {peer, random_bytes, on_open, on_failed};
    const tf_mqtt_events_t mqtt = {peer, on_connected, on_closed, on_message, on_payload, on_ack};
    const tf_mqtt_options_t options = {.client_id = "n", .receive_maximum = 8, .maximum_packet_bytes = 4096};
    memset(peer, 0, sizeof *peer);
    peer->open = true;
    tf_tls_init(&peer->tls, &peer->client, &below, &config, &events);
    const tf_mqtt_transport_t transport = tf_tls_transport(&peer->tls);
    tf_mqtt_init(&peer->client, &transport, &mqtt);
    if (!tf_mqtt_open(&peer->client, &options, 0)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static peer_t peer;
    if (size == 0) return 0;
    begin(&peer);
    const tf_link_upper_t upper = tf_tls_upper(&peer.tls);
    upper.opened(upper.context, 0);
    const size_t piece = data[0] == 0 ? size : data[0];
    for (size_t at = 1; at < size && peer.open; at += piece) {
        const size_t length = size - at < piece ? size - at : piece;
        /* On its own, so that one byte beyond is seen. */
        uint8_t *const copy = malloc(length);
        if (copy == NULL) abort();
        memcpy(copy, data + at, length);
        upper.input(upper.context, copy, (uint32_t)length, 0);
        free(copy);
    }
    if (peer.opened != 0 || peer.failed > 1 || peer.closed != peer.failed || peer.open != (peer.failed == 0))
        abort();
    flights++;
    *(peer.failed ? &failures_seen : &silent) += 1;
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: %lu flights, %lu ended the connection, %lu left it waiting\n", flights, failures_seen,
           silent);
}
