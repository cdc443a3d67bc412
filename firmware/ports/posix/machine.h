/* A process on Linux. */
#ifndef TINYFLEET_POSIX_MACHINE_H
#define TINYFLEET_POSIX_MACHINE_H

#include "tinyfleet/wire_keys.h"

#define BOARD_DEVICE_TYPE "posix"
/* The wire's memory map of it. */
#define MAP(field) TF_POSIX_##field

#endif
