/* The sample line: the second UART, received into a ring by interrupt. A full ring masks the interrupt, so
 * that the line waits in the UART; what a real one then loses is a frame whose checksum fails. */
#include "board.h"

#define RING_BYTES 2048u /* a power of two */
#define UART_STATE_RX_FULL 2u
#define UART_INT_RX 2u
#define UART_CTRL_RX_IRQ 0xAu /* receive, and its interrupt */

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t head; /* written by the interrupt alone */
static volatile uint32_t tail; /* by the main loop alone */

void sample_line_start(void) {
    REG32(UART1 + UART_BAUDDIV) = CPU_HZ / UART_BAUD;
    REG32(UART1 + UART_CTRL) = UART_CTRL_RX_IRQ;
    REG32(NVIC_ISER) = 1u << IRQ_UART1_RX;
}

void sample_line_handler(void);

/* The flag is cleared before the byte is taken: one that comes in between raises it again. */
void sample_line_handler(void) {
    REG32(UART1 + UART_INTCLEAR) = UART_INT_RX;
    while ((REG32(UART1 + UART_STATE) & UART_STATE_RX_FULL) != 0) {
        if (head - tail == RING_BYTES) {
            REG32(NVIC_ICER) = 1u << IRQ_UART1_RX;
            return;
        }
        ring[head % RING_BYTES] = (uint8_t)REG32(UART1 + UART_DATA);
        head++;
    }
}

bool sample_line_pending(void) {
    return head != tail;
}

uint32_t sample_line_read(uint8_t *out, uint32_t capacity) {
    uint32_t count = 0;
    while (count < capacity && tail != head) {
        out[count++] = ring[tail % RING_BYTES];
        tail++;
    }
    if (count == 0) return 0;
    /* A byte that waited in the UART raised its flag long ago, and the ring has room now. */
    __asm volatile("cpsid i" ::: "memory");
    sample_line_handler();
    __asm volatile("cpsie i" ::: "memory");
    REG32(NVIC_ISER) = 1u << IRQ_UART1_RX;
    return count;
}
