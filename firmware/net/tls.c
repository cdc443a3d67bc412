#include "tinyfleet/tls.h"

#include <string.h>

#define DAYS_TO_1970 719528u /* BearSSL counts from the year 0 */
#define DAY_S 86400u
#define RECORD_BYTES 1024u /* of plain text that we send */
#define RECORD_EXTRA_BYTES 32u
#define RECORDS_QUEUED 4u /* so many fit what the transport below keeps free in pbufs */

static br_ssl_engine_context *engine(tf_tls_link_t *link) {
    return &link->tls.eng;
}

static void fail(tf_tls_link_t *link) {
    if (!link->alive) return;
    int error = br_ssl_engine_last_error(engine(link));
    link->alive = link->open = false;
    link->events.on_failed(link->events.context, error);
    link->below.close(link->below.context);
    tf_mqtt_lost(link->client);
}

/* Finished records go down as far as there is room; the rest waits for `writable`. */
static bool push(tf_tls_link_t *link) {
    size_t size;
    for (;;) {
        const uint8_t *record = br_ssl_engine_sendrec_buf(engine(link), &size);
        if (record == NULL) return true;
        uint32_t room = link->below.room(link->below.context);
        if (size > room) size = room;
        if (size == 0 || link->below.write(link->below.context, record, (uint32_t)size, true) != 0)
            return false;
        br_ssl_engine_sendrec_ack(engine(link), size);
    }
}

/* What the engine has done since: an end, the handshake's end, something to send. */
static void settle(tf_tls_link_t *link, uint32_t now_ms) {
    (void)push(link);
    link->below.flush(link->below.context);
    unsigned state = br_ssl_engine_current_state(engine(link));
    if (state == BR_SSL_CLOSED) {
        fail(link);
    } else if (!link->open && (state & BR_SSL_SENDAPP) != 0) {
        link->open = true;
        link->events.on_open(link->events.context);
        tf_mqtt_opened(link->client, now_ms);
    }
}

static uint32_t room(void *context) {
    tf_tls_link_t *link = context;
    size_t free_bytes;
    if (!link->open || br_ssl_engine_sendapp_buf(engine(link), &free_bytes) == NULL) return 0;
    /* The record that is being filled, then those that a message of this length fills. */
    uint32_t below = link->below.room(link->below.context);
    uint32_t kept = RECORD_BYTES + (RECORDS_QUEUED + 1) * RECORD_EXTRA_BYTES;
    if (below <= kept) return 0;
    uint32_t left = below - kept;
    return left < RECORDS_QUEUED * RECORD_BYTES ? left : RECORDS_QUEUED * RECORD_BYTES;
}

static int write(void *context, const uint8_t *data, uint32_t size, bool more) {
    tf_tls_link_t *link = context;
    (void)more; /* a record ends when it is full, or by flush */
    while (size > 0) {
        size_t part;
        uint8_t *to = link->open ? br_ssl_engine_sendapp_buf(engine(link), &part) : NULL;
        if (to == NULL) return -1;
        if (part > size) part = size;
        memcpy(to, data, part);
        br_ssl_engine_sendapp_ack(engine(link), part);
        data += part;
        size -= (uint32_t)part;
        (void)push(link);
    }
    return 0;
}

static void flush(void *context) {
    tf_tls_link_t *link = context;
    if (!link->alive) return;
    br_ssl_engine_flush(engine(link), 0);
    (void)push(link);
    link->below.flush(link->below.context);
}

static void end(void *context) {
    tf_tls_link_t *link = context;
    if (link->open) {
        flush(link);
        br_ssl_engine_close(engine(link)); /* says close_notify */
        (void)push(link);
    }
    link->alive = link->open = false;
    link->below.close(link->below.context);
}

