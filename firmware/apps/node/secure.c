#include "secure.h"

#include <string.h>

#include "entropy.h"
#include "tinyfleet/node_port.h"
#include "tinyfleet/tls.h"

/* One connection a node; 13 KB that a build without TLS does not have. */
static tf_tls_link_t tls;
static uint64_t began_us;
static const char *refusal;

static void random_bytes(void *context, uint8_t out[32]) {
    (void)context;
    began_us = tf_node_port()->now_us();
    for (uint32_t i = 0; i < 32; i += 4) {
        uint32_t value = entropy_next();
        memcpy(out + i, &value, sizeof value);
    }
}

static void on_open(void *context) {
    (void)context;
    tf_console("tls: open after %lu us", (unsigned long)(tf_node_port()->now_us() - began_us));
}

static const char *why(int error) {
    switch (error) {
        case BR_ERR_OK:
            return "closed by the broker";
        case BR_ERR_X509_NOT_TRUSTED:
            return "the broker's certificate is not of our authority";
        case BR_ERR_X509_BAD_SERVER_NAME:
            return "the broker's certificate bears another name";
        case BR_ERR_X509_EXPIRED:
            return "the broker's certificate is not valid on our day";
        default:
            return error >= BR_ERR_RECV_FATAL_ALERT ? "the broker refused" : "the handshake failed";
    }
}

static void on_failed(void *context, int error) {
    (void)context;
    tf_console("tls: %s (%d)", why(error), error);
    if (error != BR_ERR_OK) refusal = why(error);
}

const char *secure_refusal(void) {
    const char *last = refusal;
    refusal = NULL;
    return last;
}

void secure_time(uint64_t unix_s) {
    tls.unix_s = unix_s;
}

bool secure_transport(const tf_tls_t *config, tf_link_t *link, tf_mqtt_t *client,
                      tf_mqtt_transport_t *transport) {
    const tf_tls_events_t events = {NULL, random_bytes, on_open, on_failed};
    tf_tls_init(&tls, client, transport, config, &events);
    const tf_link_upper_t upper = tf_tls_upper(&tls);
    tf_link_hand_to(link, &upper);
    *transport = tf_tls_transport(&tls);
    return true;
}
