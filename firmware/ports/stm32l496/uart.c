/* The console: USART2 on PA2, 115200 baud. */
#include "board.h"

enum { GPIOAEN = 1, USART2EN = 1 << 17, UE = 1, TE = 1 << 3, TXE = 1 << 7 };
#define UART_BAUD 115200u
#define MODE_PA2 (3u << 4)
#define MODE_PA2_ALTERNATE (2u << 4)
#define FUNCTION_PA2 (15u << 8)
#define FUNCTION_PA2_USART2 (7u << 8)
#define MSI_HZ 4000000u /* what the core starts on */
#define SWS 0xCu

/* The bootloader speaks before clock_start: on the clock that runs. */
void uart_start(void) {
    RCC_AHB2ENR |= GPIOAEN;
    RCC_APB1ENR1 |= USART2EN;
    (void)RCC_APB1ENR1;
    GPIOA_AFRL = (GPIOA_AFRL & ~FUNCTION_PA2) | FUNCTION_PA2_USART2;
    GPIOA_MODER = (GPIOA_MODER & ~MODE_PA2) | MODE_PA2_ALTERNATE;
    USART2_CR1 = 0;
    USART2_BRR = ((RCC_CFGR & SWS) == 0 ? MSI_HZ : CPU_HZ) / UART_BAUD;
    USART2_CR1 = UE | TE;
}

void uart_write(const char *text, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        while ((USART2_ISR & TXE) == 0) continue;
        USART2_TDR = (uint8_t)text[i];
    }
}
