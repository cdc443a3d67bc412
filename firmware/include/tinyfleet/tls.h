/* TLS 1.2 between the MQTT client and another transport: bytes in, bytes out, no I/O of its own.
 *
 * One suite, ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, on P-256; both sides show a certificate. The server's
 * must come from the one authority given here and bear the name given here. Records of at most 4 KiB come in:
 * the server must honour the maximum fragment length extension (RFC 6066, 4). */
#ifndef TINYFLEET_TLS_H
#define TINYFLEET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "bearssl.h"
#include "tinyfleet/mqtt.h"
#include "tinyfleet/link.h"
#include "tinyfleet/wire.h"

/* 4096 and 1024 bytes of plain text, with what BearSSL needs around them (bearssl_ssl.h). */
#define TF_TLS_IN_BYTES (4096u + 325u)
#define TF_TLS_OUT_BYTES (1024u + 85u)

typedef struct {
    void *context;
    /* 32 bytes that nobody can guess, others for each connection. */
    void (*random)(void *context, uint8_t out[32]);
    void (*on_open)(void *context);
    /* It ended by an error of BearSSL's (bearssl_ssl.h, bearssl_x509.h). */
    void (*on_failed)(void *context, int error);
} tf_tls_events_t;

typedef struct {
    tf_mqtt_t *client;
    tf_mqtt_transport_t below;
    tf_tls_events_t events;
    /* The time of day, 0: not known. Validity is checked against it, but never against a time before the
     * configuration's day: nobody sends a node back to when a stolen certificate was good. */
    uint64_t unix_s;
    /* Private from here. */
    uint32_t day;
    bool alive; /* the transport below is open and the engine runs */
    bool open;  /* the handshake is done */
    char server[TF_TLS_SERVER_MAX + 1];
    br_x509_trust_anchor authority;
    br_x509_certificate certificate;
    br_ec_private_key key;
    br_x509_minimal_context x509;
    br_ssl_client_context tls;
    uint8_t in[TF_TLS_IN_BYTES];
    uint8_t out[TF_TLS_OUT_BYTES];
} tf_tls_link_t;

/* `config` and what it points to must stay. */
void tf_tls_init(tf_tls_link_t *link, tf_mqtt_t *client, const tf_mqtt_transport_t *below,
                 const tf_tls_t *config, const tf_tls_events_t *events);

/* What the client writes to, and what the transport below hands over to. */
tf_mqtt_transport_t tf_tls_transport(tf_tls_link_t *link);
tf_link_upper_t tf_tls_upper(tf_tls_link_t *link);

#endif
