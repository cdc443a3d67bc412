/* Runs the plan that was put where the board's flash starts, and says on the console what each step took.
 * The emulator executes one instruction in a nanosecond (-icount shift=0): its clock counts instructions, in
 * steps of a tick. Nothing here says cycles. */
#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "kernel.h"
#include "pair.h"
#include "tinyfleet/runtime.h"

#define INSTRUCTIONS_A_TICK (1000000000u / FPGAIO_HZ)
#define SEMIHOSTING_EXIT 0x18u
#define SEMIHOSTING_SUCCESS 0x20026u

/* Behind the plan in the board's large memory, so that any model that fits there can be measured. */
static uint8_t *arena;
static uint32_t arena_bytes;

static uint32_t ticks(void) {
    return REG32(FPGAIO + FPGAIO_COUNTER);
}

static uint32_t aligned(uint32_t bytes) {
    return (bytes + TF_PLAN_ALIGN - 1u) / TF_PLAN_ALIGN * TF_PLAN_ALIGN;
}

static void say_text(const char *text) {
    uart_write(text, (uint32_t)strlen(text));
}

static void say(const char *what, uint32_t number) {
    char digits[11];
    uint32_t at = sizeof(digits);
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    say_text(what);
    say_text(" ");
    say_text(digits + at);
    say_text("\n");
}

static void say_span(const char *what, uint32_t from) {
    say(what, (ticks() - from) * INSTRUCTIONS_A_TICK);
}

static void leave(void) {
    register uint32_t operation __asm("r0") = SEMIHOSTING_EXIT;
    register uint32_t reason __asm("r1") = SEMIHOSTING_SUCCESS;
    __asm volatile("bkpt 0xAB" : : "r"(operation), "r"(reason) : "memory");
}

/* Each op alone; its line is its number, its code and its instructions. */
static void profile(const tf_model_t *model) {
    tf_call_t call;
    for (uint32_t at = 0; tf_next_op(model, &at, &call);) {
        const uint32_t from = ticks();
        tf_run_op(&call, arena);
        const uint32_t to = ticks();
        say("op", call.op->code);
        say("variant", call.op->variant);
        say("instructions", (to - from) * INSTRUCTIONS_A_TICK);
    }
}

/* The first step of the first vector is the one whose instructions are told. */
static bool measure(const tf_model_t *model) {
    if (!tf_model_begin_step(model, arena, 0, 0)) return false;
    profile(model);
    (void)tf_model_begin_step(model, arena, 0, 0);
    const uint32_t from = ticks();
    const tf_model_status_t status = tf_model_run(model, arena, arena_bytes);
    say_span("run", from);
    return status == TF_MODEL_OK;
}

/* A second plan stands where the arena begins: both at once, before anything is written there. */
static void pair(const tf_model_t *first) {
    const tf_plan_header_t *const header = (const tf_plan_header_t *)(const void *)arena;
    if (header->magic != TF_PLAN_MAGIC || header->payload_bytes > arena_bytes) return;
    tf_model_t models[2] = {*first};
    const tf_model_status_t status = tf_model_load(&models[1], arena, header->payload_bytes);
    say("second", status);
    const uint32_t plan = aligned(header->payload_bytes);
    if (status != TF_MODEL_OK || first->arena_bytes + models[1].arena_bytes > arena_bytes - plan) return;
    uint8_t *const arenas[2] = {arena + plan, arena + plan + first->arena_bytes};
    say("together", pair_equal(models, arenas));
}

int main(void) {
    uart_start();
    REG32(FPGAIO + FPGAIO_PRESCALE) = 0; /* a tick is a cycle of the counter's clock */
    const uint8_t *const payload = (const uint8_t *)FLASH_BASE;
    const uint32_t size = ((const tf_plan_header_t *)(const void *)payload)->payload_bytes;
    const uint32_t used = aligned(size);
    arena = (uint8_t *)FLASH_BASE + used;
    arena_bytes = FLASH_SIZE - used;
    tf_model_t model;
    const uint32_t from = ticks();
    const tf_model_status_t status = tf_model_load(&model, payload, size);
    say_span("load", from);
    say("core", tf_runtime_core());
    say("status", status);
    say("where", model.where);
    if (status == TF_MODEL_OK && model.arena_bytes <= arena_bytes) {
        pair(&model);
        uint32_t equal = 0;
        if (model.vector_count > 0 && !measure(&model)) say_text("stopped\n");
        for (uint32_t i = 0; i < model.vector_count; i++) {
            equal += tf_model_vector_passes(&model, arena, arena_bytes, i) ? 1u : 0u;
        }
        say("arena", model.arena_bytes);
        say("vectors", model.vector_count);
        say("equal", equal);
    }
    say_text("end\n");
    leave();
    return 0;
}

/* Nothing is expected to interrupt this program. */
void fault_handler(void);
void watchdog_handler(void);
void timer0_handler(void);
void ethernet_handler(void);
void uart_handler(void);
void sample_line_handler(void);

void fault_handler(void) {
    say_text("fault\n");
    leave();
}

void watchdog_handler(void) {
    fault_handler();
}

void timer0_handler(void) {
    fault_handler();
}

void ethernet_handler(void) {
    fault_handler();
}

void uart_handler(void) {
    fault_handler();
}

void sample_line_handler(void) {
    fault_handler();
}

void system_reset(void) {
    leave();
    for (;;) {
    }
}
