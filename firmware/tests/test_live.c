/* Sources, the event rule and what is sent up of a node's windows. */
#include "check.h"
#include "random.h"
#include "tinyfleet/collector.h"
#include "tinyfleet/rule.h"
#include "tinyfleet/source.h"

enum { SAMPLES = 4, VALUES = SAMPLES * 2 };

/* ---- the replay ---- */

static void a_recording_keeps_its_rhythm_and_counts_what_nobody_took(void) {
    static const int16_t windows[3 * VALUES];
    const tf_replay_t record = {.samples = SAMPLES, .channels = 2, .windows = 3};
    tf_replay_source_t replay;
    tf_source_t source;
    tf_window_t window;
    tf_replay_source_init(&replay, &record, windows, 100, &source);
    source.start(&replay, 1000);
    CHECK(source.stays && source.due_us(&replay) == 1000);
    CHECK(!source.take(&replay, 999, &window));
    CHECK(source.take(&replay, 1000, &window));
    CHECK(window.values == windows && window.broken && window.missed == 0);
    CHECK(source.take(&replay, 1199, &window)); /* as late as can be */
    CHECK(window.values == windows + VALUES && !window.broken && window.missed == 0);
    CHECK(source.take(&replay, 1200, &window));
    CHECK(window.values == windows + 2 * VALUES && !window.broken);
    CHECK(source.take(&replay, 1300, &window));
    CHECK(window.values == windows && window.broken && window.missed == 0); /* from the first again */
    CHECK(source.take(&replay, 1550, &window));                             /* the one of 1500 */
    CHECK(window.values == windows + 2 * VALUES && window.broken);
    CHECK_EQUAL(window.missed, 1); /* that of 1400 */
    CHECK_EQUAL(source.due_us(&replay), 1600);
    CHECK(source.take(&replay, 1850, &window));
    CHECK(window.values == windows + 2 * VALUES && window.missed == 2);
    source.start(&replay, 9000);
    CHECK(source.take(&replay, 9000, &window) && window.missed == 0 && window.broken);
}

/* ---- the line ---- */

static uint8_t wire[1u << 16];
static uint32_t wire_at, wire_bytes, wire_most;
static tf_line_source_t line;
static tf_source_t source;

static uint32_t line_read(uint8_t *out, uint32_t capacity) {
    uint32_t count = wire_bytes - wire_at;
    if (count > capacity) count = capacity;
    if (count > wire_most) count = wire_most;
    memcpy(out, wire + wire_at, count);
    wire_at += count;
    return count;
}

static void sink(const uint8_t *data, uint32_t length) {
    CHECK(length <= sizeof wire - wire_bytes);
    memcpy(wire + wire_bytes, data, length);
    wire_bytes += length;
}

static void put_part(uint32_t number, uint32_t offset, const int16_t *values, uint32_t count) {
    tf_frame_writer_t writer;
    const uint8_t head[] = {(uint8_t)number, (uint8_t)(number >> 8), (uint8_t)offset, (uint8_t)(offset >> 8)};
    tf_frame_begin(&writer, sink, TF_FRAME_TYPE_SAMPLES, (uint8_t)number);
    tf_frame_put(&writer, head, sizeof head);
    tf_frame_put(&writer, values, count * 2);
    tf_frame_end(&writer);
}

static int16_t *window_of(uint32_t number) {
    static int16_t values[VALUES];
    for (uint32_t i = 0; i < VALUES; i++) values[i] = (int16_t)(number * 100 + i);
    return values;
}

static void put_window(uint32_t number) {
    put_part(number, 0, window_of(number), 5);
    put_part(number, 5, window_of(number) + 5, VALUES - 5);
}

static void open_line(void) {
    const tf_feed_t record = {.samples = SAMPLES, .channels = 2};
    wire_at = wire_bytes = 0;
    wire_most = UINT32_MAX;
    tf_line_source_init(&line, &record, line_read, &source);
    source.start(&line, 0);
}

