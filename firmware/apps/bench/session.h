/* What happens on a bench board's console: frames, MLPerf commands, and a stored window now and then. */
#ifndef TINYFLEET_BENCH_SESSION_H
#define TINYFLEET_BENCH_SESSION_H

#include "bench.h"
#include "tinyfleet/line.h"
#include "tinyfleet/mlperf.h"

typedef struct {
    bench_t bench;
    tf_mlperf_t mlperf;
    tf_line_t line;
    uint8_t buffer[TF_FRAME_BUFFER_BYTES];
    tf_frame_t held; /* stands in the buffer until the job before it has ended */
    bool holds;
    bool reset;    /* was asked for */
    bool measured; /* an MLPerf command came: nothing may run between two of its measurements */
    uint32_t live_us;
    uint32_t live_window;
} session_t;

/* The model and the golden sets are loaded, and told. */
void session_start(session_t *session, const tf_bench_port_t *port);
/* One turn of the main loop: an inference of a job, or what was asked, or a stored window. */
void session_turn(session_t *session);

#endif
