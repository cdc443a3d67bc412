/* A power meter's interface board listens at this speed and watches the pin. */
#include "dut.h"

const dut_mode_t dut_mode = {.baud = 9600, .energy = true};
