/* What the node app needs of a board. A port provides one, filled in by tf_node_port(). */
#ifndef TINYFLEET_NODE_PORT_H
#define TINYFLEET_NODE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/boot.h"
#include "tinyfleet/flash.h"

struct netif;

/* Why the last run ended without asking to, kept over a reset in memory that no start clears. */
typedef struct tf_crash {
    char cause[12]; /* FAULT, WATCHDOG or PANIC */
    uint32_t pc;
    uint32_t lr;
    uint32_t fault_status; /* CFSR */
    uint32_t fault_address;
    uint64_t uptime_us;
} tf_crash_t;

typedef struct tf_node_port {
    const char *device_type;
    const char *hw_rev;
    uint8_t timing;       /* Timing of the wire */
    uint8_t power_source; /* PowerSource */
    bool emulated;
    uint64_t (*now_us)(void);
    /* Milliseconds since 1970 by the system's clock; NULL: there is no such clock, and SNTP is asked. */
    uint64_t (*unix_ms)(void);
    const tf_flash_t *(*flash)(void);
    /* What the bootloader left; NULL: there is none. */
    const tf_handoff_t *(*handoff)(void);
    const tf_boot_layout_t *(*boot_layout)(void);
    void (*watchdog_feed)(void);
    /* The one way to reset on purpose: the bootloader is told that it was one. */
    void (*reset)(void);
    /* Leaves a crash record with cause PANIC and resets. */
    void (*panic)(const char *what);
    /* True when the last run left a record; it is given once. */
    bool (*take_crash)(tf_crash_t *crash);
    /* Bytes that came over the sample line, at most `capacity`, 0: none now; NULL: the board has no such
     * line. Their coming ends a sleep. */
    uint32_t (*line_read)(uint8_t *out, uint32_t capacity);
    /* Microjoules since start, from a meter or fuel gauge; NULL: the board has none, and nothing stands in
     * for it. */
    uint64_t (*energy_uj)(void);
    /* Sleeps until `ms` have passed or something arrived, whichever is first; never misses an arrival. */
    void (*idle)(uint32_t ms);
    /* The console's line: one received byte, false when none waits; and what is sent. NULL: nobody can type
     * there. */
    bool (*console_read)(uint8_t *byte);
    void (*console_write)(const uint8_t *data, uint32_t length);
    /* Where lwIP is linked, else NULL: its init function of the network interface, and its reception, to be
     * called from the main loop. */
    int8_t (*net_init)(struct netif *netif);
    void (*net_poll)(struct netif *netif);
    /* The network interface's radio, on at start: off, no frame goes either way. NULL: it cannot be. */
    void (*net_power)(bool on);
    /* IP bytes since start, both ways, without Ethernet's frame; they wrap. NULL: nobody knows. */
    void (*net_bytes)(uint32_t *rx, uint32_t *tx);
} tf_node_port_t;

/* Starts console, clock and watchdog: the first call of tf_node_run. */
void tf_node_port_start(void);
const tf_node_port_t *tf_node_port(void);

/* The node itself, which never ends. Not to be called twice. */
void tf_node_run(void) __attribute__((noreturn));

/* Console lines: short text, formatted like printf; a newline is added. At most 160 characters. */
void tf_console(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
