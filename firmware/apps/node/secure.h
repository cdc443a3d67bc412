/* TLS around the node's connection; a build without it (plain.c) refuses, it never goes on in the clear. */
#ifndef TINYFLEET_NODE_SECURE_H
#define TINYFLEET_NODE_SECURE_H

#include <stdbool.h>

#include "tinyfleet/link.h"
#include "tinyfleet/wire.h"

/* Puts TLS between `client` and `transport` (that of `link`), which becomes TLS's own. False: not in this
 * build. */
bool secure_transport(const tf_tls_t *config, tf_link_t *link, tf_mqtt_t *client,
                      tf_mqtt_transport_t *transport);

/* Why TLS ended the last connection, once; NULL: it did not. A literal. */
const char *secure_refusal(void);

/* The time of day, for the validity of certificates; 0: not known. */
void secure_time(uint64_t unix_s);

#endif
