/* Registers of the nRF51822 (nRF51 Reference Manual 3.0) and the micro:bit's pins. */
#ifndef TINYFLEET_MICROBIT_BOARD_H
#define TINYFLEET_MICROBIT_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"

#define REG32(address) (*(volatile uint32_t *)(address))

#define CLOCK_HFCLKSTART REG32(0x40000000u)
#define CLOCK_HFCLKSTARTED REG32(0x40000100u)

#define UART_STARTRX REG32(0x40002000u)
#define UART_STARTTX REG32(0x40002008u)
#define UART_RXDRDY REG32(0x40002108u)
#define UART_TXDRDY REG32(0x4000211Cu)
#define UART_INTENSET REG32(0x40002304u)
#define UART_INTENCLR REG32(0x40002308u)
#define UART_ENABLE REG32(0x40002500u)
#define UART_PSELTXD REG32(0x4000250Cu)
#define UART_PSELRXD REG32(0x40002514u)
#define UART_RXD REG32(0x40002518u)
#define UART_TXD REG32(0x4000251Cu)
#define UART_BAUDRATE REG32(0x40002524u)

#define TIMER0_START REG32(0x40008000u)
#define TIMER0_CAPTURE1 REG32(0x40008044u)
#define TIMER0_COMPARE0 REG32(0x40008140u)
#define TIMER0_INTENSET REG32(0x40008304u)
#define TIMER0_INTENCLR REG32(0x40008308u)
#define TIMER0_BITMODE REG32(0x40008508u)
#define TIMER0_PRESCALER REG32(0x40008510u)
#define TIMER0_CC0 REG32(0x40008540u)
#define TIMER0_CC1 REG32(0x40008544u)

#define GPIO_OUTSET REG32(0x50000508u)
#define GPIO_OUTCLR REG32(0x5000050Cu)
#define GPIO_DIRSET REG32(0x50000518u)

#define FICR_DEVICE_ID0 REG32(0x10000064u)
#define FICR_DEVICE_ID1 REG32(0x10000068u)

#define NVIC_ISER REG32(0xE000E100u)
#define SCB_AIRCR REG32(0xE000ED0Cu)

#define IRQ_UART 2u
#define IRQ_TIMER0 8u

#define NVMC_READY REG32(0x4001E400u)
#define NVMC_CONFIG REG32(0x4001E504u)
#define NVMC_ERASEPAGE REG32(0x4001E508u)

#define PIN_METER 3u /* P0 on the edge connector */
#define PIN_TXD 24u
#define PIN_RXD 25u

/* The stack is filled with it at the start; a stack that fits never uses its lowest word. */
#define STACK_PAINT 0x5AFEC0DEu

void uart_start(uint32_t baud);
bool uart_read(uint8_t *byte);
bool uart_waiting(void);
void uart_write(const uint8_t *data, uint32_t length);

void clock_start(void);
uint32_t clock_us(void);
/* From now on the timer's interrupt wakes the core at `at_us`. */
void clock_wake_at(uint32_t at_us);

/* Golden sets in flash. */
const tf_flash_t *golden_flash(void);

void system_reset(void) __attribute__((noreturn));

#endif
