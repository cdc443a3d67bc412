/* The bench app as MLPerf Tiny's device under test. */
#ifndef TINYFLEET_BENCH_DUT_H
#define TINYFLEET_BENCH_DUT_H

#include "bench.h"
#include "tinyfleet/mlperf.h"

/* Each mode is a build of its own, as in the reference firmware: performance.c or energy.c is linked. */
typedef struct {
    uint32_t baud;
    bool energy;
} dut_mode_t;
extern const dut_mode_t dut_mode;

/* Call it once model and golden sets are loaded. */
const tf_mlperf_dut_t *dut_of(bench_t *bench);

#endif
