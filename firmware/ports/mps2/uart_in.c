/* The console's input. The receiver holds one byte: while the ring is full, it stays there. */
#include "board.h"

#define UART_STATE_RX_FULL 2u
#define UART_CTRL_TX_RX_INT 11u /* both ways, an interrupt for each byte received */
#define UART_INT_RX 2u

enum { RING_BYTES = 256 };

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t ring_in, ring_out;

void uart_handler(void);

void uart_listen(void) {
    REG32(UART0 + UART_CTRL) = UART_CTRL_TX_RX_INT;
    REG32(NVIC_ISER) = 1u << IRQ_UART0_RX;
}

void uart_handler(void) {
    while ((REG32(UART0 + UART_STATE) & UART_STATE_RX_FULL) != 0) {
        if (ring_in - ring_out == RING_BYTES) {
            REG32(NVIC_ICER) = 1u << IRQ_UART0_RX;
            return;
        }
        /* Before reading: the next byte may raise it again at once. */
        REG32(UART0 + UART_INTCLEAR) = UART_INT_RX;
        ring[ring_in % RING_BYTES] = (uint8_t)REG32(UART0 + UART_DATA);
        ring_in = ring_in + 1;
    }
}

bool uart_waiting(void) {
    return ring_in != ring_out;
}

bool uart_read(uint8_t *byte) {
    if (!uart_waiting()) return false;
    *byte = ring[ring_out % RING_BYTES];
    ring_out = ring_out + 1;
    REG32(NVIC_ISER) = 1u << IRQ_UART0_RX;
    return true;
}

void uart_put(const uint8_t *data, uint32_t length) {
    uart_write((const char *)data, length);
}