static void expect_window(uint32_t number, uint32_t missed, bool broken) {
    tf_window_t window;
    bool there = false;
    for (uint32_t i = 0; i < 100 && !there; i++) there = source.take(&line, 0, &window);
    CHECK(there);
    CHECK(memcmp(window.values, window_of(number), VALUES * 2) == 0);
    CHECK_EQUAL(window.missed, missed);
    CHECK_EQUAL(window.broken, broken);
}

static void expect_none(void) {
    tf_window_t window;
    CHECK(!source.take(&line, 0, &window));
    CHECK(source.due_us(&line) == TF_SOURCE_NEVER);
}

static void windows_come_over_the_line(void) {
    open_line();
    expect_none();
    put_window(7);
    put_window(8);
    sink((const uint8_t *)"noise\r\n", 7);
    put_window(9);
    expect_window(7, 0, true);
    CHECK_EQUAL(source.due_us(&line), 0); /* there is more */
    expect_window(8, 0, false);
    expect_window(9, 0, false);
    expect_none();
    wire_most = 1; /* whatever the pieces */
    put_window(10);
    expect_window(10, 0, false);
}

static void windows_that_were_lost_on_the_line_are_counted(void) {
    open_line();
    put_window(65533);
    expect_window(65533, 0, true);
    put_window(2); /* 65534, 65535, 0 and 1 never came */
    expect_window(2, 4, true);
    put_window(3);
    const uint32_t inside = wire_bytes - 4;
    put_window(4);
    wire[inside] ^= 1u;
    expect_window(4, 1, true);
    put_window(1); /* the feeder began again */
    expect_window(1, 0, true);
    source.start(&line, 0);
    put_window(9);
    expect_window(9, 0, true);
}

static void parts_that_do_not_fit_are_no_window(void) {
    open_line();
    put_window(1);
    expect_window(1, 0, true);
    put_part(2, 4, window_of(2), 4); /* no beginning */
    put_part(3, 0, window_of(3), 4);
    put_part(3, 5, window_of(3) + 4, 4); /* a gap */
    put_part(4, 0, window_of(4), 4);
    put_part(5, 4, window_of(5) + 4, 4); /* of another window */
    put_part(6, 0, window_of(6), VALUES);
    expect_window(6, 4, true);
    static int16_t long_window[VALUES + 1];
    put_part(7, 0, long_window, VALUES + 1);
    tf_frame_writer_t writer;
    tf_frame_begin(&writer, sink, TF_FRAME_TYPE_SAMPLES, 0);
    tf_frame_put(&writer, "\x08\0\0\0odd", 7);
    tf_frame_end(&writer);
    tf_frame_begin(&writer, sink, TF_FRAME_TYPE_SAMPLES, 0);
    tf_frame_put(&writer, "\x08\0\0\0", 4);
    tf_frame_end(&writer);
    tf_frame_begin(&writer, sink, TF_FRAME_TYPE_INFER, 0);
    tf_frame_put(&writer, window_of(8), VALUES * 2);
    tf_frame_end(&writer);
    expect_none();
    put_window(9);
    expect_window(9, 2, true);
}

static void noise_is_no_window_and_costs_bounded_time(void) {
    uint32_t random = 5;
    for (uint32_t round = 0; round < 200; round++) {
        open_line();
        const uint32_t size = random_next(&random) % 4000u;
        for (uint32_t i = 0; i < size; i++) {
            const uint32_t value = random_next(&random);
            const uint8_t byte = value % 5u == 0 ? 0 : (uint8_t)(value >> 8);
            sink(&byte, 1);
        }
        tf_window_t window;
        for (uint32_t i = 0; i < 10; i++) CHECK(!source.take(&line, 0, &window));
        put_window(1);
        expect_window(1, 0, true);
    }
    /* A line that never ends does not hold the main loop. */
    open_line();
    memset(wire, 'x', sizeof wire);
    wire_bytes = sizeof wire;
    tf_window_t window;
    CHECK(!source.take(&line, 0, &window));
    CHECK(wire_at <= 64 * TF_LINE_CHUNK_BYTES && source.due_us(&line) == 0);
}

/* ---- the rule ---- */

static tf_rule_t rule;

