#include "shadow.h"

#include <string.h>

#include "tinyfleet/node_port.h"

/* So many windows in a row are no accident: the running model leaves it too little time. */
#define OUT_OF_TIME_MOST 64u

void shadow_init(shadow_t *shadow, const sampler_t *sampler) {
    memset(shadow, 0, sizeof *shadow);
    shadow->sampler = sampler;
}

static uint32_t taken_bytes(const sampler_t *sampler) {
    /* A multiple of 16, so what lies behind it is aligned. */
    return sampler->running ? sampler->model.arena_bytes : 0;
}

static bool same_text(tf_text_t left, tf_text_t right) {
    return left.length == right.length && memcmp(left.text, right.text, left.length) == 0;
}

static bool same_input(const tf_model_t *left, const tf_model_t *right) {
    return left->input.rate_mhz == right->input.rate_mhz && left->input.samples == right->input.samples &&
           left->input.channels == right->input.channels && left->input.values == right->input.values &&
           same_text(left->sensor, right->sensor) && same_text(left->unit, right->unit);
}

/* Agreement is of classes: both models have the same ones, in the same order. */
static bool same_classes(const tf_model_t *left, const tf_model_t *right) {
    bool classes = left->output.kind == TF_OUTPUT_CLASSES && right->output.kind == TF_OUTPUT_CLASSES;
    uint32_t count = tf_model_label_count(left);
    if (!classes || left->output.values < 2 || left->output.values != right->output.values) return false;
    if (tf_model_label_count(right) != count) return false;
    for (uint32_t i = 0; i < count; i++) {
        tf_text_t ours, theirs;
        if (!tf_model_label(left, i, &ours.text, &ours.length)) return false;
        if (!tf_model_label(right, i, &theirs.text, &theirs.length)) return false;
        if (!same_text(ours, theirs)) return false;
    }
    return true;
}

static tf_result_t fits_beside(const shadow_t *shadow, const char **detail) {
    const sampler_t *sampler = shadow->sampler;
    *detail = "no model runs that a challenger could be compared with";
    if (!sampler->running) return TF_RESULT_UPDATE_FAILED;
    *detail = "both arenas together are larger than the node's";
    if (shadow->model.arena_bytes > shadow_room_bytes(shadow)) return TF_RESULT_ARENA_TOO_SMALL;
    *detail = "the challenger takes another input than the model that runs";
    if (!same_input(&shadow->model, &sampler->model)) return TF_RESULT_INPUT_MISMATCH;
    *detail = "the challenger names other classes than the model that runs";
    if (!same_classes(&shadow->model, &sampler->model)) return TF_RESULT_UNSUPPORTED_TYPE;
    *detail = NULL;
    return TF_RESULT_SUCCESS;
}

tf_result_t shadow_start(shadow_t *shadow, const tf_image_t *image, const char **detail) {
    shadow_stop(shadow);
    *detail = "the challenger does not fit this node";
    tf_result_t result = sampler_load(shadow->sampler, &shadow->model, image);
    if (result != TF_RESULT_SUCCESS) return result;
    result = fits_beside(shadow, detail);
    if (result != TF_RESULT_SUCCESS) return result;
    shadow->arena = sampler_arena() + taken_bytes(shadow->sampler);
    shadow->version = image->version;
    shadow->security_counter = image->security_counter;
    shadow->vector = shadow->step = shadow->last_us = shadow->out_of_time = 0;
    shadow->passed = shadow->ran = shadow->ran_since = false;
    shadow->fresh = true;
    tf_comparison_begin(&shadow->counts, image->image);
    shadow->running = shadow->counting = true;
    return TF_RESULT_SUCCESS;
}

void shadow_stop(shadow_t *shadow) {
    shadow->running = shadow->counting = false;
    shadow->window = NULL;
}

static bool vectors_left(const shadow_t *shadow) {
    return shadow->vector < shadow->model.vector_count;
}

static bool has_windows(const shadow_t *shadow) {
    return shadow->sampler->source != NULL;
}

/* When the running model's next window comes; that of a line nobody knows. */
static uint64_t due_us(const shadow_t *shadow) {
    const tf_source_t *source = shadow->sampler->source;
    return source != NULL ? source->due_us(source->context) : TF_SOURCE_NEVER;
}

static void leave_out(shadow_t *shadow) {
    shadow->window = NULL;
    shadow->counts.skipped++;
    shadow->out_of_time++;
    shadow->fresh = true;
}

