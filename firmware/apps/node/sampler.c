#include "sampler.h"

#include <string.h>

#include "tinyfleet/node_port.h"

/* For the running model, and for one on trial: behind the other where both fit, else in its place. */
static uint8_t arena[SAMPLER_ARENA_BYTES] __attribute__((aligned(16)));

void sampler_init(sampler_t *sampler, const tf_source_t *source, uint64_t (*now_us)(void),
                  uint64_t (*energy_uj)(void)) {
    memset(sampler, 0, sizeof *sampler);
    sampler->source = source;
    sampler->now_us = now_us;
    sampler->energy_uj = energy_uj;
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
static bool fits_sensor(const tf_source_t *source, const tf_model_t *model) {
    if (source == NULL) return true;
    const tf_window_format_t *format = &source->format;
    bool fits = model->input_count == 1 && model->input.raw_multiplier != 0 &&
                model->input.rate_mhz == format->rate_mhz && model->input.samples == format->samples &&
                model->input.channels == format->channels &&
                model->input.values == (uint32_t)format->samples * format->channels &&
                same_text(model->sensor, format->sensor) && same_text(model->unit, format->unit);
    if (!fits) {
        tf_console(
            "model: wants %.*s in %.*s, %lu x %u at %lu mHz; the sensor is %.*s in %.*s, %u x %u at %lu",
            (int)model->sensor.length, model->sensor.text, (int)model->unit.length, model->unit.text,
            (unsigned long)model->input.samples, model->input.channels, (unsigned long)model->input.rate_mhz,
            (int)format->sensor.length, format->sensor.text, (int)format->unit.length, format->unit.text,
            format->samples, format->channels, (unsigned long)format->rate_mhz);
    }
    return fits;
}

uint8_t *sampler_arena(void) {
    return arena;
}

tf_result_t sampler_load(const sampler_t *sampler, tf_model_t *model, const tf_image_t *image) {
    tf_model_status_t status = tf_model_load(model, image->payload, image->payload_bytes);
    if (status != TF_MODEL_OK) {
        tf_console("model: refused (%d) at %lu", status, (unsigned long)model->where);
        return load_result(status);
    }
    if (model->arena_bytes > sizeof arena) return TF_RESULT_ARENA_TOO_SMALL;
    return fits_sensor(sampler->source, model) ? TF_RESULT_SUCCESS : TF_RESULT_INPUT_MISMATCH;
}

static void start_source(const sampler_t *sampler) {
    if (sampler->source != NULL) sampler->source->start(sampler->source->context, sampler->now_us());
}

tf_result_t sampler_run(sampler_t *sampler, const tf_image_t *image) {
    sampler->trying = false;
    sampler->running = false;
    if (image == NULL) return TF_RESULT_SUCCESS;
    tf_result_t result = sampler_load(sampler, &sampler->model, image);
    if (result != TF_RESULT_SUCCESS) return result;
    tf_telemetry_begin(&sampler->telemetry, image->image, sampler->model.output.values);
    sampler->running = true;
    sampler->fresh = true;
    start_source(sampler);
    return TF_RESULT_SUCCESS;
}

tf_result_t sampler_try(sampler_t *sampler, const tf_image_t *image, const tf_trial_t *limits) {
    sampler->trying = false;
    sampler_trial_t *trial = &sampler->trial;
    memset(trial, 0, sizeof *trial);
    tf_result_t result = sampler_load(sampler, &trial->model, image);
    if (result != TF_RESULT_SUCCESS) return result;
    trial->limits = *limits;
    const uint32_t taken = sampler->running ? sampler->model.arena_bytes : 0;
    trial->arena = trial->model.arena_bytes <= sizeof arena - taken ? arena + taken : arena;
    trial->fresh = true;
    /* What would end the node by its first inference shall end a trial. */
    bool untried = trial->model.vector_count == 0 && limits->inferences == 0;
    if (untried && sampler->source != NULL) trial->limits.inferences = 1;
    sampler->trying = true;
    if (!sampler->running) start_source(sampler);
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

static bool vectors_left(const sampler_t *sampler) {
    return sampler->trying && sampler->trial.vector < sampler->trial.model.vector_count;
}

/* Windows that are gone: what comes next follows nothing. */
static void miss(sampler_t *sampler, uint32_t windows) {
    if (!sampler->running || windows == 0) return;
    tf_telemetry_drop(&sampler->telemetry, windows);
    if (sampler->paused) sampler->telemetry.paused += windows;
}

/* The next window that is there, and what became of those before it. */
static bool take(sampler_t *sampler, tf_window_t *window) {
    if (!sampler->source->take(sampler->source->context, sampler->now_us(), window)) return false;
    miss(sampler, window->missed);
    if (window->broken) {
        sampler->fresh = sampler->trial.fresh = true;
        tf_telemetry_gap(&sampler->telemetry);
    }
    return true;
}

/* The golden vectors are through: what came meanwhile is missed, whoever runs from now on. */
static void end_pause(sampler_t *sampler) {
    tf_window_t window;
    if (sampler->source != NULL && sampler->running && take(sampler, &window)) {
        miss(sampler, 1);
        sampler->fresh = sampler->trial.fresh = true;
        tf_telemetry_gap(&sampler->telemetry);
    }
    sampler->paused = false;
}

/* One step of a golden vector. */
static void try_vector(sampler_t *sampler, sampler_outcome_t *outcome) {
    sampler_trial_t *trial = &sampler->trial;
    const tf_model_t *model = &trial->model;
    sampler->paused = true;
    if (one_arena(sampler)) sampler->fresh = true;
    if (!tf_model_begin_step(model, trial->arena, trial->vector, trial->step)) {
        end_trial(sampler, outcome, TF_RESULT_UPDATE_FAILED, "a golden vector cannot be read");
    } else if (tf_model_run(model, trial->arena, model->arena_bytes) != TF_MODEL_OK) {
        end_trial(sampler, outcome, TF_RESULT_GOLDEN_FAILED, "the model stopped on a golden vector");
    } else if (!tf_model_step_passes(model, trial->arena, trial->vector, trial->step)) {
        tf_console("trial: golden vector %lu differs at step %lu", (unsigned long)trial->vector,
                   (unsigned long)trial->step);
        end_trial(sampler, outcome, TF_RESULT_GOLDEN_FAILED, "a golden vector's output differs");
    } else if (++trial->step == model->vector_steps) {
        trial->step = 0;
        trial->vector++;
    }
    if (!vectors_left(sampler)) end_pause(sampler);
}

/* One inference on a window. False: the model stopped. */
static bool infer(const sampler_t *sampler, const tf_model_t *model, uint8_t *room, bool *fresh,
                  const int16_t *raw, uint32_t *latency_us) {
    if (*fresh) tf_model_reset(model, room);
    *fresh = false;
    tf_model_quantize(model, raw, tf_model_input(model, room));
    uint64_t start_us = sampler->now_us();
    bool done = tf_model_run(model, room, model->arena_bytes) == TF_MODEL_OK;
    *latency_us = (uint32_t)(sampler->now_us() - start_us);
    return done;
}

static void try_window(sampler_t *sampler, const int16_t *raw, sampler_outcome_t *outcome) {
    sampler_trial_t *trial = &sampler->trial;
    uint32_t latency_us;
    if (one_arena(sampler)) sampler->fresh = true;
    if (!infer(sampler, &trial->model, trial->arena, &trial->fresh, raw, &latency_us)) {
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

/* What the output says: the greatest class, how sure, and how far from the second. */
static tf_verdict_t verdict_of(sampler_t *sampler) {
    const tf_model_t *model = &sampler->model;
    const uint32_t count = sampler->telemetry.class_count;
    const uint32_t best = tf_model_greatest(model, arena, count);
    uint8_t second = 0;
    for (uint32_t i = 0; i < count; i++) {
        sampler->scores[i] = tf_model_score(model, tf_model_value(model, arena, i));
        if (i != best && sampler->scores[i] > second) second = sampler->scores[i];
    }
    const uint8_t score = tf_model_score(model, tf_model_value(model, arena, best));
    return (tf_verdict_t){
        .class_index = (uint8_t)best,
        .score = score,
        .has_margin = model->output.kind == TF_OUTPUT_CLASSES && count > 1,
        .margin = (uint8_t)(score - second),
    };
}

static void run_window(sampler_t *sampler, const int16_t *raw, sampler_outcome_t *outcome) {
    uint32_t latency_us;
    outcome->begins = sampler->fresh;
    if (sampler->trying && one_arena(sampler)) sampler->trial.fresh = true;
    const uint64_t before_uj = sampler->energy_uj != NULL ? sampler->energy_uj() : 0;
    if (!infer(sampler, &sampler->model, arena, &sampler->fresh, raw, &latency_us)) {
        tf_telemetry_drop(&sampler->telemetry, 1);
        tf_telemetry_gap(&sampler->telemetry);
        return;
    }
    if (sampler->energy_uj != NULL) {
        tf_telemetry_energy(&sampler->telemetry, sampler->energy_uj() - before_uj);
    }
    outcome->has_verdict = true;
    outcome->verdict = verdict_of(sampler);
    outcome->values = raw;
    tf_telemetry_add(&sampler->telemetry, outcome->verdict, latency_us);
}

static bool trial_ready_to_end(const sampler_t *sampler) {
    return sampler->trying && !vectors_left(sampler) &&
           (sampler->trial.live >= sampler->trial.limits.inferences || sampler->source == NULL);
}

static bool windows_wanted(const sampler_t *sampler) {
    return sampler->source != NULL && (sampler->running || sampler->trying);
}

sampler_outcome_t sampler_poll(sampler_t *sampler) {
    sampler_outcome_t outcome = {0};
    tf_window_t window;
    if (vectors_left(sampler)) {
        try_vector(sampler, &outcome);
    } else if (windows_wanted(sampler) && take(sampler, &window)) {
        if (sampler->running) run_window(sampler, window.values, &outcome);
        if (sampler->trying) try_window(sampler, window.values, &outcome);
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
    uint64_t due_us = sampler->source->due_us(sampler->source->context), now_us = sampler->now_us();
    if (due_us == TF_SOURCE_NEVER) return UINT32_MAX;
    return due_us <= now_us ? 0 : (uint32_t)((due_us - now_us + 999) / 1000);
}
