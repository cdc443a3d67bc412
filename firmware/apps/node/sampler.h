/* Live inference on a source's windows, and the trial of a candidate model. At most one inference of each a
 * call, so that the network is served in between. While a trial's golden vectors run, nothing else does: the
 * windows that come meanwhile are missed, and counted. */
#ifndef TINYFLEET_NODE_SAMPLER_H
#define TINYFLEET_NODE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/image.h"
#include "tinyfleet/runtime.h"
#include "tinyfleet/source.h"
#include "tinyfleet/telemetry.h"
#include "tinyfleet/wire.h"

#define SAMPLER_ARENA_BYTES (64u * 1024u)

typedef struct {
    tf_model_t model;
    tf_trial_t limits;
    uint8_t *arena;
    bool fresh;      /* its stream begins: reset before the next window */
    uint32_t vector; /* next golden vector, and its next step */
    uint32_t step;
    uint32_t live; /* live inferences done */
    uint32_t slowest_us;
} sampler_trial_t;

typedef struct {
    const tf_source_t *source; /* NULL: none */
    uint64_t (*now_us)(void);
    uint64_t (*energy_uj)(void); /* NULL: not measured */
    bool running;
    tf_model_t model;
    bool fresh;
    tf_telemetry_t telemetry;
    bool trying;
    sampler_trial_t trial;
    bool paused;                         /* golden vectors ran since the last window */
    uint8_t scores[TF_TELE_CLASSES_MAX]; /* of the last window's classes */
} sampler_t;

/* What one call has brought. */
typedef struct {
    bool has_verdict; /* of the running model, on `values`, which are there until the next call */
    tf_verdict_t verdict;
    const int16_t *values;
    bool begins; /* a stream began with it */
    bool trial_ended;
    tf_result_t result;
    const char *detail; /* NULL or a literal */
} sampler_outcome_t;

/* `energy_uj` NULL: there is no meter. */
void sampler_init(sampler_t *sampler, const tf_source_t *source, uint64_t (*now_us)(void),
                  uint64_t (*energy_uj)(void));

/* From now on runs this model (NULL: none) in a new epoch; ends a trial. TF_RESULT_SUCCESS, or why it cannot
 * run. */
tf_result_t sampler_run(sampler_t *sampler, const tf_image_t *image);

/* Begins a trial beside the running model, whose end sampler_poll tells; or says why it cannot begin. */
tf_result_t sampler_try(sampler_t *sampler, const tf_image_t *image, const tf_trial_t *limits);

/* A model that this node can run on its sensor, or why it cannot; and the memory in which models run, its
 * beginning the running one's. For who runs another beside it. */
tf_result_t sampler_load(const sampler_t *sampler, tf_model_t *model, const tf_image_t *image);
uint8_t *sampler_arena(void);

/* Does what is due. */
sampler_outcome_t sampler_poll(sampler_t *sampler);

/* Milliseconds until sampler_poll has something to do; UINT32_MAX: never. */
uint32_t sampler_wait_ms(const sampler_t *sampler);

#endif