static void set_up(tf_tls_link_t *link) {
    static const uint16_t suites[] = {BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256};
    br_ssl_engine_context *tls = engine(link);
    br_ssl_client_zero(&link->tls);
    br_ssl_engine_set_versions(tls, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(tls, suites, sizeof suites / sizeof suites[0]);
    br_ssl_engine_set_hash(tls, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_prf_sha256(tls, &br_tls12_sha256_prf);
    br_ssl_engine_set_ec(tls, &br_ec_p256_m31);
    br_ssl_engine_set_ecdsa(tls, &br_ecdsa_i31_vrfy_asn1);
    br_ssl_engine_set_chapol(tls, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
    br_ssl_engine_set_chacha20(tls, &br_chacha20_ct_run);
    br_ssl_engine_set_poly1305(tls, &br_poly1305_ctmul_run);
    br_ssl_client_set_single_ec(&link->tls, &link->certificate, 1, &link->key, BR_KEYTYPE_SIGN, BR_KEYTYPE_EC,
                                &br_ec_p256_m31, &br_ecdsa_i31_sign_asn1);
}

static void set_time(tf_tls_link_t *link) {
    bool known = link->unix_s / DAY_S >= link->day;
    uint32_t day = known ? (uint32_t)(link->unix_s / DAY_S) : link->day;
    br_x509_minimal_set_time(&link->x509, day + DAYS_TO_1970, known ? (uint32_t)(link->unix_s % DAY_S) : 0);
}

static void opened(void *context, uint32_t now_ms) {
    tf_tls_link_t *link = context;
    uint8_t seed[32];
    set_time(link);
    link->alive = true;
    link->open = false;
    br_ssl_engine_set_buffers_bidi(engine(link), link->in, sizeof link->in, link->out, sizeof link->out);
    link->events.random(link->events.context, seed);
    br_ssl_engine_inject_entropy(engine(link), seed, sizeof seed);
    if (br_ssl_client_reset(&link->tls, link->server, 0) == 0) {
        fail(link);
        return;
    }
    settle(link, now_ms);
}

static void writable(void *context, uint32_t now_ms) {
    tf_tls_link_t *link = context;
    if (!link->alive) return;
    settle(link, now_ms);
    if (link->open) tf_mqtt_writable(link->client, now_ms);
}

/* Plain text to the client, which may write, or end everything, meanwhile. */
static void deliver(tf_tls_link_t *link, uint32_t now_ms) {
    size_t size;
    while (link->alive) {
        const uint8_t *text = br_ssl_engine_recvapp_buf(engine(link), &size);
        if (text == NULL) return;
        tf_mqtt_input(link->client, text, (uint32_t)size, now_ms);
        if (link->alive) br_ssl_engine_recvapp_ack(engine(link), size);
    }
}

static void input(void *context, const uint8_t *data, uint32_t size, uint32_t now_ms) {
    tf_tls_link_t *link = context;
    while (size > 0 && link->alive) {
        size_t part;
        uint8_t *to = br_ssl_engine_recvrec_buf(engine(link), &part);
        if (to == NULL) {
            /* Closed by its peer; or our answer finds no room below, which a new connection always has. */
            fail(link);
            return;
        }
        if (part > size) part = size;
        memcpy(to, data, part);
        br_ssl_engine_recvrec_ack(engine(link), part);
        data += part;
        size -= (uint32_t)part;
        settle(link, now_ms);
        deliver(link, now_ms);
    }
}

static void lost(void *context) {
    tf_tls_link_t *link = context;
    link->alive = link->open = false;
    tf_mqtt_lost(link->client);
}

void tf_tls_init(tf_tls_link_t *link, tf_mqtt_t *client, const tf_mqtt_transport_t *below,
                 const tf_tls_t *config, const tf_tls_events_t *events) {
    memset(link, 0, sizeof *link);
    link->client = client;
    link->below = *below;
    link->events = *events;
    memcpy(link->server, config->server.text, config->server.length);
    /* BearSSL reads only, but its structures lack the const. */
    link->authority = (br_x509_trust_anchor){
        .dn = {(uint8_t *)(uintptr_t)config->ca_name.data, config->ca_name.length},
        .flags = BR_X509_TA_CA,
        .pkey = {.key_type = BR_KEYTYPE_EC,
                 .key.ec = {BR_EC_secp256r1, (uint8_t *)(uintptr_t)config->ca_key.data,
                            config->ca_key.length}},
    };
    link->certificate =
        (br_x509_certificate){(uint8_t *)(uintptr_t)config->certificate.data, config->certificate.length};
    link->key =
        (br_ec_private_key){BR_EC_secp256r1, (uint8_t *)(uintptr_t)config->key.data, config->key.length};
    set_up(link);
    br_x509_minimal_init(&link->x509, &br_sha256_vtable, &link->authority, 1);
    br_x509_minimal_set_hash(&link->x509, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_ecdsa(&link->x509, &br_ec_p256_m31, &br_ecdsa_i31_vrfy_asn1);
    link->day = config->day;
    br_ssl_engine_set_x509(engine(link), &link->x509.vtable);
}

tf_mqtt_transport_t tf_tls_transport(tf_tls_link_t *link) {
    return (tf_mqtt_transport_t){.context = link, .room = room, .write = write, .flush = flush, .close = end};
}

tf_link_upper_t tf_tls_upper(tf_tls_link_t *link) {
    return (tf_link_upper_t){link, opened, writable, input, lost};
}
