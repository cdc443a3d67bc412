/* The board as the bootloader sees it. */
#include "tinyfleet/boot_port.h"

#include <string.h>

#include "board.h"

static void say(const char *line) {
    uart_start();
    uart_write(line, (uint32_t)strlen(line));
    uart_write("\n", 1);
}

static void start_watchdog(void) {
    watchdog_start(WATCHDOG_BOOT_MS);
}

static void rest(void) {
    for (;;) __asm volatile("wfi");
}

static void load(const uint8_t *image, uint32_t bytes) {
    memcpy((void *)(uintptr_t)boot_layout()->address, image, bytes);
}

/* The firmware's stack may lie over ours: from here on only registers. */
static void start(uint32_t vectors) {
    const uint32_t *at = (const uint32_t *)(uintptr_t)vectors;
    REG32(SCB_VTOR) = vectors;
    __asm volatile("dsb\n isb\n msr msp, %0\n bx %1" ::"r"(at[0]), "r"(at[1]) : "memory");
}

const tf_boot_port_t *tf_boot_port(void) {
    static tf_boot_port_t port;
    port = (tf_boot_port_t){
        .device_type = BOARD_DEVICE_TYPE,
        .layout = boot_layout(),
        .trust_offset = MAP(TRUST_OFFSET),
        .trust_bytes = MAP(TRUST_BYTES),
        .handoff = handoff(),
        .services = tf_boot_services(),
        .say = say,
        .watchdog_start = start_watchdog,
        .rest = rest,
        .load = load,
        .start = start,
    };
    return &port;
}
