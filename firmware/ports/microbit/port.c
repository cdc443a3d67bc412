/* The bench app's port on a micro:bit. */
#include "board.h"
#include "tinyfleet/bench_port.h"
#include "tinyfleet/wire_keys.h"
#include "uart.h"

extern uint8_t link_arena_start[], link_arena_end[];
extern const uint32_t link_stack_bottom[];

#define FLASH(offset) ((const uint8_t *)(TF_MICROBIT_FLASH_BASE + (offset)))
/* Meters look at the pin as rarely as every 10 us. */
#define EDGE_US 20u
#define QEMU_DEVICE_ID0 0x12345678u
#define QEMU_DEVICE_ID1 0x9ABCDEF1u

static tf_bench_port_t port;

static void idle(uint32_t until_us) {
    __asm volatile("cpsid i" ::: "memory");
    if (!uart_waiting()) {
        clock_wake_at(until_us);
        /* Asked after the alarm is set: one that had passed before would never ring. */
        if ((int32_t)(until_us - clock_us()) > 0) __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
}

static bool stack_intact(void) {
    return link_stack_bottom[0] == STACK_PAINT;
}

static void edge(void) {
    GPIO_OUTCLR = 1u << PIN_METER;
    const uint32_t from_us = clock_us();
    while (clock_us() - from_us < EDGE_US) continue;
    GPIO_OUTSET = 1u << PIN_METER;
}

void tf_bench_port_start(uint32_t baud) {
    clock_start();
    uart_start(baud);
    GPIO_OUTSET = 1u << PIN_METER;
    GPIO_DIRSET = 1u << PIN_METER;
    port = (tf_bench_port_t){
        .device_type = "microbit",
        /* What QEMU's factory information holds; real chips have random ids. */
        .emulated = FICR_DEVICE_ID0 == QEMU_DEVICE_ID0 && FICR_DEVICE_ID1 == QEMU_DEVICE_ID1,
        .model = FLASH(TF_MICROBIT_MODEL_OFFSET),
        .model_bytes = TF_MICROBIT_MODEL_BYTES,
        .golden = golden_flash(),
        .arena = link_arena_start,
        .arena_bytes = (uint32_t)(link_arena_end - link_arena_start),
        .line_bytes = UART_RING_BYTES,
        .now_us = clock_us,
        .edge = edge,
        .read = uart_read,
        .write = uart_write,
        .idle = idle,
        .stack_intact = stack_intact,
    };
}

const tf_bench_port_t *tf_bench_port(void) {
    return &port;
}
