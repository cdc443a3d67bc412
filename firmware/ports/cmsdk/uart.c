/* The console: received bytes wait in a ring, sent ones are waited for. The UART holds one byte (DUI0593). */
#include "bench.h"

#define UART_INTCLEAR 0x0Cu
#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_RX 3u
#define CTRL_RX_INT 8u
#define INT_RX 2u
#define NVIC 0xE000E100u
#define IRQS_A_WORD 32u

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t ring_in, ring_out;
static volatile bool full; /* the UART's byte waits for room, and asks for no interrupt */

void uart_handler(void);

void line_start(uint32_t baud) {
    static const uint32_t irqs[] = UART_RX_IRQS;
    REG32(UART0 + UART_BAUDDIV) = UART_CLOCK_HZ / baud;
    REG32(UART0 + UART_CTRL) = CTRL_TX_RX | CTRL_RX_INT;
    for (uint32_t i = 0; i < sizeof irqs / sizeof irqs[0]; i++) {
        REG32(NVIC + irqs[i] / IRQS_A_WORD * sizeof(uint32_t)) = 1u << irqs[i] % IRQS_A_WORD;
    }
}

/* Cleared before the byte is read: the next one may come at once. */
void uart_handler(void) {
    REG32(UART0 + UART_INTCLEAR) = INT_RX;
    while ((REG32(UART0 + UART_STATE) & STATE_RX_FULL) != 0) {
        full = ring_in - ring_out == RING_BYTES;
        if (full) return;
        ring[ring_in % RING_BYTES] = (uint8_t)REG32(UART0 + UART_DATA);
        ring_in = ring_in + 1;
    }
}

bool line_waiting(void) {
    return ring_in != ring_out;
}

bool line_read(uint8_t *byte) {
    if (!line_waiting()) return false;
    *byte = ring[ring_out % RING_BYTES];
    ring_out = ring_out + 1;
    if (full) {
        __asm volatile("cpsid i" ::: "memory");
        full = false;
        uart_handler();
        __asm volatile("cpsie i" ::: "memory");
    }
    return true;
}

void line_write(const uint8_t *data, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        /* Without a bound on purpose: dropped bytes would be worse than a stop while nobody listens. */
        while ((REG32(UART0 + UART_STATE) & STATE_TX_FULL) != 0) continue;
        REG32(UART0 + UART_DATA) = data[i];
    }
}
