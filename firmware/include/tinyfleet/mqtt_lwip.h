/* The MQTT client's transport over lwIP's raw TCP (NO_SYS). One connection at a time. */
#ifndef TINYFLEET_MQTT_LWIP_H
#define TINYFLEET_MQTT_LWIP_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/mqtt.h"

struct tcp_pcb;

/* Who hears of the connection: the client, or what stands between it and TCP. As tf_mqtt_opened and so on. */
typedef struct {
    void *context;
    void (*opened)(void *context, uint32_t now_ms);
    void (*writable)(void *context, uint32_t now_ms);
    void (*input)(void *context, const uint8_t *data, uint32_t size, uint32_t now_ms);
    void (*lost)(void *context);
} tf_mqtt_upper_t;

typedef struct tf_mqtt_lwip {
    tf_mqtt_upper_t upper;
    uint32_t (*now_ms)(void);
    struct tcp_pcb *pcb;
    bool aborted;
} tf_mqtt_lwip_t;

/* A transport for tf_mqtt_init; `link` must outlive the client. */
tf_mqtt_transport_t tf_mqtt_lwip_transport(tf_mqtt_lwip_t *link, tf_mqtt_t *client, uint32_t (*now_ms)(void));

/* Something between client and TCP hears of the connection instead of the client. */
void tf_mqtt_lwip_hand_to(tf_mqtt_lwip_t *link, const tf_mqtt_upper_t *upper);

/* Begins to open TCP to host:port after tf_mqtt_open; the client hears how it went. `host` is dotted IPv4.
 * False: not an address, or lwIP has no room; the client is still opening then. */
bool tf_mqtt_lwip_connect(tf_mqtt_lwip_t *link, const char *host, uint16_t port);

#endif
