/* The node's port to Linux. */
#include <stddef.h>
#include <sys/utsname.h>

#include "machine.h"
#include "posix.h"
#include "tinyfleet/socket_port.h"

static struct utsname host;

/* Firmware is the system's own here: no bootloader starts this, and birth says no slots for it. */
static const tf_handoff_t *no_handoff(void) {
    return NULL;
}

static const tf_boot_layout_t *no_layout(void) {
    return NULL;
}

static void idle(uint32_t ms) {
    const tf_socket_port_t *socket = tf_socket_port();
    socket->wait(socket->context, ms, false);
}

const tf_node_port_t *tf_node_port(void) {
    static const tf_node_port_t port = {
        .device_type = BOARD_DEVICE_TYPE,
        .hw_rev = host.machine,
        .timing = TF_TIMING_WALL,
        .power_source = TF_POWER_SOURCE_MAINS,
        .emulated = false,
        .now_us = posix_now_us,
        .unix_ms = posix_unix_ms,
        .flash = posix_flash,
        .handoff = no_handoff,
        .boot_layout = no_layout,
        .watchdog_feed = posix_watchdog_feed,
        .reset = posix_reset,
        .panic = posix_panic,
        .take_crash = posix_crash_take,
        .idle = idle,
        .net_init = NULL,
        .net_poll = NULL,
        .net_power = NULL,
        .net_bytes = NULL,
    };
    return &port;
}

void tf_node_port_start(void) {
    if (uname(&host) != 0) host.machine[0] = 0;
    host.machine[TF_BIRTH_HW_REV_MAX] = 0;
    (void)posix_now_us();
    posix_watchdog_start();
}
