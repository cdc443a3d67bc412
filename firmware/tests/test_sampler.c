/* The node's sampler: windows and trials, on a clock made here and a model that gives back what it is given.
 */
#include "../apps/node/sampler.h"
#include "check.h"
#include "tinyfleet/node_port.h"

enum { SAMPLES = 4, WINDOWS = 3, VECTORS = 5, PLAN_BYTES = 1024 };

static uint64_t clock_us;
static uint32_t step_us; /* that pass at each look at the clock */
static int16_t windows[WINDOWS * SAMPLES];
static tf_replay_source_t replay;
static tf_source_t source;
static sampler_t sampler;
_Alignas(16) static uint8_t plan[PLAN_BYTES];

void tf_console(const char *format, ...) {
    (void)format;
}

static uint64_t now_us(void) {
    return clock_us += step_us;
}

static void put32(uint32_t at, uint32_t value) {
    for (uint32_t i = 0; i < 4; i++) plan[at + i] = (uint8_t)(value >> (8 * i));
}

static void put_section(uint32_t index, uint32_t kind, uint32_t at, uint32_t bytes, uint32_t count) {
    const uint32_t values[] = {kind, at, bytes, count};
    for (uint32_t i = 0; i < 4; i++) put32(32 + index * 16 + i * 4, values[i]);
}

/* One tensor, input and output at once, and no op (wire/ARTIFACT.md). */
static tf_image_t make_model(uint32_t vectors) {
    static const uint8_t metadata[] = {0xA9, 0, 0x61, 'm',     1, 0x61, '1', 2, 0x60, 3,   0x60,
                                       4,    0, 5,    SAMPLES, 6, 1,    7,   0, 8,    0x80};
    enum { METADATA = 160, TENSORS = 192, INPUTS = 224, OUTPUTS = 240, VECTORS_AT = 256 };
    memset(plan, 0, sizeof plan);
    uint32_t size = VECTORS_AT + vectors * 12;
    const uint32_t header[] = {0x31504654u, TF_RUNTIME_ABI, size, 16, vectors > 0 ? 7u : 6u};
    for (uint32_t i = 0; i < 5; i++) put32(i * 4, header[i]);
    put_section(0, 1, METADATA, sizeof metadata, 1);
    put_section(1, 2, TENSORS, 32, 1);
    put_section(2, 3, INPUTS, 0, 0);
    put_section(3, 4, INPUTS, 16, 1);
    put_section(4, 5, OUTPUTS, 16, 1);
    put_section(5, 6, VECTORS_AT, 0, 1);
    put_section(6, 7, VECTORS_AT, vectors * 12, vectors);
    memcpy(plan + METADATA, metadata, sizeof metadata);
    plan[TENSORS + 6] = 1; /* rank */
    put32(TENSORS + 8, SAMPLES);
    for (uint32_t i = 1; i < 6; i++) put32(TENSORS + 8 + i * 4, 1);
    put32(INPUTS + 8, 1u << 30); /* raw multiplier */
    for (uint32_t i = 0; i < vectors; i++) put32(VECTORS_AT + i * 12, 1);
    return (tf_image_t){.payload = plan, .payload_bytes = size};
}

static void put_tensor(uint32_t at, uint32_t offset, uint32_t values) {
    const uint32_t record[] = {offset, 1u << 16, values, 1, 1, 1, 1, 1};
    for (uint32_t i = 0; i < 8; i++) put32(at + i * 4, record[i]);
}

/* Counts its windows in a state of its own: an op that makes n out of n - 1. One vector of two steps. */
static tf_image_t make_counter(uint32_t arena_bytes) {
    enum { METADATA = 160, TENSORS = 192, OPS = 256, ENDS = 272, TABLE_AT = 304, VECTORS_AT = 560 };
    enum { STATE_AT = 592, END = 600 };
    (void)make_model(0);
    memset(plan + TENSORS, 0, sizeof plan - TENSORS);
    const uint32_t header[] = {0x31504654u, TF_RUNTIME_ABI, END, arena_bytes, 8};
    for (uint32_t i = 0; i < 5; i++) put32(i * 4, header[i]);
    put_section(1, 2, TENSORS, 64, 2);
    put_section(2, 3, OPS, 16, 1);
    put_section(3, 4, ENDS, 16, 1);
    put_section(4, 5, ENDS + 16, 16, 1);
    put_section(5, 6, TABLE_AT, 256, 1);
    put_section(6, 7, VECTORS_AT, 20, 1);
    put_section(7, 8, STATE_AT, 8, 1);
    put_tensor(TENSORS, 0, SAMPLES);
    put_tensor(TENSORS + 32, 16, 1);
    const uint32_t op[] = {220u | 16u << 16, 1u | 1u << 8, 1u | 1u << 16, 0};
    for (uint32_t i = 0; i < 4; i++) put32(OPS + i * 4, op[i]);
    put32(ENDS + 8, 1u << 30); /* raw multiplier */
    put32(ENDS + 16, 1);
    put32(ENDS + 24, 1u << 30);
    put32(ENDS + 28, 1); /* score = value */
    for (uint32_t i = 0; i < 255; i++) plan[TABLE_AT + i] = (uint8_t)(i + 1u - 128u);
    const uint32_t vector[] = {2, 0, 11, 0, 12};
    for (uint32_t i = 0; i < 5; i++) put32(VECTORS_AT + i * 4, vector[i]);
    put32(STATE_AT, 1u | 10u << 16);
    put32(STATE_AT + 4, 0xFFFFFFFFu);
    return (tf_image_t){.payload = plan, .payload_bytes = END};
}

