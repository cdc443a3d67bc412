#include "board.h"

#define UART_STATE_TX_FULL 1u
#define UART_CTRL_TX_RX 3u

void uart_start(void) {
    REG32(UART0 + UART_BAUDDIV) = CPU_HZ / UART_BAUD;
    REG32(UART0 + UART_CTRL) = UART_CTRL_TX_RX;
}

void uart_write(const char *text, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        while ((REG32(UART0 + UART_STATE) & UART_STATE_TX_FULL) != 0) {
        }
        REG32(UART0 + UART_DATA) = (uint8_t)text[i];
    }
}
