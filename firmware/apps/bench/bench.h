/* The bench app: a model in flash, run for whoever asks on the console, and by itself for whoever looks. */
#ifndef TINYFLEET_BENCH_H
#define TINYFLEET_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/bench_port.h"
#include "tinyfleet/console.h"
#include "tinyfleet/image.h"
#include "tinyfleet/runtime.h"

typedef struct {
    const tf_bench_port_t *port;
    tf_result_t result; /* SUCCESS: the model may run; else why not */
    const char *reason;
    bool has_image; /* `image` is a verified one, whatever became of its model */
    uint8_t image[32];
    char version[TF_IMAGE_VERSION_MAX];
    tf_model_t model;
    const uint8_t *windows; /* golden windows in flash */
    uint32_t window_count;
    uint32_t window_bytes;
} bench_t;

/* Verifies the model image, loads its plan and runs its golden vectors. */
void bench_load_model(bench_t *bench);
/* Reads the golden set; none, or one that is damaged, is no error. */
void bench_load_golden(bench_t *bench);

/* Whether a window of so many bytes is the model's input; for a model that keeps state, some of them: a
 * sequence of steps from reset. */
bool bench_fits(const bench_t *bench, uint32_t bytes);
/* Runs a window that fits; answers the time it took. The output of its last step stands in the arena. */
uint32_t bench_infer(const bench_t *bench, const uint8_t *window, uint32_t bytes);
const void *bench_output(const bench_t *bench);
const uint8_t *bench_window(const bench_t *bench, uint32_t index);

/* Answers one request. */
void bench_answer(const bench_t *bench, const tf_frame_t *request);

/* Text lines for people. */
void say_start(const bench_t *bench);
void say_inference(const bench_t *bench, uint32_t window, uint32_t duration_us);
void say(const char *text);

#endif
