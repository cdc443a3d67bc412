/* The bench app: a model in flash, run for whoever asks on the console, and by itself for whoever looks. */
#ifndef TINYFLEET_BENCH_H
#define TINYFLEET_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sets.h"
#include "tinyfleet/bench_port.h"
#include "tinyfleet/console.h"
#include "tinyfleet/image.h"
#include "tinyfleet/runtime.h"

/* Inferences that a request began; one is done at each turn of the main loop. */
typedef struct {
    uint8_t type; /* RUN or SWEEP; 0: none */
    uint8_t seq;
    uint32_t next, end;
} bench_job_t;

typedef struct {
    const tf_bench_port_t *port;
    tf_result_t result; /* SUCCESS: the model may run; else why not */
    const char *reason;
    bool has_image; /* `image` is a verified one, whatever became of its model */
    uint8_t image[32];
    char version[TF_IMAGE_VERSION_MAX];
    tf_model_t model;
    golden_set_t set; /* the selected one; 0 windows: none */
    set_writer_t writer;
    /* The arena behind the model's part: inputs that come in pieces. */
    uint8_t *spare;
    uint32_t spare_bytes;
    uint32_t loaded; /* bytes that LOAD brought there */
    bench_job_t job;
    bool numbered; /* requests are taken in order from `expected` on */
    uint8_t expected;
    uint8_t behind; /* how far the last request that came too early was ahead of it */
} bench_t;

/* Verifies the model image, loads its plan and runs its golden vectors. */
void bench_load_model(bench_t *bench);
/* The plan alone, where it was verified already. */
void bench_load_plan(bench_t *bench, const uint8_t *plan, uint32_t bytes);

/* Whether a window of so many bytes is the model's input; for a model that keeps state, some of them: a
 * sequence of steps from reset. */
bool bench_fits(const bench_t *bench, uint32_t bytes);
/* Runs a window that fits; answers the time it took. The output of its last step stands in the arena. */
uint32_t bench_infer(const bench_t *bench, const uint8_t *window, uint32_t bytes);
const void *bench_output(const bench_t *bench);
/* NULL: the selected set has none with that index, or it does not fit the model. */
const uint8_t *bench_window(const bench_t *bench, uint32_t index);

/* Answers one request, or begins what it asks for. */
void bench_answer(bench_t *bench, const tf_frame_t *request);
/* The next inference of the job, if there is one. */
void bench_work(bench_t *bench);

/* Text lines for people. */
void say_start(const bench_t *bench);
void say_inference(const bench_t *bench, uint32_t window, uint32_t duration_us);
void say(const bench_t *bench, const char *text);

#endif
