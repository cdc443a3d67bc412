/* A board that brings neither lwIP nor sockets. */
#include "conformance.h"

answer_t check_network(const tf_conformance_port_t *port) {
    (void)port;
    return SKIPPED("this build has no network");
}