static void record(const int16_t *values, uint32_t count, uint32_t period_us) {
    const tf_replay_t kept = {
        .sensor = {"", 0}, .unit = {"", 0}, .samples = SAMPLES, .channels = 1, .windows = count};
    tf_replay_source_init(&replay, &kept, values, period_us, &source);
}

static void begin(uint32_t period_us) {
    clock_us = 0;
    step_us = 10;
    record(windows, WINDOWS, period_us);
    sampler_init(&sampler, &source, now_us, NULL);
}

/* Polls as the main loop does, until the trial ends. */
static sampler_outcome_t run_trial(uint32_t polls) {
    for (uint32_t i = 0; i < polls; i++) {
        clock_us += (uint64_t)sampler_wait_ms(&sampler) * 1000u;
        sampler_outcome_t outcome = sampler_poll(&sampler);
        if (outcome.trial_ended) return outcome;
    }
    return (sampler_outcome_t){0};
}

static void a_model_without_vectors_is_run_before_it_is_trusted(void) {
    tf_image_t image = make_model(0);
    begin(20000);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    (void)sampler_poll(&sampler); /* the next window is 20 ms away */
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){0}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_SUCCESS);
    CHECK_EQUAL(sampler.trial.live, 1);
    /* Where no window ever comes, nothing of it ever runs. */
    begin(20000);
    sampler.source = NULL;
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){0}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_SUCCESS);
}

static void live_inferences_need_a_sensor(void) {
    tf_image_t image = make_model(VECTORS);
    begin(20000);
    sampler.source = NULL;
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){.inferences = 1}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_UPDATE_FAILED);
}

/* Live inference pauses for the vectors, however many windows that takes, and goes on after them. */
static void a_trial_ends_though_windows_are_late(void) {
    tf_image_t image = make_model(VECTORS);
    begin(1000);
    step_us = 3000; /* an inference takes longer than the time between two windows */
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){.inferences = 4}), TF_RESULT_SUCCESS);
    sampler_outcome_t outcome = run_trial(200);
    CHECK(outcome.trial_ended);
    CHECK_EQUAL(outcome.result, TF_RESULT_SUCCESS);
    CHECK_EQUAL(sampler.trial.vector, VECTORS);
    CHECK_EQUAL(sampler.trial.live, 4);
    CHECK(sampler.telemetry.inferences >= 4);
    CHECK(sampler.telemetry.paused > 0 && sampler.telemetry.dropped > sampler.telemetry.paused);
}

static void a_vector_that_differs_and_a_slow_window_end_it(void) {
    tf_image_t image = make_model(VECTORS);
    plan[256 + 3 * 12 + 8] ^= 1u; /* an output byte of the fourth */
    begin(20000);
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){0}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_GOLDEN_FAILED);
    CHECK_EQUAL(sampler.trial.vector, 3);
    image = make_model(VECTORS);
    begin(20000);
    step_us = 50;
    const tf_trial_t limits = {.inferences = 4, .has_latency_us = true, .latency_us = 49};
    CHECK_EQUAL(sampler_try(&sampler, &image, &limits), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_LATENCY_LIMIT);
}

static void another_window_does_not_fit(void) {
    tf_image_t image = make_model(0);
    begin(20000);
    source.format.samples = SAMPLES - 1;
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){0}), TF_RESULT_INPUT_MISMATCH);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_INPUT_MISMATCH);
    CHECK(!sampler.running && !sampler.trying);
}

/* The score of the next window. */
static uint8_t next_score(void) {
    for (uint32_t i = 0; i < 100; i++) {
        clock_us += (uint64_t)sampler_wait_ms(&sampler) * 1000u;
        sampler_outcome_t outcome = sampler_poll(&sampler);
        if (outcome.has_verdict) return outcome.verdict.score;
    }
    return 0;
}

