/* What a fuzz harness brings, and what both its drivers call: libFuzzer, which searches, and replay.c, which
 * runs kept inputs under any compiler. */
#ifndef TF_FUZZ_H
#define TF_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Prints what this run did beyond the driver's own counts: a line `fuzz: …`. */
void fuzz_report(void);

/* Keeps what was computed from being optimised away. */
static inline void fuzz_touch(const void *bytes, size_t count) {
    static volatile uint8_t sink;
    for (size_t i = 0; i < count; i++) sink = (uint8_t)(sink + ((const uint8_t *)bytes)[i]);
}

#endif
