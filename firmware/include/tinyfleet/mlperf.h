/* The serial protocol of MLPerf Tiny (mlcommons/tiny, benchmark/api): a command in, its reply out.
 *
 * A command is printable text that ended in '%' (tinyfleet/line.h). Every reply ends in m-ready; errors are
 * lines e-[…]. No port in here. */
#ifndef TINYFLEET_MLPERF_H
#define TINYFLEET_MLPERF_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/print.h"
#include "tinyfleet/text.h"

#define TF_MLPERF_COMMAND_MAX 80u
/* More would keep a board from its line for hours, and nothing ends an `infer` before its time. */
#define TF_MLPERF_RUNS_MAX 1000000u

/* The device under test. */
typedef struct {
    void *context;
    tf_sink_t write;
    const char *vendor; /* what `name` says */
    tf_text_t model;    /* what `profile` says: kws01, ic01, … */
    uint8_t *input;     /* what `db` writes to */
    uint32_t input_room;
    /* Performance: the time now. Energy: `edge`, not NULL, marks it on a pin for a meter. */
    uint32_t (*now_us)(void);
    void (*edge)(void);
    /* Takes the input for the inferences that follow, once for all of them. NULL, or why not. */
    const char *(*load)(void *context, const uint8_t *input, uint32_t bytes);
    void (*infer)(void *context);
    /* Result i below `results`, in thousandths. Asked only after an inference. */
    uint32_t results;
    int32_t (*result)(void *context, uint32_t i);
} tf_mlperf_dut_t;

typedef struct {
    const tf_mlperf_dut_t *dut;
    uint32_t expected; /* bytes of the input; 0: no `db load` yet */
    uint32_t arrived;
    bool inferred;
} tf_mlperf_t;

/* Says what a board says when it starts; the dut must outlive it. */
void tf_mlperf_start(tf_mlperf_t *mlperf, const tf_mlperf_dut_t *dut);
/* False: there is no such command, which it says. */
bool tf_mlperf_command(tf_mlperf_t *mlperf, tf_text_t command);
/* The memory of input and results was used for something else. */
void tf_mlperf_forget(tf_mlperf_t *mlperf);

#endif
