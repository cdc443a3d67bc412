/* Packets to one server and from it: over lwIP's raw UDP (net/lwip_query.c); none where the network is five
 * functions shaped like sockets (net/no_query.c). */
#ifndef TINYFLEET_QUERY_H
#define TINYFLEET_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#define TF_QUERY_PACKET_MAX 64u /* what is longer is cut */

struct udp_pcb;

typedef struct {
    void *context;
    void (*on_packet)(void *context, const uint8_t *data, uint32_t size);
    struct udp_pcb *pcb; /* lwIP's */
} tf_query_t;

/* `link` must stay; one that is open is closed first. False: there is no room, or no UDP. */
bool tf_query_open(tf_query_t *link, const uint8_t host[4], uint16_t port);
void tf_query_close(tf_query_t *link);
bool tf_query_send(tf_query_t *link, const uint8_t *data, uint32_t size);

#endif