static void use(tf_event_rule_t wanted) {
    memset(&rule, 0, sizeof rule);
    tf_rule_set(&rule, &wanted);
}

/* Whether an event is told after a window of this class, at this time. */
static bool sees(uint32_t class_index, uint32_t score, uint64_t now_ms) {
    tf_rule_add(&rule, (tf_verdict_t){.class_index = (uint8_t)class_index, .score = (uint8_t)score});
    if (!tf_rule_due(&rule, now_ms)) return false;
    CHECK_EQUAL(rule.score, score);
    CHECK_EQUAL(rule.on, class_index);
    tf_rule_told(&rule, now_ms);
    return true;
}

static void by_default_a_change_of_class_is_told_after_a_pause(void) {
    use(tf_rule_default);
    CHECK(sees(2, 0, 0));
    CHECK(!sees(2, 255, 5000));
    CHECK(!sees(3, 255, 9999)); /* too early */
    CHECK(sees(3, 255, 10000));
    CHECK(!sees(1, 255, 12000));
    CHECK(!sees(3, 255, 30000)); /* what was told is so again */
    CHECK(sees(1, 9, 30001));
}

static void n_of_m_windows_must_agree(void) {
    use((tf_event_rule_t){.windows = 4, .hits = 3});
    CHECK(!sees(1, 200, 0));
    CHECK(!sees(2, 200, 0));
    CHECK(!sees(1, 200, 0));
    CHECK(sees(1, 200, 0));  /* 1 2 1 1 */
    CHECK(!sees(2, 200, 0)); /* 2 1 1 2 */
    CHECK(!sees(1, 200, 0));
    CHECK(!sees(2, 200, 0)); /* 1 2 1 2: still on */
    CHECK(!sees(1, 200, 0));
    CHECK(!sees(1, 200, 0)); /* three again, told already */
    CHECK(!sees(0, 200, 0) && !sees(3, 200, 0) && !sees(4, 200, 0) && !sees(5, 200, 0)); /* gone */
    CHECK(!sees(1, 200, 0) && !sees(1, 200, 0));
    CHECK(sees(1, 200, 0));
}

static void windows_in_a_row(void) {
    use((tf_event_rule_t){.windows = 3, .hits = 200});
    CHECK_EQUAL(rule.rule.hits, 3);
    CHECK(!sees(1, 1, 0) && !sees(1, 1, 0) && !sees(2, 1, 0) && !sees(1, 1, 0) && !sees(1, 1, 0));
    CHECK(sees(1, 1, 0));
}

static void only_some_classes_and_only_sure_ones(void) {
    const tf_event_rule_t wanted = {
        .classes = {2, {3, 5}}, .min_score = 128, .windows = 1, .hits = 1, .hold_off_s = 1};
    use(wanted);
    CHECK(!sees(1, 255, 0));
    CHECK(!sees(3, 127, 0));
    CHECK(sees(3, 128, 0));
    CHECK(!sees(3, 255, 5000)); /* on still */
    CHECK(!sees(1, 255, 6000)); /* off */
    CHECK(sees(3, 200, 7000));
    CHECK(!sees(5, 200, 7999)); /* too early */
    CHECK(!sees(1, 200, 8000)); /* over, never told */
    CHECK(sees(5, 200, 9000));
    /* The same rule again keeps what was seen; another model or rule does not. */
    tf_rule_set(&rule, &wanted);
    CHECK(!sees(5, 200, 20000));
    tf_rule_forget(&rule);
    CHECK(sees(5, 200, 30000));
    tf_event_rule_t other = wanted;
    other.classes.index[1] = 6;
    tf_rule_set(&rule, &other);
    CHECK(!sees(5, 200, 40000));
    CHECK(sees(3, 200, 50000));
}

/* ---- the collector ---- */

static tf_collector_t collector;
static const uint8_t model[32] = {9};
static int16_t held[TF_LINE_WINDOW_VALUES_MAX];

