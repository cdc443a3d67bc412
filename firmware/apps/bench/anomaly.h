/* MLPerf Tiny's anomaly detection: spectra come as floats, and the answer is how far the autoencoder's output
 * is from them. The one place of the firmware with floating point; boards that its model does not fit into do
 * without (no_anomaly.c). */
#ifndef TINYFLEET_BENCH_ANOMALY_H
#define TINYFLEET_BENCH_ANOMALY_H

#include "bench.h"

/* Input i as the model's byte. `floats`: not aligned. NULL, or why this board cannot. */
const char *anomaly_prepare(const bench_t *bench, const uint8_t *floats, uint8_t *input);
/* The mean of squares, in thousandths, of what stands in the arena against what went in. */
int32_t anomaly_error(const bench_t *bench, const uint8_t *floats);

#endif
