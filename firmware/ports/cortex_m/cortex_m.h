/* What the ports to Cortex-M share. Each has a board.h that includes this, says where the core sees its flash
 * (FLASH_BASE), where a bootloader copies firmware to, if it does (EXECUTION_BASE, EXECUTION_BYTES), and how
 * long the watchdog waits; and a machine.h with the device type and the wire's memory map of it (MAP).
 * Source: Armv7-M Architecture Reference Manual, DDI 0403, B3. */
#ifndef TINYFLEET_CORTEX_M_H
#define TINYFLEET_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/boot.h"
#include "tinyfleet/node_port.h"
#include "tinyfleet/wire_keys.h"

#define REG32(address) (*(volatile uint32_t *)(address))

#define NVIC_ISER 0xE000E100u
#define NVIC_ICER 0xE000E180u
#define SCB_VTOR 0xE000ED08u
#define SCB_AIRCR 0xE000ED0Cu
#define SCB_CFSR 0xE000ED28u
#define SCB_BFAR 0xE000ED38u
#define FPU_CPACR 0xE000ED88u

#define RESET_REQUEST 0x05FA0004u /* to SCB_AIRCR */

/* Of the linker script. */
extern uint32_t link_vectors[], link_stack_bottom[], link_stack_top[], link_ram_start[], link_ram_end[];

static inline void interrupts_off(void) {
    __asm volatile("cpsid i" ::: "memory");
}

static inline void interrupts_on(void) {
    __asm volatile("cpsie i\n isb" ::: "memory");
}

void uart_start(void);
void uart_write(const char *text, uint32_t size);

void clock_start(void);
uint64_t clock_us(void);

void watchdog_start(uint32_t ms);
void watchdog_feed(void);

void system_reset(void) __attribute__((noreturn));
void panic(const char *what) __attribute__((noreturn));
bool crash_take(tf_crash_t *crash);
void crash_print(const tf_crash_t *crash);

const tf_flash_t *flash_port(void);

/* The linker decides which of the two kinds of start it is. */
const tf_boot_layout_t *boot_layout(void);
tf_handoff_t *handoff(void);
/* NULL when no bootloader wrote it: the app was started by other means. */
const tf_handoff_t *handoff_of_bootloader(void);

void idle(uint32_t ms);

#endif
