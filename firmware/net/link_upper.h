/* The client as the one who hears of the connection. Private to net. */
#ifndef TINYFLEET_NET_LINK_UPPER_H
#define TINYFLEET_NET_LINK_UPPER_H

#include "tinyfleet/link.h"

tf_link_upper_t link_upper_of(tf_mqtt_t *client);

#endif
