/* What the bench app needs of these boards beside board.h and machine.h. */
#ifndef TINYFLEET_MPS2_BENCH_BOARD_H
#define TINYFLEET_MPS2_BENCH_BOARD_H

#include "board.h"

#define BENCH_DEVICE_TYPE BOARD_DEVICE_TYPE

#define UART_CLOCK_HZ CPU_HZ
#define UART_RX_IRQS {0u}

/* DUI0593 (CMSDK GPIO): DATAOUT, OUTENSET; a meter watches pin 0 of port 0. */
#define GPIO0 0x40010000u

#endif
