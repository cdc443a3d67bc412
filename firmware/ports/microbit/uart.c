/* The console: received bytes wait in a ring, sent ones are waited for. */
#include "board.h"
#include "uart.h"

enum { ENABLED = 4, BAUD_9600 = 0x00275000, BAUD_115200 = 0x01D7E000, INT_RXDRDY = 1 << 2 };

static volatile uint8_t ring[UART_RING_BYTES];
static volatile uint32_t ring_in, ring_out;

void uart_handler(void);

void uart_start(uint32_t baud) {
    GPIO_OUTSET = 1u << PIN_TXD;
    GPIO_DIRSET = 1u << PIN_TXD;
    UART_PSELTXD = PIN_TXD;
    UART_PSELRXD = PIN_RXD;
    UART_BAUDRATE = baud == 9600 ? BAUD_9600 : BAUD_115200;
    UART_ENABLE = ENABLED;
    UART_STARTTX = 1;
    UART_STARTRX = 1;
    UART_INTENSET = INT_RXDRDY;
    NVIC_ISER = 1u << IRQ_UART;
}

void uart_handler(void) {
    if (ring_in - ring_out == UART_RING_BYTES) {
        /* Full: what the receiver's own six bytes hold waits until uart_read makes room. */
        UART_INTENCLR = INT_RXDRDY;
        return;
    }
    /* Before reading: the next byte may raise the event again at once. */
    UART_RXDRDY = 0;
    ring[ring_in % UART_RING_BYTES] = (uint8_t)UART_RXD;
    ring_in = ring_in + 1;
}

bool uart_waiting(void) {
    return ring_in != ring_out;
}

bool uart_read(uint8_t *byte) {
    if (!uart_waiting()) return false;
    *byte = ring[ring_out % UART_RING_BYTES];
    ring_out = ring_out + 1;
    UART_INTENSET = INT_RXDRDY;
    return true;
}

void uart_write(const uint8_t *data, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        UART_TXDRDY = 0;
        UART_TXD = data[i];
        /* Without a bound on purpose: dropped bytes would be worse than a stop while nobody listens. */
        while (UART_TXDRDY == 0) continue;
    }
}
