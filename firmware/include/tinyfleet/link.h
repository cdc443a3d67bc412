/* The node's connection to its broker, and the network below it: a transport for the MQTT client, or for what
 * stands between the two. One connection at a time. What is linked decides what it is made of:
 * net/lwip_link.c over lwIP's raw TCP (NO_SYS), net/socket_link.c over the five functions of socket_port.h.
 */
#ifndef TINYFLEET_LINK_H
#define TINYFLEET_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/mqtt.h"
#include "tinyfleet/node_port.h"

/* Who hears of the connection: the client, or what stands between it and TCP. As tf_mqtt_opened and so on. */
typedef struct {
    void *context;
    void (*opened)(void *context, uint32_t now_ms);
    void (*writable)(void *context, uint32_t now_ms);
    void (*input)(void *context, const uint8_t *data, uint32_t size, uint32_t now_ms);
    void (*lost)(void *context);
} tf_link_upper_t;

typedef struct tf_link {
    tf_link_upper_t upper;
    uint32_t (*now_ms)(void);
    /* Private from here. */
    const tf_node_port_t *port;
    struct tcp_pcb *pcb; /* lwIP's */
    bool aborted;
    uint8_t state; /* sockets' */
    uint8_t host[4];
    uint16_t host_port;
} tf_link_t;

/* A transport for tf_mqtt_init; `link` must outlive the client. */
tf_mqtt_transport_t tf_link_transport(tf_link_t *link, tf_mqtt_t *client, uint32_t (*now_ms)(void));

/* Something between client and TCP hears of the connection instead of the client. */
void tf_link_hand_to(tf_link_t *link, const tf_link_upper_t *upper);

/* Brings the network up for a node of that name. NULL, or why it cannot be. */
const char *tf_link_start(tf_link_t *link, const tf_node_port_t *port, const char *name);

/* Once a turn of the loop: takes in what has come, sends what could not be sent. True: there is an address.
 */
bool tf_link_poll(tf_link_t *link);

/* Turns the network off, so that nothing goes either way and no timer of its own runs, or on again. There is
 * no connection then, and no tf_link_poll while it is off. */
void tf_link_power(tf_link_t *link, bool on);

/* Sleeps until `ms` have passed or tf_link_poll has something to do, whichever is first. */
void tf_link_idle(tf_link_t *link, uint32_t ms);

/* Begins to open TCP to an IPv4 address after tf_mqtt_open; the client hears how it went. False: there is no
 * room; the client is still opening then. */
bool tf_link_connect(tf_link_t *link, const uint8_t host[4], uint16_t port);

#endif
