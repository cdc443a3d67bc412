#include "sampler.h"

#include <string.h>

#include "tinyfleet/node_port.h"

#define PERIOD_LEAST_US 1000u

/* For the running model, and for one on trial: behind the other where both fit, else in its place. */
static uint8_t arena[SAMPLER_ARENA_BYTES] __attribute__((aligned(16)));

/* Without a configured interval, as the sensor would deliver: one window after the other. */
static uint32_t period_us(const settings_t *settings) {
    const tf_replay_t *replay = &settings->replay;
    uint64_t us = (uint64_t)settings->config.window_ms * 1000u;
    bool configured = settings->config.has_window_ms && us > 0;
    if (!configured && replay->rate_mhz > 0) us = (uint64_t)replay->samples * 1000000000u / replay->rate_mhz;
    if (us < PERIOD_LEAST_US) return PERIOD_LEAST_US;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void sampler_init(sampler_t *sampler, const settings_t *settings, uint64_t (*now_us)(void)) {
    memset(sampler, 0, sizeof *sampler);
    sampler->settings = settings;
    sampler->now_us = now_us;
    if (settings->has_replay) sampler->period_us = period_us(settings);
}

static tf_result_t load_result(tf_model_status_t status) {
    switch (status) {
        case TF_MODEL_OK:
            return TF_RESULT_SUCCESS;
        case TF_MODEL_ABI:
        case TF_MODEL_CORE:
            return TF_RESULT_UNSUPPORTED_TYPE;
        case TF_MODEL_OP:
            return TF_RESULT_OP_MISSING;
        case TF_MODEL_ARENA:
            return TF_RESULT_ARENA_TOO_SMALL;
        default:
            return TF_RESULT_UPDATE_FAILED;
    }
}

static bool same_text(tf_text_t left, tf_text_t right) {
    return left.length == right.length && memcmp(left.text, right.text, left.length) == 0;
}

/* Another sensor, unit, rate or window gives numbers that mean nothing to the model. */
static bool fits_sensor(const settings_t *settings, const tf_model_t *model) {
    const tf_replay_t *replay = &settings->replay;
    if (!settings->has_replay) return true;
    bool fits = model->input_count == 1 && model->input.raw_multiplier != 0 &&
                model->input.rate_mhz == replay->rate_mhz && model->input.samples == replay->samples &&
                model->input.channels == replay->channels &&
                model->input.values == (uint32_t)replay->samples * replay->channels &&
                same_text(model->sensor, replay->sensor) && same_text(model->unit, replay->unit);
    if (!fits) {
        tf_console(
            "model: wants %.*s in %.*s, %lu x %u at %lu mHz; the sensor is %.*s in %.*s, %u x %u at %lu",
            (int)model->sensor.length, model->sensor.text, (int)model->unit.length, model->unit.text,
            (unsigned long)model->input.samples, model->input.channels, (unsigned long)model->input.rate_mhz,
            (int)replay->sensor.length, replay->sensor.text, (int)replay->unit.length, replay->unit.text,
            replay->samples, replay->channels, (unsigned long)replay->rate_mhz);
    }
    return fits;
}

static tf_result_t load(const sampler_t *sampler, tf_model_t *model, const tf_image_t *image) {
    tf_model_status_t status = tf_model_load(model, image->payload, image->payload_bytes);
    if (status != TF_MODEL_OK) {
        tf_console("model: refused (%d) at %lu", status, (unsigned long)model->where);
        return load_result(status);
    }
    if (model->arena_bytes > sizeof arena) return TF_RESULT_ARENA_TOO_SMALL;
    return fits_sensor(sampler->settings, model) ? TF_RESULT_SUCCESS : TF_RESULT_INPUT_MISMATCH;
}

tf_result_t sampler_run(sampler_t *sampler, const tf_image_t *image) {
    sampler->trying = false;
    sampler->running = false;
    if (image == NULL) return TF_RESULT_SUCCESS;
    tf_result_t result = load(sampler, &sampler->model, image);
    if (result != TF_RESULT_SUCCESS) return result;
    tf_telemetry_begin(&sampler->telemetry, image->image, sampler->model.output.values);
    sampler->running = true;
    sampler->fresh = true;
    sampler->due_us = sampler->now_us();
    return TF_RESULT_SUCCESS;
}

tf_result_t sampler_try(sampler_t *sampler, const tf_image_t *image, const tf_trial_t *limits) {
    sampler->trying = false;
    sampler_trial_t *trial = &sampler->trial;
    memset(trial, 0, sizeof *trial);
    tf_result_t result = load(sampler, &trial->model, image);
    if (result != TF_RESULT_SUCCESS) return result;
    trial->limits = *limits;
    const uint32_t taken = sampler->running ? sampler->model.arena_bytes : 0;
    trial->arena = trial->model.arena_bytes <= sizeof arena - taken ? arena + taken : arena;
    trial->fresh = true;
    /* What would end the node by its first inference shall end a trial. */
    bool untried = trial->model.vector_count == 0 && limits->inferences == 0;
    if (untried && sampler->settings->has_replay) trial->limits.inferences = 1;
    sampler->trying = true;
    if (!sampler->running) sampler->due_us = sampler->now_us();
    return TF_RESULT_SUCCESS;
}

static void end_trial(sampler_t *sampler, sampler_outcome_t *outcome, tf_result_t result,
                      const char *detail) {
    sampler->trying = false;
    outcome->trial_ended = true;
    outcome->result = result;
    outcome->detail = detail;
}

/* Both models work in the same memory: what one remembers between two windows, the other overwrites. */
static bool one_arena(const sampler_t *sampler) {
    return sampler->trial.arena == arena;
}

/* One step of a golden vector. */
static void try_vector(sampler_t *sampler, sampler_outcome_t *outcome) {
    sampler_trial_t *trial = &sampler->trial;
    const tf_model_t *model = &trial->model;
    if (one_arena(sampler)) sampler->fresh = true;
    if (!tf_model_begin_step(model, trial->arena, trial->vector, trial->step)) {
        end_trial(sampler, outcome, TF_RESULT_UPDATE_FAILED, "a golden vector cannot be read");
        return;
    }
    if (tf_model_run(model, trial->arena, model->arena_bytes) != TF_MODEL_OK) {
        end_trial(sampler, outcome, TF_RESULT_GOLDEN_FAILED, "the model stopped on a golden vector");
    } else if (!tf_model_step_passes(model, trial->arena, trial->vector, trial->step)) {
        tf_console("trial: golden vector %lu differs at step %lu", (unsigned long)trial->vector,
                   (unsigned long)trial->step);
        end_trial(sampler, outcome, TF_RESULT_GOLDEN_FAILED, "a golden vector's output differs");
    } else if (++trial->step == model->vector_steps) {
        trial->step = 0;
        trial->vector++;
    }
}

/* One inference on the current window. False: the model stopped. */
static bool infer(const sampler_t *sampler, const tf_model_t *model, uint8_t *room, bool *fresh,
                  uint32_t *latency_us) {
    const int16_t *raw = sampler->settings->windows + (size_t)sampler->window * model->input.values;
    if (*fresh) tf_model_reset(model, room);
    *fresh = false;
    tf_model_quantize(model, raw, tf_model_input(model, room));
    uint64_t start_us = sampler->now_us();
    bool done = tf_model_run(model, room, model->arena_bytes) == TF_MODEL_OK;
    *latency_us = (uint32_t)(sampler->now_us() - start_us);
    return done;
}

static void try_window(sampler_t *sampler, sampler_outcome_t *outcome) {
    sampler_trial_t *trial = &sampler->trial;
    uint32_t latency_us;
    if (one_arena(sampler)) sampler->fresh = true;
    if (!infer(sampler, &trial->model, trial->arena, &trial->fresh, &latency_us)) {
        end_trial(sampler, outcome, TF_RESULT_UPDATE_FAILED, "the model stopped on a live window");
        return;
    }
    trial->live++;
    if (latency_us > trial->slowest_us) trial->slowest_us = latency_us;
    if (trial->limits.has_latency_us && latency_us > trial->limits.latency_us) {
        tf_console("trial: %lu us, limit %lu us", (unsigned long)latency_us,
                   (unsigned long)trial->limits.latency_us);
        end_trial(sampler, outcome, TF_RESULT_LATENCY_LIMIT, "a live inference took longer than the limit");
    }
}

static void run_window(sampler_t *sampler, sampler_outcome_t *outcome) {
    const tf_model_t *model = &sampler->model;
    uint32_t latency_us;
    if (sampler->trying && one_arena(sampler)) sampler->trial.fresh = true;
    if (!infer(sampler, model, arena, &sampler->fresh, &latency_us)) {
        tf_telemetry_drop(&sampler->telemetry, 1);
        return;
    }
    uint32_t best = tf_model_greatest(model, arena, sampler->telemetry.class_count);
    outcome->has_verdict = true;
    outcome->verdict.class_index = (uint8_t)best;
    outcome->verdict.score = tf_model_score(model, tf_model_value(model, arena, best));
    tf_telemetry_add(&sampler->telemetry, outcome->verdict, latency_us);
}

/* Windows keep their rhythm: those that passed while something else ran are lost, and counted. A stream with
 * a gap, or whose recording begins again, is a new one. */
static void advance(sampler_t *sampler) {
    uint64_t late_us = sampler->now_us() - sampler->due_us;
    uint32_t missed = (uint32_t)(late_us / sampler->period_us);
    if (sampler->running) tf_telemetry_drop(&sampler->telemetry, missed);
    sampler->due_us += (uint64_t)(missed + 1) * sampler->period_us;
    sampler->window = (sampler->window + missed + 1) % sampler->settings->replay.windows;
    if (missed > 0 || sampler->window == 0) sampler->fresh = sampler->trial.fresh = true;
}

static bool vectors_left(const sampler_t *sampler) {
    return sampler->trying && sampler->trial.vector < sampler->trial.model.vector_count;
}

/* A golden vector in midst of its steps lets nothing else into the memory it shares. */
static bool holds_arena(const sampler_t *sampler) {
    return vectors_left(sampler) && one_arena(sampler) && sampler->trial.step > 0;
}

static bool trial_ready_to_end(const sampler_t *sampler) {
    return sampler->trying && !vectors_left(sampler) &&
           (sampler->trial.live >= sampler->trial.limits.inferences || !sampler->settings->has_replay);
}

static bool windows_wanted(const sampler_t *sampler) {
    return sampler->settings->has_replay && (sampler->running || sampler->trying);
}

sampler_outcome_t sampler_poll(sampler_t *sampler) {
    sampler_outcome_t outcome = {0};
    bool window = windows_wanted(sampler) && sampler->now_us() >= sampler->due_us;
    if (vectors_left(sampler) && (sampler->vector_turn || !window)) {
        sampler->vector_turn = false;
        try_vector(sampler, &outcome);
    } else if (window) {
        sampler->vector_turn = true;
        if (sampler->running && holds_arena(sampler)) {
            tf_telemetry_drop(&sampler->telemetry, 1);
        } else if (sampler->running) {
            run_window(sampler, &outcome);
        }
        if (sampler->trying && !vectors_left(sampler)) try_window(sampler, &outcome);
        advance(sampler);
    }
    if (!trial_ready_to_end(sampler)) return outcome;
    if (sampler->trial.live < sampler->trial.limits.inferences) {
        end_trial(sampler, &outcome, TF_RESULT_UPDATE_FAILED, "no sensor to try the model on");
        return outcome;
    }
    tf_console("trial: %lu golden vectors, %lu windows, slowest %lu us", (unsigned long)sampler->trial.vector,
               (unsigned long)sampler->trial.live, (unsigned long)sampler->trial.slowest_us);
    end_trial(sampler, &outcome, TF_RESULT_SUCCESS, NULL);
    return outcome;
}

uint32_t sampler_wait_ms(const sampler_t *sampler) {
    if (vectors_left(sampler) || trial_ready_to_end(sampler)) return 0;
    if (!windows_wanted(sampler)) return UINT32_MAX;
    uint64_t now_us = sampler->now_us();
    return sampler->due_us <= now_us ? 0 : (uint32_t)((sampler->due_us - now_us + 999) / 1000);
}
