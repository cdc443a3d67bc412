#ifndef TINYFLEET_MICROBIT_UART_H
#define TINYFLEET_MICROBIT_UART_H

/* Two frames of the example's windows: while one is computed, the next one comes. */
#define UART_RING_BYTES 1024u

#endif
