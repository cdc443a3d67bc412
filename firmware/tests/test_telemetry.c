#include "check.h"
#include "tinyfleet/telemetry.h"

static const uint8_t model[32] = {7};

static void counts_are_cumulative(void) {
    tf_telemetry_t telemetry = {0};
    tf_telemetry_begin(&telemetry, model, 4);
    for (uint32_t score = 0; score < 256; score++) {
        tf_telemetry_add(&telemetry,
                         (tf_verdict_t){.class_index = (uint8_t)(score % 5u), .score = (uint8_t)score}, 150);
    }
    tf_telemetry_drop(&telemetry, 3);
    tf_tele_t tele;
    tf_telemetry_snapshot(&telemetry, 9, 1234, &tele);
    CHECK_EQUAL(tele.boot, 9);
    CHECK_EQUAL(tele.epoch, 1);
    CHECK_EQUAL(tele.seq, 1);
    CHECK_EQUAL(tele.inferences, 256);
    CHECK_EQUAL(tele.latency[1], 256);
    CHECK_EQUAL(tele.latency_sum_us, 256 * 150);
    CHECK_EQUAL(tele.dropped, 3);
    uint32_t classes = 0, confidence = 0;
    for (uint32_t i = 0; i < tele.class_count; i++) classes += tele.classes[i];
    for (uint32_t i = 0; i < TF_CONFIDENCE_BUCKETS; i++) {
        confidence += tele.confidence[i];
        CHECK(tele.confidence[i] >= 25 && tele.confidence[i] <= 26);
    }
    /* A class beyond the model's is counted as an inference, but as no class. */
    CHECK_EQUAL(classes, 256 - 51);
    CHECK_EQUAL(confidence, 256);
    CHECK(memcmp(tele.model, model, sizeof model) == 0);
    CHECK(!tele.has_energy_uj && !tele.has_battery_mv);
}

static void an_epoch_begins_at_zero_but_seq_goes_on(void) {
    tf_telemetry_t telemetry = {0};
    tf_tele_t tele;
    tf_telemetry_begin(&telemetry, model, 1000);
    CHECK_EQUAL(telemetry.class_count, TF_TELE_CLASSES_MAX);
    tf_telemetry_add(&telemetry, (tf_verdict_t){0}, 1);
    tf_telemetry_snapshot(&telemetry, 1, 0, &tele);
    tf_telemetry_begin(&telemetry, model, 2);
    tf_telemetry_snapshot(&telemetry, 1, 0, &tele);
    CHECK_EQUAL(tele.epoch, 2);
    CHECK_EQUAL(tele.seq, 2);
    CHECK_EQUAL(tele.inferences, 0);
    CHECK_EQUAL(tele.latency_sum_us, 0);
}

static void counters_wrap(void) {
    tf_telemetry_t telemetry = {.inferences = UINT32_MAX};
    tf_telemetry_add(&telemetry, (tf_verdict_t){0}, 1);
    CHECK_EQUAL(telemetry.inferences, 0);
}

static void a_switch_is_between_windows_that_follow_each_other(void) {
    static const uint8_t classes[] = {2, 2, 0, 2, 2};
    tf_telemetry_t telemetry = {0};
    tf_tele_t tele;
    tf_telemetry_begin(&telemetry, model, 4);
    for (uint32_t i = 0; i < sizeof classes; i++) {
        tf_telemetry_add(&telemetry, (tf_verdict_t){.class_index = classes[i]}, 1);
    }
    CHECK_EQUAL(telemetry.switches, 2);
    tf_telemetry_gap(&telemetry);
    tf_telemetry_add(&telemetry, (tf_verdict_t){.class_index = 1}, 1);
    CHECK_EQUAL(telemetry.switches, 2);
    tf_telemetry_add(&telemetry, (tf_verdict_t){.class_index = 3}, 1);
    tf_telemetry_snapshot(&telemetry, 1, 0, &tele);
    CHECK_EQUAL(tele.switches, 3);
    CHECK(tele.has_live && !tele.has_margin && !tele.has_energy_uj);
    /* Another epoch follows nothing. */
    tf_telemetry_begin(&telemetry, model, 4);
    tf_telemetry_add(&telemetry, (tf_verdict_t){.class_index = 1}, 1);
    CHECK_EQUAL(telemetry.switches, 0);
}

static void margins_are_counted_in_tenths(void) {
    tf_telemetry_t telemetry = {0};
    tf_tele_t tele;
    tf_telemetry_begin(&telemetry, model, 4);
    for (uint32_t margin = 0; margin < 256; margin++) {
        tf_telemetry_add(&telemetry, (tf_verdict_t){.has_margin = true, .margin = (uint8_t)margin}, 1);
    }
    tf_telemetry_snapshot(&telemetry, 1, 0, &tele);
    CHECK(tele.has_margin);
    uint32_t all = 0;
    for (uint32_t i = 0; i < TF_MARGIN_BUCKETS; i++) {
        all += tele.margin[i];
        CHECK(tele.margin[i] >= 25 && tele.margin[i] <= 26);
    }
    CHECK_EQUAL(all, 256);
}

static void energy_is_there_only_when_it_was_measured(void) {
    tf_telemetry_t telemetry = {0};
    tf_tele_t tele;
    tf_telemetry_begin(&telemetry, model, 4);
    tf_telemetry_energy(&telemetry, 40);
    tf_telemetry_energy(&telemetry, UINT32_MAX);
    tf_telemetry_snapshot(&telemetry, 1, 0, &tele);
    CHECK(tele.has_energy_uj && tele.energy_uj == 40u + (uint64_t)UINT32_MAX);
    tf_telemetry_begin(&telemetry, model, 4);
    tf_telemetry_snapshot(&telemetry, 1, 0, &tele);
    CHECK(!tele.has_energy_uj);
}

int main(void) {
    RUN(counts_are_cumulative);
    RUN(an_epoch_begins_at_zero_but_seq_goes_on);
    RUN(counters_wrap);
    RUN(a_switch_is_between_windows_that_follow_each_other);
    RUN(margins_are_counted_in_tenths);
    RUN(energy_is_there_only_when_it_was_measured);
    return 0;
}
