/* Registers of Arm's MPS2 board with FPGA image AN386 (Cortex-M4) or AN500 (Cortex-M7), as QEMU 7.2 has them.
 * Sources: Arm DAI0386, DAI0400, DUI0593 (CMSDK). What differs stands in machine.h of their folders. */
#ifndef TINYFLEET_MPS2_BOARD_H
#define TINYFLEET_MPS2_BOARD_H

#include "cortex_m.h"
#include "machine.h"

#define CPU_HZ 25000000u

#define UART0 0x40004000u
#define UART1 0x40005000u /* the sample line */
#define UART_DATA 0x00u
#define UART_STATE 0x04u
#define UART_CTRL 0x08u
#define UART_INTCLEAR 0x0Cu
#define UART_BAUDDIV 0x10u
#define UART_BAUD 115200u

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

#define IRQ_UART0_RX 0u
#define IRQ_UART1_RX 2u
#define IRQ_TIMER0 8u
#define IRQ_ETHERNET 13u

#define FLASH_BASE MAP(FLASH_BASE)
#define FLASH_SIZE MAP(FLASH_BYTES)

/* Where RAM_LOAD puts an image (wire/SPEC.md, section 7). */
#define EXECUTION_BASE 0x10000u
#define EXECUTION_BYTES 0x100000u

/* A blocked main loop is reset after twice this; the idle never sleeps longer than half of it. */
#define WATCHDOG_MS 8000u
/* What the bootloader leaves a firmware to come that far. */
#define WATCHDOG_BOOT_MS 2000u

void sample_line_start(void);
uint32_t sample_line_read(uint8_t *out, uint32_t capacity);
bool sample_line_pending(void);

struct netif;

/* From now on received bytes wait in a ring, and wake the core. */
void uart_listen(void);
bool uart_read(uint8_t *byte);
bool uart_waiting(void);
void uart_put(const uint8_t *data, uint32_t length);

int8_t ethernet_init(struct netif *netif);
void ethernet_poll(struct netif *netif);
void ethernet_power(bool on);
bool ethernet_pending(void);
void ethernet_unmask(void);
void ethernet_bytes(uint32_t *rx, uint32_t *tx);

#endif
