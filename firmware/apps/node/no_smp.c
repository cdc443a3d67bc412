/* A node that was built without SMP (TINYFLEET_SMP). */
#include "node.h"

void smp_start(node_t *node) {
    (void)node;
}

void smp_poll(node_t *node) {
    (void)node;
}
