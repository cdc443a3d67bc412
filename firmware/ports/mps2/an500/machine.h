/* The MPS2 board with FPGA image AN500. */
#ifndef TINYFLEET_MPS2_MACHINE_H
#define TINYFLEET_MPS2_MACHINE_H

#include "tinyfleet/wire_keys.h"

#define BOARD_DEVICE_TYPE "mps2-an500"
/* The wire's memory map of this board. */
#define MAP(field) TF_MPS2_AN500_##field
#define BENCH_MAP(field) TF_MPS2_AN500_BENCH_##field

#define ETHERNET 0xA0000000u

#endif
