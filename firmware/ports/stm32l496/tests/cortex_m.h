/* Stands before the port's own: every access to a register is a call into the test's flash controller. */
#ifndef TINYFLEET_CORTEX_M_H
#define TINYFLEET_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/node_port.h"

/* Where that register can be read or written until the next call. */
volatile uint32_t *sim_register(uint32_t address);
#define REG32(address) (*sim_register(address))

void interrupts_off(void);
void interrupts_on(void);
void system_reset(void) __attribute__((noreturn));
const tf_flash_t *flash_port(void);

#endif
