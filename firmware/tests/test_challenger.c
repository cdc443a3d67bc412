/* A challenger beside the running model, on a clock made here and models whose class is known: one that gives
 * back its input, one that turns it round, and one that counts its windows. */
#include "../apps/node/shadow.h"
#include "check.h"
#include "tinyfleet/node_port.h"

enum { SAMPLES = 4, WINDOWS = 3, PLAN_BYTES = 1024, PERIOD_US = 20000 };

typedef enum { SAME = 0, TURNED = 1, COUNTS = 2 } what_t;

typedef struct {
    what_t what;
    uint32_t arena_bytes; /* 0: what it needs */
    uint32_t vectors;
    bool wrong; /* its last vector */
    uint32_t rate_mhz;
    uint32_t output_kind;
    const char *label; /* of the first class */
} recipe_t;

static uint64_t clock_us;
static uint32_t step_us; /* that pass at each look at the clock */
static uint32_t active_us, challenger_us;
static uint32_t stall_us, looks; /* what the challenger's inferences take besides */
/* The greatest value of window w stands at w. */
static int16_t windows[WINDOWS * SAMPLES];
static tf_replay_source_t replay;
static tf_source_t source;
static sampler_t sampler;
static shadow_t shadow;
static const char *detail;
_Alignas(16) static uint8_t plans[2][PLAN_BYTES];

void tf_console(const char *format, ...) {
    (void)format;
}

static uint64_t now_us(void) {
    /* The first look is before it, the second at its beginning, the third at its end. */
    if (stall_us > 0 && ++looks == 3) clock_us += stall_us;
    return clock_us += step_us;
}

static void put32(uint8_t *plan, uint32_t at, uint32_t value) {
    for (uint32_t i = 0; i < 4; i++) plan[at + i] = (uint8_t)(value >> (8 * i));
}

/* Behind those that are there; they are counted in the header. */
static void put_section(uint8_t *plan, uint32_t kind, uint32_t at, uint32_t bytes, uint32_t count) {
    const uint32_t values[] = {kind, at, bytes, count};
    for (uint32_t i = 0; i < 4; i++) put32(plan, 32u + plan[16] * 16u + i * 4, values[i]);
    plan[16]++;
}

static void put_tensor(uint8_t *plan, uint32_t at, uint32_t offset) {
    const uint32_t record[] = {offset, 1u << 16, SAMPLES, 1, 1, 1, 1, 1};
    for (uint32_t i = 0; i < 8; i++) put32(plan, at + i * 4, record[i]);
}

static uint32_t put_metadata(uint8_t *at, const recipe_t *recipe) {
    static const char *const labels[SAMPLES] = {"a", "b", "c", "d"};
    tf_writer_t writer;
    tf_writer_init(&writer, at, 96);
    tf_write_map(&writer, 9);
    for (uint32_t key = 0; key < 4; key++) {
        tf_write_uint(&writer, key);
        tf_write_text(&writer, "1", key < 2 ? 1 : 0);
    }
    const uint32_t numbers[] = {recipe->rate_mhz, SAMPLES, 1, recipe->output_kind};
    for (uint32_t i = 0; i < 4; i++) {
        tf_write_uint(&writer, 4 + i);
        tf_write_uint(&writer, numbers[i]);
    }
    tf_write_uint(&writer, 8);
    tf_write_array(&writer, SAMPLES);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const char *label = i == 0 && recipe->label != NULL ? recipe->label : labels[i];
        tf_write_text(&writer, label, (uint32_t)strlen(label));
    }
    return tf_writer_end(&writer);
}

