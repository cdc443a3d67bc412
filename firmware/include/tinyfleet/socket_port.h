/* The network as five functions shaped like BSD's sockets: all that libtinyfleet_node.a asks of a system that
 * has TCP. One connection at a time, nothing blocks but wait(). docs/porting.md shows them over Zephyr and
 * ESP-IDF. */
#ifndef TINYFLEET_SOCKET_PORT_H
#define TINYFLEET_SOCKET_PORT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tf_socket_port {
    void *context;
    /* Begins to open TCP to an IPv4 address; asked again until it does not say 0. Positive: it is open. 0:
     * not yet. Negative: it cannot be opened. */
    int (*connect)(void *context, const uint8_t address[4], uint16_t port);
    /* How many of the bytes it has taken, 0 when it has no room now; negative: the connection has ended. */
    int32_t (*send)(void *context, const uint8_t *data, uint32_t size);
    /* How many bytes it has written to `data`, 0 when none have come; negative: the connection has ended. */
    int32_t (*receive)(void *context, uint8_t *data, uint32_t size);
    /* Ends the connection, open or not; what send() has taken still goes out. */
    void (*close)(void *context);
    /* Sleeps until `ms` have passed, bytes have come or the connection has ended; with `writing` also until
     * it is open and has room. Never misses what came before the call. */
    void (*wait)(void *context, uint32_t ms, bool writing);
} tf_socket_port_t;

/* A port provides one. */
const tf_socket_port_t *tf_socket_port(void);

#endif
