/* A challenger beside the running model: its golden vectors, then the same windows, in the time that the
 * running model leaves. What both said is only counted. At most one inference a call. */
#ifndef TINYFLEET_NODE_SHADOW_H
#define TINYFLEET_NODE_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler.h"
#include "tinyfleet/comparison.h"

typedef struct {
    const sampler_t *sampler; /* of the running model */
    bool running;
    bool counting; /* `counts` is of this challenger, or of one that failed and is not yet ended */
    tf_comparison_t counts;
    tf_model_t model;
    tf_image_version_t version;
    uint32_t security_counter;
    uint8_t *arena;
    bool passed;           /* and said so */
    bool fresh;            /* its stream begins: reset before the next window */
    uint32_t vector, step; /* next golden vector, and its next step */
    bool ran;              /* at all in this run; and since the last window */
    bool ran_since;
    uint32_t dropped;      /* by the running model, when this one ran first since then */
    uint32_t last_us;      /* its last inference */
    uint32_t out_of_time;  /* windows in a row that it left out */
    const int16_t *window; /* seen by the running model, not yet by this one; NULL: none */
    uint8_t active_class;
} shadow_t;

typedef struct {
    bool answered; /* SUCCESS: its golden vectors passed; else it must not go on, and does not */
    tf_result_t result;
    const char *detail; /* NULL or a literal */
} shadow_outcome_t;

void shadow_init(shadow_t *shadow, const sampler_t *sampler);

/* Begins a run behind the running model's arena. TF_RESULT_SUCCESS, or why it cannot run beside it. */
tf_result_t shadow_start(shadow_t *shadow, const tf_image_t *image, const char **detail);

void shadow_stop(shadow_t *shadow);

/* What the running model said of a window, which stays as it is until the sampler is asked again. */
void shadow_offer(shadow_t *shadow, const sampler_outcome_t *outcome);

shadow_outcome_t shadow_poll(shadow_t *shadow);

/* Milliseconds until shadow_poll has something to do; UINT32_MAX: not before another window. */
uint32_t shadow_wait_ms(const shadow_t *shadow);

/* Arena bytes that a challenger may have beside the model that runs now. */
uint32_t shadow_room_bytes(const shadow_t *shadow);

#endif