/* wire/ARTIFACT.md. Tensor 0 is the input; the output is that, or tensor 1, made by a TABLE. */
static tf_image_t make(uint8_t *plan, recipe_t recipe) {
    enum { METADATA = 160, TENSORS = 256, OPS = 320, INPUTS = 336, OUTPUTS = 352, CONSTANTS = 368 };
    enum { INITIAL = 256, VECTORS = 640, STATE = 800, VECTOR_BYTES = 12 };
    static const uint8_t outputs[3][SAMPLES] = {{1, 2, 3, 4}, {0xFE, 0xFD, 0xFC, 0xFB}, {0, 3, 2, 1}};
    const bool counts = recipe.what == COUNTS, table = recipe.what != SAME;
    memset(plan, 0, PLAN_BYTES);
    const uint32_t size = STATE + (counts ? 8 : 0);
    const uint32_t arena_bytes = recipe.arena_bytes > 0 ? recipe.arena_bytes : 32;
    const uint32_t header[] = {0x31504654u, TF_RUNTIME_ABI, size, arena_bytes};
    for (uint32_t i = 0; i < 4; i++) put32(plan, i * 4, header[i]);
    put_section(plan, 1, METADATA, put_metadata(plan + METADATA, &recipe), 1);
    put_section(plan, 2, TENSORS, 64, 2);
    put_section(plan, 3, OPS, table ? 16 : 0, table ? 1 : 0);
    put_section(plan, 4, INPUTS, 16, 1);
    put_section(plan, 5, OUTPUTS, 16, 1);
    put_section(plan, 6, CONSTANTS, 260, 1);
    if (recipe.vectors > 0) put_section(plan, 7, VECTORS, recipe.vectors * VECTOR_BYTES, recipe.vectors);
    if (counts) put_section(plan, 8, STATE, 8, 1);
    put_tensor(plan, TENSORS, 0);
    put_tensor(plan, TENSORS + 32, 16);
    /* Tensor 0, or in place, into tensor 1. */
    const uint32_t op[] = {220u | 16u << 16, 1u | 1u << 8, (counts ? 1u : 0u) | 1u << 16, 0};
    for (uint32_t i = 0; i < 4 && table; i++) put32(plan, OPS + i * 4, op[i]);
    put32(plan, INPUTS + 8, 1u << 30); /* half the raw value */
    put32(plan, OUTPUTS, table ? 1 : 0);
    put32(plan, OUTPUTS + 8, 1u << 30);
    put32(plan, OUTPUTS + 12, 1);
    for (uint32_t i = 0; i < 256; i++) {
        /* -1 - value; of a counter 0 to 3 in turn, so that the greatest stands one further each time. */
        plan[CONSTANTS + i] = counts ? (uint8_t)((i - 128u + 1u) & 3u) : (uint8_t)(127u - i);
    }
    for (uint32_t i = 0; i < SAMPLES; i++) plan[CONSTANTS + INITIAL + i] = (uint8_t)(3u - i);
    for (uint32_t i = 0; i < recipe.vectors; i++) {
        uint8_t *vector = plan + VECTORS + i * VECTOR_BYTES;
        vector[0] = 1;
        for (uint32_t k = 0; k < SAMPLES; k++) vector[4 + k] = (uint8_t)(k + 1u);
        memcpy(vector + 8, outputs[recipe.what], SAMPLES);
        if (recipe.wrong && i + 1u == recipe.vectors) vector[8] ^= 1u;
    }
    put32(plan, STATE, 1);
    put32(plan, STATE + 4, INITIAL);
    return (tf_image_t){.payload = plan, .payload_bytes = size};
}

static void begin(recipe_t active) {
    const tf_replay_t record = {.sensor = {"", 0},
                                .unit = {"", 0},
                                .rate_mhz = active.rate_mhz,
                                .samples = SAMPLES,
                                .channels = 1,
                                .windows = WINDOWS};
    for (uint32_t w = 0; w < WINDOWS; w++) {
        for (uint32_t i = 0; i < SAMPLES; i++) windows[w * SAMPLES + i] = i == w ? 40 : (int16_t)(2 * i);
    }
    clock_us = 0;
    active_us = challenger_us = 10;
    stall_us = 0;
    step_us = active_us;
    tf_replay_source_init(&replay, &record, windows, PERIOD_US, &source);
    sampler_init(&sampler, &source, now_us, NULL);
    shadow_init(&shadow, &sampler);
    tf_image_t image = make(plans[0], active);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
}

static tf_result_t challenge(recipe_t challenger) {
    tf_image_t image = make(plans[1], challenger);
    return shadow_start(&shadow, &image, &detail);
}

/* ---- windows over a line ---- */

static uint8_t wire[512];
static uint32_t wire_at, wire_bytes;
static tf_line_source_t line;

static uint32_t line_read(uint8_t *out, uint32_t capacity) {
    uint32_t count = wire_bytes - wire_at < capacity ? wire_bytes - wire_at : capacity;
    memcpy(out, wire + wire_at, count);
    wire_at += count;
    return count;
}

static void line_put(const uint8_t *data, uint32_t length) {
    CHECK(length <= sizeof wire - wire_bytes);
    memcpy(wire + wire_bytes, data, length);
    wire_bytes += length;
}

