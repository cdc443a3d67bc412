/* Live inference on the sensor's windows, and the trial of a candidate model. At most one inference of each
 * a call, so that the network is served in between. The sensor is a replay of recorded windows. */
#ifndef TINYFLEET_NODE_SAMPLER_H
#define TINYFLEET_NODE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"
#include "tinyfleet/image.h"
#include "tinyfleet/runtime.h"
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
    const settings_t *settings;
    uint64_t (*now_us)(void);
    bool running;
    tf_model_t model;
    bool fresh;
    tf_telemetry_t telemetry;
    bool trying;
    sampler_trial_t trial;
    uint32_t period_us;
    uint64_t due_us; /* the next window */
    uint32_t window;
    bool vector_turn; /* a window had the last turn: windows that are always late starve no golden vector */
} sampler_t;

/* What one call has brought. */
typedef struct {
    bool has_verdict; /* of the running model */
    tf_verdict_t verdict;
    bool trial_ended;
    tf_result_t result;
    const char *detail; /* NULL or a literal */
} sampler_outcome_t;

void sampler_init(sampler_t *sampler, const settings_t *settings, uint64_t (*now_us)(void));

/* From now on runs this model (NULL: none) in a new epoch; ends a trial. TF_RESULT_SUCCESS, or why it cannot
 * run. */
tf_result_t sampler_run(sampler_t *sampler, const tf_image_t *image);

/* Begins a trial beside the running model, whose end sampler_poll tells; or says why it cannot begin. */
tf_result_t sampler_try(sampler_t *sampler, const tf_image_t *image, const tf_trial_t *limits);

/* Does what is due. */
sampler_outcome_t sampler_poll(sampler_t *sampler);

/* Milliseconds until sampler_poll has something to do; UINT32_MAX: never. */
uint32_t sampler_wait_ms(const sampler_t *sampler);

#endif
