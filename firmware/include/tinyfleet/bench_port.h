/* What the bench app needs of a board. A port provides one, filled in by tf_bench_port(). */
#ifndef TINYFLEET_BENCH_PORT_H
#define TINYFLEET_BENCH_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"

typedef struct tf_bench_port {
    const char *device_type;
    bool emulated;
    const uint8_t *model; /* where a model image may lie, in memory-mapped flash */
    uint32_t model_bytes;
    const tf_flash_t *golden; /* where golden sets may lie: offsets from its own start */
    uint8_t *arena;           /* 16-byte aligned: all RAM that is left */
    uint32_t arena_bytes;
    uint32_t line_bytes;      /* received bytes that wait without loss while the core is busy */
    uint32_t (*now_us)(void); /* wraps after 71 minutes */
    /* A falling edge on the pin that a meter watches, low for so long that every meter sees it. */
    void (*edge)(void);
    /* One received byte; false: none waits. */
    bool (*read)(uint8_t *byte);
    void (*write)(const uint8_t *data, uint32_t length);
    /* Sleeps until a byte waits or now_us() reaches `until_us`. */
    void (*idle)(uint32_t until_us);
    /* False once the stack has grown beyond its room. */
    bool (*stack_intact)(void);
} tf_bench_port_t;

/* Starts clock and console: the first call of main. */
void tf_bench_port_start(uint32_t baud);
const tf_bench_port_t *tf_bench_port(void);

#endif