/* Behind what was read of the line. */
static void send_window(uint32_t number) {
    const uint8_t head[] = {(uint8_t)number, (uint8_t)(number >> 8), 0, 0};
    tf_frame_writer_t writer;
    if (wire_at == wire_bytes) wire_at = wire_bytes = 0;
    tf_frame_begin(&writer, line_put, TF_FRAME_TYPE_SAMPLES, 0);
    tf_frame_put(&writer, head, sizeof head);
    tf_frame_put(&writer, windows, SAMPLES * sizeof *windows);
    tf_frame_end(&writer);
}

static void begin_line(recipe_t active) {
    begin(active);
    const tf_feed_t record = {.sensor = {"", 0}, .unit = {"", 0}, .samples = SAMPLES, .channels = 1};
    wire_at = wire_bytes = 0;
    tf_line_source_init(&line, &record, line_read, &source);
    tf_image_t image = make(plans[0], active);
    CHECK_EQUAL(sampler_run(&sampler, &image), TF_RESULT_SUCCESS);
}

/* A turn of the main loop. */
static shadow_outcome_t turn(void) {
    step_us = active_us;
    uint32_t wait_ms = sampler_wait_ms(&sampler), shadow_ms = shadow_wait_ms(&shadow);
    if (shadow_ms < wait_ms) wait_ms = shadow_ms;
    if (wait_ms != UINT32_MAX) clock_us += (uint64_t)wait_ms * 1000u;
    sampler_outcome_t outcome = sampler_poll(&sampler);
    if (outcome.has_verdict) shadow_offer(&shadow, &outcome);
    step_us = challenger_us;
    looks = 0;
    shadow_outcome_t answer = shadow_poll(&shadow);
    looks = 3;
    return answer;
}

/* Until it answers. */
static shadow_outcome_t run(uint32_t turns) {
    for (uint32_t i = 0; i < turns; i++) {
        shadow_outcome_t outcome = turn();
        if (outcome.answered) return outcome;
    }
    return (shadow_outcome_t){0};
}

static uint32_t pair_windows(uint8_t active, uint8_t challenger) {
    for (uint32_t i = 0; i < shadow.counts.pair_count; i++) {
        const tf_class_pair_t *pair = &shadow.counts.pairs[i];
        if (pair->active == active && pair->challenger == challenger) return pair->windows;
    }
    return 0;
}

static void expect_sum(void) {
    uint32_t sum = shadow.counts.agreements + shadow.counts.rest;
    for (uint32_t i = 0; i < shadow.counts.pair_count; i++) sum += shadow.counts.pairs[i].windows;
    CHECK_EQUAL(shadow.counts.windows, sum);
}