void shadow_offer(shadow_t *shadow, const sampler_outcome_t *outcome) {
    if (!shadow->running) return;
    /* It runs only in time that is free: what was missed since, it cost. */
    if (shadow->ran_since) shadow->counts.missed += shadow->sampler->telemetry.dropped - shadow->dropped;
    shadow->ran_since = false;
    if (vectors_left(shadow)) return;
    if (outcome->begins) shadow->fresh = true;
    shadow->window = outcome->values;
    shadow->active_class = outcome->verdict.class_index;
}

static shadow_outcome_t answer(shadow_t *shadow, tf_result_t result, const char *detail) {
    if (result == TF_RESULT_SUCCESS) shadow->passed = true;
    if (result != TF_RESULT_SUCCESS) shadow->running = false;
    return (shadow_outcome_t){true, result, detail};
}

/* One inference on what stands in the input. False: the model stopped. */
static bool infer(shadow_t *shadow) {
    const sampler_t *sampler = shadow->sampler;
    if (!shadow->ran_since) shadow->dropped = sampler->telemetry.dropped;
    shadow->ran = shadow->ran_since = true;
    uint64_t start_us = sampler->now_us();
    bool done = tf_model_run(&shadow->model, shadow->arena, shadow->model.arena_bytes) == TF_MODEL_OK;
    shadow->last_us = (uint32_t)(sampler->now_us() - start_us);
    return done;
}

/* Once it has shown what it can. Without a golden vector that takes a window, where there are any. */
static shadow_outcome_t judge(shadow_t *shadow) {
    if (shadow->passed || vectors_left(shadow)) return (shadow_outcome_t){0};
    if (!shadow->ran && has_windows(shadow)) return (shadow_outcome_t){0};
    tf_console("shadow: %lu golden vectors passed", (unsigned long)shadow->vector);
    return answer(shadow, TF_RESULT_SUCCESS, NULL);
}

/* One step of a golden vector. */
static shadow_outcome_t try_vector(shadow_t *shadow) {
    const tf_model_t *model = &shadow->model;
    if (!tf_model_begin_step(model, shadow->arena, shadow->vector, shadow->step)) {
        return answer(shadow, TF_RESULT_UPDATE_FAILED, "a golden vector cannot be read");
    }
    if (!infer(shadow)) return answer(shadow, TF_RESULT_GOLDEN_FAILED, "it stopped on a golden vector");
    if (!tf_model_step_passes(model, shadow->arena, shadow->vector, shadow->step)) {
        return answer(shadow, TF_RESULT_GOLDEN_FAILED, "a golden vector's output differs");
    }
    if (++shadow->step == model->vector_steps) {
        shadow->step = 0;
        shadow->vector++;
    }
    return judge(shadow);
}

static shadow_outcome_t compare(shadow_t *shadow) {
    const tf_model_t *model = &shadow->model;
    const int16_t *raw = shadow->window;
    shadow->window = NULL;
    shadow->out_of_time = 0;
    if (shadow->fresh) tf_model_reset(model, shadow->arena);
    shadow->fresh = false;
    tf_model_quantize(model, raw, tf_model_input(model, shadow->arena));
    if (!infer(shadow)) return answer(shadow, TF_RESULT_UPDATE_FAILED, "the challenger stopped on a window");
    uint32_t classes = shadow->sampler->telemetry.class_count;
    uint32_t best = tf_model_greatest(model, shadow->arena, classes);
    tf_comparison_add(&shadow->counts, shadow->active_class, (uint8_t)best);
    return judge(shadow);
}

shadow_outcome_t shadow_poll(shadow_t *shadow) {
    const sampler_t *sampler = shadow->sampler;
    if (!shadow->running) return (shadow_outcome_t){0};
    if (vectors_left(shadow)) {
        bool due = sampler->now_us() >= due_us(shadow);
        return due ? (shadow_outcome_t){0} : try_vector(shadow);
    }
    if (shadow->window == NULL) return judge(shadow);
    /* It will take as long as last time. */
    if (sampler->now_us() + shadow->last_us <= due_us(shadow)) return compare(shadow);
    leave_out(shadow);
    if (shadow->out_of_time < OUT_OF_TIME_MOST) return (shadow_outcome_t){0};
    return answer(shadow, TF_RESULT_LATENCY_LIMIT,
                  "the model that runs leaves it no time between two windows");
}

uint32_t shadow_wait_ms(const shadow_t *shadow) {
    if (!shadow->running) return UINT32_MAX;
    bool idle = !vectors_left(shadow) && (shadow->passed || has_windows(shadow));
    return idle ? UINT32_MAX : 0;
}

uint32_t shadow_room_bytes(const shadow_t *shadow) {
    return SAMPLER_ARENA_BYTES - taken_bytes(shadow->sampler);
}