static void a_stream_goes_on_until_it_has_a_gap(void) {
    tf_image_t image = make_counter(32);
    begin(20000);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    for (uint32_t i = 0; i < WINDOWS; i++) CHECK_EQUAL(next_score(), 11 + i);
    CHECK_EQUAL(next_score(), 11); /* the recording begins again */
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
    clock_us = replay.due_us + 19000; /* late, but the next is not whole yet */
    CHECK_EQUAL(next_score(), 12);
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
    clock_us = replay.due_us + 25000; /* too late for the one that was due */
    CHECK_EQUAL(next_score(), 11);
    CHECK_EQUAL(sampler.telemetry.dropped, 1);
}

static void a_trial_with_room_of_its_own_leaves_a_stream_alone(void) {
    tf_image_t image = make_counter(32);
    begin(20000);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    CHECK_EQUAL(next_score(), 11);
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){.inferences = 2}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(next_score(), 12);
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_SUCCESS);
    CHECK_EQUAL(sampler.trial.vector, 1);
    CHECK_EQUAL(sampler.trial.live, 2);
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
}

/* A window that does not follow the one before it is another class for another reason. */
static void a_switch_needs_two_windows_in_a_row(void) {
    tf_image_t image = make_model(0);
    begin(20000);
    memset(windows, 0, sizeof windows);
    windows[0] = windows[SAMPLES + 2] = windows[2 * SAMPLES + 2] = 100; /* classes 0, 2, 2 */
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    for (uint32_t i = 0; i < 4; i++) (void)next_score(); /* the last: the recording begins again */
    CHECK_EQUAL(sampler.telemetry.inferences, 4);
    CHECK_EQUAL(sampler.telemetry.classes[0], 2);
    CHECK_EQUAL(sampler.telemetry.switches, 1);
    memset(windows, 0, sizeof windows);
}

static uint64_t meter_uj;

static uint64_t energy_uj(void) {
    return meter_uj += 7;
}

static void energy_is_what_the_meter_says_of_inferences(void) {
    tf_image_t image = make_counter(32);
    begin(20000);
    sampler.energy_uj = energy_uj;
    meter_uj = 1000;
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    CHECK_EQUAL(next_score(), 11);
    CHECK_EQUAL(next_score(), 12);
    CHECK(sampler.telemetry.has_energy_uj);
    CHECK_EQUAL(sampler.telemetry.energy_uj, 14);
}

/* Vectors that take longer than a window cost the model beside them, whatever the trial's end. */
static void what_a_trial_costs_is_counted_though_it_fails(void) {
    tf_image_t image = make_model(VECTORS);
    begin(1000);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    CHECK(sampler_poll(&sampler).has_verdict);
    plan[256 + 4 * 12 + 8] ^= 1u; /* an output byte of the last */
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){0}), TF_RESULT_SUCCESS);
    clock_us += 10500;
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_GOLDEN_FAILED);
    CHECK_EQUAL(sampler.telemetry.paused, 10);
    CHECK_EQUAL(sampler.telemetry.dropped, 10);
    CHECK_EQUAL(next_score(), 0);
    CHECK_EQUAL(sampler.telemetry.inferences, 2);
    CHECK_EQUAL(sampler.telemetry.paused, 10);
}

static void a_trial_in_the_same_memory_begins_the_stream_anew(void) {
    tf_image_t image = make_counter(SAMPLER_ARENA_BYTES - 16);
    static int16_t many[1000 * SAMPLES];
    begin(20000);
    record(many, 1000, 20000);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
    CHECK_EQUAL(next_score(), 11);
    CHECK_EQUAL(next_score(), 12);
    CHECK_EQUAL(sampler_try(&sampler, &image, &(tf_trial_t){.inferences = 2}), TF_RESULT_SUCCESS);
    CHECK(!sampler_poll(&sampler).trial_ended); /* the vector's first step */
    clock_us = replay.due_us;
    CHECK(!sampler_poll(&sampler).has_verdict); /* a window in midst of it is lost */
    CHECK_EQUAL(sampler.telemetry.dropped, 1);
    CHECK_EQUAL(sampler.telemetry.paused, 1);
    CHECK_EQUAL(run_trial(100).result, TF_RESULT_SUCCESS);
    CHECK_EQUAL(next_score(), 11);
    CHECK_EQUAL(next_score(), 12);
}

int main(void) {
    RUN(a_stream_goes_on_until_it_has_a_gap);
    RUN(a_trial_with_room_of_its_own_leaves_a_stream_alone);
    RUN(a_switch_needs_two_windows_in_a_row);
    RUN(energy_is_what_the_meter_says_of_inferences);
    RUN(what_a_trial_costs_is_counted_though_it_fails);
    RUN(a_trial_in_the_same_memory_begins_the_stream_anew);
    RUN(a_model_without_vectors_is_run_before_it_is_trusted);
    RUN(live_inferences_need_a_sensor);
    RUN(a_trial_ends_though_windows_are_late);
    RUN(a_vector_that_differs_and_a_slow_window_end_it);
    RUN(another_window_does_not_fit);
    return 0;
}
