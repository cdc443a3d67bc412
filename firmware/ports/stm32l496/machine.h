/* ST STM32L496. */
#ifndef TINYFLEET_STM32L496_MACHINE_H
#define TINYFLEET_STM32L496_MACHINE_H

#include "tinyfleet/wire_keys.h"

#define BOARD_DEVICE_TYPE "stm32l496"
/* The wire's memory map of this board. */
#define MAP(field) TF_STM32L496_##field

#endif