static void both_see_the_same_windows(void) {
    begin((recipe_t){.what = SAME});
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .vectors = 2}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
    while (shadow.counts.windows < 30) CHECK(!turn().answered);
    CHECK_EQUAL(shadow.counts.agreements, 30);
    CHECK_EQUAL(shadow.counts.pair_count, 0);
    CHECK_EQUAL(shadow.counts.skipped, 0);
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
    /* Another run counts from 0. */
    CHECK_EQUAL(challenge((recipe_t){.what = TURNED, .vectors = 2}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(shadow.counts.run, 2);
    while (shadow.counts.windows < 30) (void)turn();
    /* Turned round, the least comes first: the first of the others, or the second where that is the greatest.
     */
    CHECK_EQUAL(shadow.counts.agreements, 0);
    CHECK_EQUAL(pair_windows(0, 1), 10);
    CHECK_EQUAL(pair_windows(1, 0), 10);
    CHECK_EQUAL(pair_windows(2, 0), 10);
    expect_sum();
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
}

static void golden_vectors_come_first(void) {
    begin((recipe_t){.what = SAME});
    CHECK_EQUAL(challenge((recipe_t){.what = COUNTS, .vectors = 5}), TF_RESULT_SUCCESS);
    for (uint32_t i = 0; i < 4; i++) {
        while (shadow.vector == i) CHECK(!turn().answered);
        CHECK_EQUAL(shadow.counts.windows, 0);
    }
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
    CHECK_EQUAL(shadow.vector, 5);
    CHECK(sampler.telemetry.inferences > 0);
    /* A reset lies between them and the first window. */
    while (shadow.counts.windows < 1) (void)turn();
    CHECK_EQUAL(pair_windows(0, 1) + pair_windows(2, 1) + shadow.counts.agreements, 1);
}

static void one_that_differs_ends_it(void) {
    begin((recipe_t){.what = SAME});
    CHECK_EQUAL(challenge((recipe_t){.what = TURNED, .vectors = 3, .wrong = true}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_GOLDEN_FAILED);
    CHECK_EQUAL(shadow.vector, 2);
    uint32_t inferences = sampler.telemetry.inferences;
    for (uint32_t i = 0; i < 6; i++) CHECK(!turn().answered);
    CHECK(sampler.telemetry.inferences > inferences);
    CHECK_EQUAL(shadow.counts.windows, 0);
}

static void without_vectors_a_window_must_pass(void) {
    begin((recipe_t){.what = SAME});
    CHECK_EQUAL(challenge((recipe_t){.what = SAME}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
    CHECK_EQUAL(shadow.counts.windows, 1);
    /* Where no window ever comes, there is nothing to wait for. */
    begin((recipe_t){.what = SAME});
    sampler.source = NULL;
    CHECK_EQUAL(challenge((recipe_t){.what = SAME}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(1).result, TF_RESULT_SUCCESS);
    CHECK_EQUAL(shadow_wait_ms(&shadow), UINT32_MAX);
}

static void both_arenas_must_fit(void) {
    const uint32_t room = SAMPLER_ARENA_BYTES - 4096;
    begin((recipe_t){.what = SAME, .arena_bytes = 4096});
    CHECK_EQUAL(shadow_room_bytes(&shadow), room);
    CHECK_EQUAL(challenge((recipe_t){.what = COUNTS, .arena_bytes = room + 16}), TF_RESULT_ARENA_TOO_SMALL);
    CHECK(!shadow.running);
    CHECK_EQUAL(challenge((recipe_t){.what = COUNTS, .arena_bytes = room, .vectors = 1}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
}

static void it_must_be_comparable(void) {
    begin((recipe_t){.what = SAME});
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .rate_mhz = 1000}), TF_RESULT_INPUT_MISMATCH);
    /* Without a sensor, too: it is compared with the other model. */
    sampler.source = NULL;
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .rate_mhz = 1000}), TF_RESULT_INPUT_MISMATCH);
    CHECK_EQUAL(strcmp(detail, "the challenger takes another input than the model that runs"), 0);
    sampler.source = &source;
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .label = "z"}), TF_RESULT_UNSUPPORTED_TYPE);
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .output_kind = 2}), TF_RESULT_UNSUPPORTED_TYPE);
    CHECK(!shadow.running && !shadow.counting);
    CHECK_EQUAL(sampler_run(&sampler, NULL), TF_RESULT_SUCCESS);
    CHECK_EQUAL(challenge((recipe_t){.what = SAME}), TF_RESULT_UPDATE_FAILED);
}

/* The active model's windows come first. */
static void a_slow_challenger_skips_windows_and_costs_none(void) {
    begin((recipe_t){.what = SAME});
    challenger_us = 6000; /* three looks at the clock: each window leaves it just time enough */
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .vectors = 1}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
    while (shadow.counts.windows < 9) (void)turn();
    CHECK_EQUAL(shadow.counts.skipped, 0);
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
    /* The active model leaves less of it. */
    active_us = 2500;
    uint32_t inferences = sampler.telemetry.inferences, windows_before = shadow.counts.windows;
    for (uint32_t i = 0; i < 40; i++) (void)turn();
    CHECK(sampler.telemetry.inferences > inferences + 10);
    CHECK(shadow.counts.skipped > 10);
    CHECK(shadow.counts.windows <= windows_before + 1u);
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
    CHECK_EQUAL(shadow.counts.missed, 0);
}

static void windows_that_it_costs_are_counted(void) {
    begin((recipe_t){.what = SAME});
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .vectors = 1}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
    while (shadow.counts.windows < 1) (void)turn();
    /* Once it takes far longer than last time, which nobody could foresee. */
    stall_us = 3 * PERIOD_US;
    for (uint32_t i = 0; i < 20 && shadow.counts.missed == 0; i++) (void)turn();
    stall_us = 0;
    uint32_t missed = shadow.counts.missed;
    CHECK(missed >= 2);
    for (uint32_t i = 0; i < 4; i++) (void)turn();
    CHECK_EQUAL(sampler.telemetry.dropped, missed);
}

