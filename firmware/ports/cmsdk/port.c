/* The bench app's port on boards with CMSDK peripherals. */
#include <stddef.h>

#include "bench.h"
#include "tinyfleet/bench_port.h"

#define GPIO_DATAOUT 0x04u
#define GPIO_OUTENSET 0x10u
#define METER_PIN 1u
/* Meters look at the pin as rarely as every 10 us. */
#define EDGE_US 20u
#define ALIGN 16u

extern uint8_t link_bss_end[];

static tf_bench_port_t port;

static const uint8_t *flash_at(uint32_t offset, uint32_t bytes) {
    return flash_port()->map(NULL, offset, bytes);
}

/* Nothing outside the region that holds golden sets. */
static int check(uint32_t offset, uint32_t bytes) {
    return offset > BENCH_MAP(GOLDEN_BYTES) || bytes > BENCH_MAP(GOLDEN_BYTES) - offset ? -1 : 0;
}

static int erase(void *context, uint32_t offset, uint32_t bytes) {
    (void)context;
    if (check(offset, bytes) != 0) return -1;
    return flash_port()->erase(NULL, BENCH_MAP(GOLDEN_OFFSET) + offset, bytes);
}

static int write(void *context, uint32_t offset, const void *data, uint32_t bytes) {
    (void)context;
    if (check(offset, bytes) != 0) return -1;
    return flash_port()->write(NULL, BENCH_MAP(GOLDEN_OFFSET) + offset, data, bytes);
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t bytes) {
    (void)context;
    return check(offset, bytes) == 0 ? flash_at(BENCH_MAP(GOLDEN_OFFSET) + offset, bytes) : NULL;
}

static void edge(void) {
    REG32(GPIO0 + GPIO_DATAOUT) = 0;
    const uint32_t from_us = time_us();
    while (time_us() - from_us < EDGE_US) continue;
    REG32(GPIO0 + GPIO_DATAOUT) = METER_PIN;
}

static void sleep_until(uint32_t until_us) {
    __asm volatile("cpsid i" ::: "memory");
    if (!line_waiting()) time_sleep(until_us);
    __asm volatile("cpsie i\n isb" ::: "memory");
}

/* The stack's end is guarded by the core: going beyond it is a fault. */
static bool stack_intact(void) {
    return true;
}

void tf_bench_port_start(uint32_t baud) {
    static const tf_flash_t golden = {
        .size_bytes = BENCH_MAP(GOLDEN_BYTES),
        .sector_bytes = BENCH_MAP(SECTOR_BYTES),
        .write_bytes = BENCH_MAP(WRITE_BYTES),
        .erase = erase,
        .write = write,
        .map = map,
    };
    time_start();
    line_start(baud);
    REG32(GPIO0 + GPIO_OUTENSET) = METER_PIN;
    REG32(GPIO0 + GPIO_DATAOUT) = METER_PIN;
    uint8_t *const arena = (uint8_t *)(((uintptr_t)link_bss_end + ALIGN - 1u) / ALIGN * ALIGN);
    port = (tf_bench_port_t){
        .device_type = BENCH_DEVICE_TYPE,
        .emulated = true, /* nobody has one of these boards but QEMU */
        .model = flash_at(BENCH_MAP(MODEL_OFFSET), BENCH_MAP(MODEL_BYTES)),
        .model_bytes = BENCH_MAP(MODEL_BYTES),
        .golden = &golden,
        .arena = arena,
        .arena_bytes = (uint32_t)((uint8_t *)link_ram_end - arena),
        .line_bytes = RING_BYTES,
        .now_us = time_us,
        .edge = edge,
        .read = line_read,
        .write = line_write,
        .idle = sleep_until,
        .stack_intact = stack_intact,
    };
}

const tf_bench_port_t *tf_bench_port(void) {
    return &port;
}
