#include "dut.h"

const dut_mode_t dut_mode = {.baud = 115200, .energy = false};
