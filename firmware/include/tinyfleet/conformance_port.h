/* What the conformance app needs of a board beside its node port. */
#ifndef TINYFLEET_CONFORMANCE_PORT_H
#define TINYFLEET_CONFORMANCE_PORT_H

#include "tinyfleet/boot.h"
#include "tinyfleet/node_port.h"

typedef struct tf_conformance_port {
    const tf_node_port_t *node;
    uint32_t scratch_offset;             /* flash that the app may erase: four times TF_SECTOR_BYTES */
    uint32_t *noinit;                    /* four words that no reset clears; NULL: there are none */
    tf_reset_t (*reset_reason)(void);    /* of this start; NULL: the board does not know */
    void (*watchdog_start)(uint32_t ms); /* NULL: there is none that bites */
} tf_conformance_port_t;

const tf_conformance_port_t *tf_conformance_port(void);

/* The app itself, which never ends: says TAP on the console, over several starts of the board. */
void tf_conformance_run(void) __attribute__((noreturn));

#endif
