/* A UDP port that answers datagrams, one each, over what the link is made of (link.h): net/lwip_udp.c, or
 * net/no_udp.c where that has none. */
#ifndef TINYFLEET_UDP_H
#define TINYFLEET_UDP_H

#include <stdbool.h>
#include <stdint.h>

/* Length of the answer that `out` points to; 0: none. */
typedef uint32_t (*tf_udp_answer_t)(void *context, const uint8_t *data, uint32_t length, const uint8_t **out);

/* After tf_link_start. One port at a time. False: it cannot be had. */
bool tf_udp_open(uint16_t port, void *context, tf_udp_answer_t answer);

#endif