static void one_that_finds_no_time_is_ended(void) {
    begin((recipe_t){.what = SAME});
    stall_us = PERIOD_US + 1;
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .vectors = 3}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(100).result, TF_RESULT_SUCCESS);
    CHECK(shadow.counts.missed == 0);
    uint32_t dropped = sampler.telemetry.dropped;
    CHECK_EQUAL(run(1000).result, TF_RESULT_LATENCY_LIMIT);
    CHECK_EQUAL(shadow.counts.windows, 0);
    CHECK_EQUAL(shadow.counts.skipped, 64);
    CHECK_EQUAL(sampler.telemetry.dropped, dropped);
}

/* Nobody knows when a line brings the next one: between two there is time while nothing stands on it. */
static void windows_of_a_line_are_seen_by_both(void) {
    begin_line((recipe_t){.what = SAME});
    (void)turn();
    CHECK_EQUAL(challenge((recipe_t){.what = SAME, .vectors = 1}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
    for (uint32_t i = 0; i < 100; i++) {
        send_window(i);
        for (uint32_t k = 0; k < 3; k++) CHECK(!turn().answered);
    }
    CHECK_EQUAL(shadow.counts.windows, 100);
    CHECK_EQUAL(shadow.counts.skipped, 0);
    /* The next one stands there already: it is the running model's turn. */
    send_window(100);
    send_window(101);
    for (uint32_t k = 0; k < 4; k++) CHECK(!turn().answered);
    CHECK_EQUAL(shadow.counts.skipped, 1);
    CHECK_EQUAL(shadow.counts.windows, 101);
    CHECK_EQUAL(sampler.telemetry.inferences, 102);
    CHECK_EQUAL(sampler.telemetry.dropped, 0);
}

/* Its stream begins where the active one's does, and behind a window that it left out. */
static void streams_begin_together(void) {
    begin((recipe_t){.what = SAME});
    CHECK_EQUAL(challenge((recipe_t){.what = COUNTS, .vectors = 1}), TF_RESULT_SUCCESS);
    CHECK_EQUAL(run(20).result, TF_RESULT_SUCCESS);
    while (replay.next != 0) (void)turn();
    CHECK_EQUAL(challenge((recipe_t){.what = COUNTS}), TF_RESULT_SUCCESS);
    for (uint32_t i = 0; i < 40 && shadow.counts.windows < 9; i++) (void)turn();
    CHECK_EQUAL(pair_windows(0, 1), 3);
    CHECK_EQUAL(pair_windows(1, 2), 3);
    CHECK_EQUAL(pair_windows(2, 3), 3);
    expect_sum();
    /* A window is left out: the next is the first of its stream. */
    shadow.last_us = PERIOD_US;
    while (shadow.counts.skipped == 0) (void)turn();
    shadow.last_us = 10;
    while (shadow.counts.windows < 10) (void)turn();
    CHECK_EQUAL(pair_windows(1, 1) + pair_windows(1, 2) - 3 + shadow.counts.agreements, 1);
    CHECK_EQUAL(pair_windows(1, 2), 3);
}

static void pairs_are_bounded(void) {
    tf_comparison_t counts = {0};
    static const uint8_t digest[32] = {1};
    tf_comparison_begin(&counts, digest);
    CHECK_EQUAL(counts.run, 1);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint8_t i = 0; i < TF_COMPARISON_PAIRS_MAX + 3u; i++) tf_comparison_add(&counts, i, 63);
        tf_comparison_add(&counts, 5, 5);
    }
    CHECK_EQUAL(counts.pair_count, TF_COMPARISON_PAIRS_MAX);
    CHECK_EQUAL(counts.rest, 6);
    CHECK_EQUAL(counts.agreements, 2);
    CHECK_EQUAL(counts.windows, 2u * (TF_COMPARISON_PAIRS_MAX + 4u));
    for (uint32_t i = 0; i < counts.pair_count; i++) CHECK_EQUAL(counts.pairs[i].windows, 2);
    tf_comparison_begin(&counts, digest);
    CHECK_EQUAL(counts.run, 2);
    CHECK_EQUAL(counts.windows + counts.rest + counts.pair_count, 0);
}

int main(void) {
    RUN(both_see_the_same_windows);
    RUN(golden_vectors_come_first);
    RUN(one_that_differs_ends_it);
    RUN(without_vectors_a_window_must_pass);
    RUN(both_arenas_must_fit);
    RUN(it_must_be_comparable);
    RUN(a_slow_challenger_skips_windows_and_costs_none);
    RUN(windows_that_it_costs_are_counted);
    RUN(one_that_finds_no_time_is_ended);
    RUN(windows_of_a_line_are_seen_by_both);
    RUN(streams_begin_together);
    RUN(pairs_are_bounded);
    return 0;
}
