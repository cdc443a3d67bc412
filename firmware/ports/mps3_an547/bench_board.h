/* What the bench app needs of this board beside board.h. */
#ifndef TINYFLEET_MPS3_AN547_BENCH_BOARD_H
#define TINYFLEET_MPS3_AN547_BENCH_BOARD_H

#include "board.h"
#include "tinyfleet/wire_keys.h"

#define BENCH_DEVICE_TYPE "mps3-an547"
#define BENCH_MAP(field) TF_MPS3_AN547_##field

#define UART_CLOCK_HZ CPU_HZ
/* DAI0547 and QEMU name receive and transmit the other way round; only receiving asks for one. */
#define UART_RX_IRQS {33u, 34u}

/* DUI0593 (CMSDK GPIO): DATAOUT, OUTENSET; a meter watches pin 0 of port 0. */
#define GPIO0 0x51100000u

#endif
