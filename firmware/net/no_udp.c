/* The five functions of socket_port.h are TCP's. */
#include "tinyfleet/udp.h"

bool tf_udp_open(uint16_t port, void *context, tf_udp_answer_t answer) {
    (void)port, (void)context, (void)answer;
    return false;
}