static tf_collector_verdict_t offer(const tf_source_t *from, tf_verdict_t verdict, uint64_t now_ms) {
    static const uint8_t scores[3] = {1, 2, 3};
    const tf_candidate_t candidate = {.source = from,
                                      .values = held,
                                      .model = model,
                                      .verdict = verdict,
                                      .scores = scores,
                                      .score_count = sizeof scores};
    return tf_collector_offer(&collector, &candidate, now_ms);
}

static tf_source_t format_of(uint16_t samples, uint16_t channels, bool stays) {
    return (tf_source_t){.format = {{"s", 1}, {"u", 1}, 1000, samples, channels}, .stays = stays};
}

/* Sends what is pending; the parts put together must be the window. */
static void send_all(uint32_t seq, const int16_t *expected, uint32_t values) {
    tf_sample_t sample;
    uint32_t bytes = 0, parts = 0;
    bool through = false;
    while (tf_collector_next(&collector, &sample)) {
        CHECK(!through);
        CHECK_EQUAL(sample.seq, seq);
        CHECK_EQUAL(sample.part, parts);
        CHECK_EQUAL(sample.offset, bytes);
        CHECK(sample.data.length > 0 && sample.data.length <= TF_COLLECTOR_PART_BYTES);
        CHECK(memcmp(sample.data.data, (const uint8_t *)expected + bytes, sample.data.length) == 0);
        uint8_t out[1024];
        sample.boot = UINT32_MAX;
        CHECK(tf_encode_sample(&sample, out, sizeof out) > 0);
        bytes += sample.data.length;
        parts++;
        through = tf_collector_sent(&collector);
        CHECK_EQUAL(through, parts == sample.parts);
    }
    CHECK(through && bytes == values * 2);
}

static void nothing_is_kept_unless_it_was_asked_for(void) {
    const tf_source_t from = format_of(10, 1, true);
    memset(&collector, 0, sizeof collector);
    CHECK_EQUAL(offer(&from, (tf_verdict_t){.class_index = 1}, 0), TF_COLLECTOR_NOT_CHOSEN);
    tf_sample_t sample;
    CHECK(!tf_collector_next(&collector, &sample) && !tf_collector_sent(&collector));
}

static void classes_and_margin_choose(void) {
    const tf_source_t from = format_of(10, 1, true);
    memset(&collector, 0, sizeof collector);
    tf_collector_set(&collector, &(tf_capture_t){.classes = {1, {3}},
                                                 .has_margin_below = true,
                                                 .margin_below = 20,
                                                 .per_day = 9,
                                                 .day_bytes = 1000});
    tf_verdict_t verdict = {.class_index = 3, .has_margin = true, .margin = 20};
    CHECK_EQUAL(offer(&from, verdict, 0), TF_COLLECTOR_NOT_CHOSEN);
    verdict.margin = 19;
    verdict.has_margin = false; /* a model without a second class has no margin that could be small */
    CHECK_EQUAL(offer(&from, verdict, 0), TF_COLLECTOR_NOT_CHOSEN);
    verdict.has_margin = true;
    verdict.class_index = 2;
    CHECK_EQUAL(offer(&from, verdict, 0), TF_COLLECTOR_NOT_CHOSEN);
    verdict.class_index = 3;
    CHECK_EQUAL(offer(&from, verdict, 0), TF_COLLECTOR_TAKEN);
    CHECK_EQUAL(offer(&from, verdict, 0), TF_COLLECTOR_SKIPPED); /* one at a time */
    send_all(1, held, 10);
    CHECK_EQUAL(offer(&from, verdict, 0), TF_COLLECTOR_TAKEN);
    send_all(2, held, 10);
}

