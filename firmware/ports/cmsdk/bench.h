/* Inside of the CMSDK bench port. */
#ifndef TINYFLEET_CMSDK_BENCH_H
#define TINYFLEET_CMSDK_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bench_board.h"

#define RING_BYTES 8192u

void line_start(uint32_t baud);
bool line_waiting(void);
bool line_read(uint8_t *byte);
void line_write(const uint8_t *data, uint32_t length);

void time_start(void);
uint32_t time_us(void);
/* Until an interrupt comes or time_us() reaches `until_us`; interrupts are masked. May return early. */
void time_sleep(uint32_t until_us);

#endif
