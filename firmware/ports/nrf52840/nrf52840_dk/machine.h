/* Nordic nRF52840 on its development kit (PCA10056). */
#ifndef TINYFLEET_NRF52840_MACHINE_H
#define TINYFLEET_NRF52840_MACHINE_H

#include "tinyfleet/wire_keys.h"

#define BOARD_DEVICE_TYPE "nrf52840"
/* The wire's memory map of this board. */
#define MAP(field) TF_NRF52840_##field

#define IRQS 48u
#define PIN_TXD 6u

#endif
