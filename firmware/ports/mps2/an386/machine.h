/* The MPS2 board with FPGA image AN386. */
#ifndef TINYFLEET_MPS2_MACHINE_H
#define TINYFLEET_MPS2_MACHINE_H

#include "tinyfleet/wire_keys.h"

#define BOARD_DEVICE_TYPE "mps2-an386"
/* The wire's memory map of this board. */
#define MAP(field) TF_MPS2_AN386_##field
#define BENCH_MAP(field) TF_MPS2_AN386_BENCH_##field

#define ETHERNET 0x40200000u

#endif
