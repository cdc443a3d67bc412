/* The console: UART0 at 115200 baud (6.33). */
#include "board.h"

enum { ENABLED = 4, BAUD_115200 = 0x01D7E000 };

void uart_start(void) {
    GPIO_OUTSET = 1u << PIN_TXD;
    GPIO_DIRSET = 1u << PIN_TXD;
    UART_PSELTXD = PIN_TXD;
    UART_BAUDRATE = BAUD_115200;
    UART_ENABLE = ENABLED;
    UART_STARTTX = 1;
}

void uart_write(const char *text, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        UART_TXDRDY = 0;
        UART_TXD = (uint8_t)text[i];
        while (UART_TXDRDY == 0) continue;
    }
}
