/* What the bootloader needs of a board. A port provides one, filled in by tf_boot_port(). */
#ifndef TINYFLEET_BOOT_PORT_H
#define TINYFLEET_BOOT_PORT_H

#include <stdint.h>

#include "tinyfleet/boot.h"

typedef struct {
    const char *device_type;
    const tf_boot_layout_t *layout;
    uint32_t trust_offset, trust_bytes;
    tf_handoff_t *handoff;
    const tf_boot_services_t *services;
    /* One line of the console; a newline is added. */
    void (*say)(const char *line);
    /* The firmware has this long to take the watchdog over. */
    void (*watchdog_start)(void);
    /* Nothing can be started: sleeps for ever. */
    void (*rest)(void);
    /* RAM_LOAD: copies header and payload to where they were linked. */
    void (*load)(const uint8_t *image, uint32_t bytes);
    /* Starts the firmware whose vectors stand there. */
    void (*start)(uint32_t vectors);
} tf_boot_port_t;

const tf_boot_port_t *tf_boot_port(void);

#endif
