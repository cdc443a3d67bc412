/* Faults and resets. What happened is kept in memory that no start clears, and told by the next
 * run. */
#include <string.h>

#include "board.h"

#define CRASH_MAGIC 0x54464352u

typedef struct {
    uint32_t magic;
    uint32_t check; /* of `crash`, so that noise after a cold start is no crash */
    tf_crash_t crash;
} crash_record_t;

__attribute__((section(".noinit"))) static crash_record_t record;

static uint32_t checksum(const tf_crash_t *crash) {
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < sizeof *crash; i++) hash = (hash ^ ((const uint8_t *)crash)[i]) * 16777619u;
    return hash;
}

/* The bootloader asks why: it goes back from a firmware on trial that the watchdog ended. */
static void leave(tf_reset_t ending) __attribute__((noreturn));

static void leave(tf_reset_t ending) {
    handoff()->ending = ending;
    tf_handoff_seal(handoff());
    __asm volatile("dsb");
    REG32(SCB_AIRCR) = RESET_REQUEST;
    for (;;) {
    }
}

void system_reset(void) {
    leave(TF_RESET_REQUEST);
}

bool crash_take(tf_crash_t *crash) {
    bool valid = record.magic == CRASH_MAGIC && record.check == checksum(&record.crash);
    if (valid) *crash = record.crash;
    record.magic = 0;
    return valid;
}

void crash_print(const tf_crash_t *crash) {
    tf_console("crash: %.11s pc=%08lx lr=%08lx cfsr=%08lx addr=%08lx after %lu ms", crash->cause,
               (unsigned long)crash->pc, (unsigned long)crash->lr, (unsigned long)crash->fault_status,
               (unsigned long)crash->fault_address, (unsigned long)(crash->uptime_us / 1000));
}

static void die(const char *cause, tf_reset_t ending, uint32_t pc, uint32_t lr) __attribute__((noreturn));

static void die(const char *cause, tf_reset_t ending, uint32_t pc, uint32_t lr) {
    tf_crash_t *crash = &record.crash;
    memset(&record, 0, sizeof record);
    memcpy(crash->cause, cause, strlen(cause));
    crash->pc = pc;
    crash->lr = lr;
    crash->fault_status = REG32(SCB_CFSR);
    crash->fault_address = REG32(SCB_BFAR);
    crash->uptime_us = clock_us();
    record.check = checksum(crash);
    record.magic = CRASH_MAGIC;
    crash_print(crash);
    leave(ending);
}

void panic(const char *what) {
    tf_console("panic: %s", what);
    die("PANIC", TF_RESET_FAULT, (uint32_t)__builtin_return_address(0), 0);
}

void fault_handler(void);
void watchdog_handler(void);
void fault_in_c(const uint32_t *frame) __attribute__((used, noreturn));
void watchdog_in_c(const uint32_t *frame) __attribute__((used, noreturn));

/* The exception frame: r0-r3, r12, lr, pc, xpsr. */
void fault_in_c(const uint32_t *frame) {
    bool readable = frame >= link_ram_start && frame + 8 <= link_ram_end;
    die("FAULT", TF_RESET_FAULT, readable ? frame[6] : 0, readable ? frame[5] : 0);
}

void watchdog_in_c(const uint32_t *frame) {
    die("WATCHDOG", TF_RESET_WATCHDOG, frame[6], frame[5]);
}

/* On a fresh stack: the old one may be what failed. */
__attribute__((naked)) void fault_handler(void) {
    __asm volatile("mov r0, sp\n ldr r1, =link_stack_top\n mov sp, r1\n b fault_in_c");
}

__attribute__((naked)) void watchdog_handler(void) {
    __asm volatile("mov r0, sp\n ldr r1, =link_stack_top\n mov sp, r1\n b watchdog_in_c");
}