static void the_budget_of_a_day_holds(void) {
    const tf_source_t from = format_of(10, 1, true);
    const uint64_t day_ms = 86400000;
    const tf_verdict_t verdict = {0};
    memset(&collector, 0, sizeof collector);
    tf_collector_set(&collector, &(tf_capture_t){.per_day = 2, .day_bytes = 1000});
    for (uint32_t day = 0; day < 2; day++) {
        const uint64_t now_ms = 5000 + day * day_ms;
        for (uint32_t i = 0; i < 2; i++) {
            CHECK_EQUAL(offer(&from, verdict, now_ms + i), TF_COLLECTOR_TAKEN);
            send_all(day * 2 + i + 1, held, 10);
        }
        CHECK_EQUAL(offer(&from, verdict, now_ms + 9), TF_COLLECTOR_SKIPPED);
        CHECK_EQUAL(offer(&from, verdict, now_ms + day_ms - 1), TF_COLLECTOR_SKIPPED);
    }
    /* Bytes: 20 a window. What is set anew does not begin another day. */
    tf_collector_set(&collector, &(tf_capture_t){.per_day = 99, .day_bytes = 79});
    const uint64_t now_ms = 5000 + day_ms + 10;
    CHECK_EQUAL(offer(&from, verdict, now_ms), TF_COLLECTOR_TAKEN);
    send_all(5, held, 10);
    CHECK_EQUAL(offer(&from, verdict, now_ms), TF_COLLECTOR_SKIPPED);
    tf_collector_set(&collector, &(tf_capture_t){.per_day = 99, .day_bytes = 10});
    CHECK_EQUAL(offer(&from, verdict, now_ms), TF_COLLECTOR_SKIPPED);
    /* Off: what waits to be sent is not sent. */
    tf_collector_set(&collector, &(tf_capture_t){.per_day = 99, .day_bytes = 99999});
    CHECK_EQUAL(offer(&from, verdict, now_ms), TF_COLLECTOR_TAKEN);
    tf_collector_set(&collector, &(tf_capture_t){0});
    tf_sample_t sample;
    CHECK(!tf_collector_next(&collector, &sample));
}

static void a_window_of_many_parts_is_copied_where_its_memory_is_used_again(void) {
    const tf_source_t from = format_of(1024, 2, false);
    static int16_t before[2048];
    memset(&collector, 0, sizeof collector);
    tf_collector_set(&collector, &(tf_capture_t){.per_day = 5, .day_bytes = 100000});
    for (uint32_t i = 0; i < 2048; i++) before[i] = held[i] = (int16_t)(i * 31);
    CHECK_EQUAL(offer(&from, (tf_verdict_t){0}, 0), TF_COLLECTOR_TAKEN);
    memset(held, 0, sizeof held);
    tf_sample_t sample;
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(tf_collector_next(&collector, &sample));
        CHECK_EQUAL(sample.parts, 7);
        CHECK(!tf_collector_sent(&collector));
    }
    tf_collector_again(&collector, 8); /* the link broke */
    for (uint32_t i = 0; i < 5; i++) CHECK(!tf_collector_sent(&collector));
    /* Only those that nobody acknowledged: wakes too short for all of it bring it up between them. */
    tf_collector_again(&collector, 3);
    CHECK(tf_collector_next(&collector, &sample));
    CHECK_EQUAL(sample.part, 2);
    tf_collector_again(&collector, 8);
    send_all(1, before, 2048);
    /* One that has no room anywhere is left out. */
    const tf_source_t large = format_of(2049, 1, false);
    CHECK_EQUAL(offer(&large, (tf_verdict_t){0}, 0), TF_COLLECTOR_SKIPPED);
    const tf_source_t huge = format_of(UINT16_MAX, UINT16_MAX, true);
    CHECK_EQUAL(offer(&huge, (tf_verdict_t){0}, 0), TF_COLLECTOR_SKIPPED);
}

int main(void) {
    RUN(a_recording_keeps_its_rhythm_and_counts_what_nobody_took);
    RUN(windows_come_over_the_line);
    RUN(windows_that_were_lost_on_the_line_are_counted);
    RUN(parts_that_do_not_fit_are_no_window);
    RUN(noise_is_no_window_and_costs_bounded_time);
    RUN(by_default_a_change_of_class_is_told_after_a_pause);
    RUN(n_of_m_windows_must_agree);
    RUN(windows_in_a_row);
    RUN(only_some_classes_and_only_sure_ones);
    RUN(nothing_is_kept_unless_it_was_asked_for);
    RUN(classes_and_margin_choose);
    RUN(the_budget_of_a_day_holds);
    RUN(a_window_of_many_parts_is_copied_where_its_memory_is_used_again);
    return 0;
}
