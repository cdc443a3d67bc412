#include <stddef.h>

#include "secure.h"

bool secure_transport(const tf_tls_t *config, tf_link_t *link, tf_mqtt_t *client,
                      tf_mqtt_transport_t *transport) {
    (void)config;
    (void)link;
    (void)client;
    (void)transport;
    return false;
}

const char *secure_refusal(void) {
    return NULL;
}

void secure_time(uint64_t unix_s) {
    (void)unix_s;
}
