/* Registers of Arm's MPS3 board with FPGA image AN547 (Cortex-M55), as QEMU 7.2 has them, by their secure
 * addresses. Sources: Arm DAI0547, DUI0593 (CMSDK). QEMU gives this machine no network: it runs models, not
 * the node. */
#ifndef TINYFLEET_MPS3_AN547_BOARD_H
#define TINYFLEET_MPS3_AN547_BOARD_H

#include <stdint.h>

#include "tinyfleet/flash.h"

#define REG32(address) (*(volatile uint32_t *)(address))

#define CPU_HZ 32000000u

#define UART0 0x59303000u
#define UART_DATA 0x00u
#define UART_STATE 0x04u
#define UART_CTRL 0x08u
#define UART_BAUDDIV 0x10u

#define FPGAIO 0x59302000u
#define FPGAIO_HZ 20000000u
#define FPGAIO_COUNTER 0x18u
#define FPGAIO_PRESCALE 0x1Cu

#define SCB_VTOR 0xE000ED08u
#define FPU_CPACR 0xE000ED88u

/* The board's DDR takes the flash's part: QEMU cannot write its flash. */
#define FLASH_BASE 0x70000000u
#define FLASH_SIZE 0x1000000u

void uart_start(void);
void uart_write(const char *text, uint32_t size);

/* Of the linker script. */
extern uint32_t link_stack_bottom[], link_stack_top[], link_ram_end[];

const tf_flash_t *flash_port(void);

void system_reset(void) __attribute__((noreturn));

#endif
