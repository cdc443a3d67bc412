/* Registers of Arm's MPS2 board with FPGA image AN386, as QEMU 7.2 has them. Sources: Arm DAI0386, DUI0593
 * (CMSDK). */
#ifndef TINYFLEET_MPS2_AN386_BOARD_H
#define TINYFLEET_MPS2_AN386_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/boot.h"
#include "tinyfleet/node_port.h"
#include "tinyfleet/wire_keys.h"

#define REG32(address) (*(volatile uint32_t *)(address))

#define BOARD_DEVICE_TYPE "mps2-an386"
#define CPU_HZ 25000000u

#define UART0 0x40004000u
#define UART_DATA 0x00u
#define UART_STATE 0x04u
#define UART_CTRL 0x08u
#define UART_BAUDDIV 0x10u

#define TIMER0 0x40000000u
#define TIMER_CTRL 0x00u
#define TIMER_VALUE 0x04u
#define TIMER_INTCLEAR 0x0Cu

#define WATCHDOG 0x40008000u
#define WATCHDOG_LOAD 0x000u
#define WATCHDOG_CTRL 0x008u
#define WATCHDOG_INTCLEAR 0x00Cu
#define WATCHDOG_LOCK 0xC00u

#define FPGAIO 0x40028000u
#define FPGAIO_HZ CPU_HZ
#define FPGAIO_COUNTER 0x18u
#define FPGAIO_PRESCALE 0x1Cu

#define NVIC_ISER 0xE000E100u
#define SCB_AIRCR 0xE000ED0Cu
#define SCB_CFSR 0xE000ED28u
#define SCB_BFAR 0xE000ED38u
#define FPU_CPACR 0xE000ED88u

#define IRQ_TIMER0 8u
#define IRQ_ETHERNET 13u

#define FLASH_BASE TF_MPS2_AN386_FLASH_BASE
#define FLASH_SIZE TF_MPS2_AN386_FLASH_BYTES

/* Where RAM_LOAD puts an image (wire/SPEC.md, section 7). */
#define EXECUTION_BASE 0x10000u
#define EXECUTION_BYTES 0x100000u

#define RESET_REQUEST 0x05FA0004u /* to SCB_AIRCR */

/* A blocked main loop is reset after twice this; the idle never sleeps longer than half of it. */
#define WATCHDOG_MS 8000u
/* What the bootloader leaves a firmware to come that far. */
#define WATCHDOG_BOOT_MS 2000u

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

void idle(uint32_t ms);

int8_t ethernet_init(struct netif *netif);
void ethernet_poll(struct netif *netif);
bool ethernet_pending(void);
void ethernet_unmask(void);
void ethernet_bytes(uint32_t *rx, uint32_t *tx);

#endif
