/* What the two halves of the client share. Private to net. */
#ifndef TINYFLEET_NET_MQTT_CLIENT_H
#define TINYFLEET_NET_MQTT_CLIENT_H

#include "tinyfleet/mqtt.h"

enum { MQTT_READ_TYPE, MQTT_READ_LENGTH, MQTT_READ_HEADER, MQTT_READ_PAYLOAD };

/* Ends the connection; sends DISCONNECT with `reason` first when the server should hear it. */
void mqtt_client_end(tf_mqtt_t *client, tf_mqtt_end_t why, uint8_t reason);

/* The request that waits under this identifier, removed; false when there is none. */
bool mqtt_client_settle(tf_mqtt_t *client, tf_mqtt_request_t type, uint16_t id, uint8_t *count);

/* Acknowledges a message when there is room; false when the server has more in flight than it may. */
bool mqtt_client_acknowledge(tf_mqtt_t *client, uint16_t id);

#endif
