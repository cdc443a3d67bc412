/* Registers of the STM32L496. Source: RM0351, STM32L47x/L48x/L49x/L4Ax reference manual, rev 9; sections are
 * named where they are used. The console is USART2 on PA2. Not run on hardware. */
#ifndef TINYFLEET_STM32L496_BOARD_H
#define TINYFLEET_STM32L496_BOARD_H

#include "cortex_m.h"
#include "machine.h"

#define CPU_HZ 16000000u /* HSI16, no wait states (3.3.3) */

/* 6.4 RCC */
#define RCC_CR REG32(0x40021000u)
#define RCC_CFGR REG32(0x40021008u)
#define RCC_AHB2ENR REG32(0x4002104Cu)
#define RCC_APB1ENR1 REG32(0x40021058u)

/* 3.7 FLASH */
#define FLASH_ACR REG32(0x40022000u)
#define FLASH_KEYR REG32(0x40022008u)
#define FLASH_SR REG32(0x40022010u)
#define FLASH_CR REG32(0x40022014u)
#define FLASH_ECCR REG32(0x40022018u)

/* GPIO */
#define GPIOA_MODER REG32(0x48000000u)
#define GPIOA_AFRL REG32(0x48000020u)

/* USART */
#define USART2_CR1 REG32(0x40004400u)
#define USART2_BRR REG32(0x4000440Cu)
#define USART2_ISR REG32(0x4000441Cu)
#define USART2_TDR REG32(0x40004428u)

/* General-purpose timers: TIM2, of 32 bits */
#define TIM2_CR1 REG32(0x40000000u)
#define TIM2_DIER REG32(0x4000000Cu)
#define TIM2_SR REG32(0x40000010u)
#define TIM2_EGR REG32(0x40000014u)
#define TIM2_CNT REG32(0x40000024u)
#define TIM2_PSC REG32(0x40000028u)
#define TIM2_ARR REG32(0x4000002Cu)
#define TIM2_CCR1 REG32(0x40000034u)

/* Independent watchdog */
#define IWDG_KR REG32(0x40003000u)
#define IWDG_PR REG32(0x40003004u)
#define IWDG_RLR REG32(0x40003008u)
#define IWDG_SR REG32(0x4000300Cu)

#define IRQ_TIM2 28u
#define IRQS 91u

#define FLASH_BASE MAP(FLASH_BASE)

#define WATCHDOG_MS 8000u
#define WATCHDOG_BOOT_MS 2000u

/* True when a read of flash that its ECC could not mend was the reason of an NMI; it is then done with. */
bool flash_forgive(void);

#endif
