#include "tinyfleet/telemetry.h"

#include <string.h>

void tf_telemetry_begin(tf_telemetry_t *telemetry, const uint8_t model[32], uint32_t class_count) {
    uint32_t epoch = telemetry->epoch + 1u;
    /* The manager orders messages of one boot by `seq`, so it goes on over epochs. */
    uint32_t seq = telemetry->seq;
    *telemetry = (tf_telemetry_t){.epoch = epoch, .seq = seq};
    telemetry->class_count = class_count < TF_TELE_CLASSES_MAX ? class_count : TF_TELE_CLASSES_MAX;
    memcpy(telemetry->model, model, sizeof telemetry->model);
}

void tf_telemetry_add(tf_telemetry_t *telemetry, tf_verdict_t verdict, uint32_t latency_us) {
    telemetry->inferences++;
    if (verdict.class_index < telemetry->class_count) telemetry->classes[verdict.class_index]++;
    telemetry->latency[tf_latency_bucket(latency_us)]++;
    telemetry->latency_sum_us += latency_us;
    /* A score is in 1/256, so it never reaches 1.0 and the last tenth needs no special case. */
    telemetry->confidence[(uint32_t)verdict.score * TF_CONFIDENCE_BUCKETS / 256u]++;
    telemetry->has_margin |= verdict.has_margin;
    if (verdict.has_margin) telemetry->margin[(uint32_t)verdict.margin * TF_MARGIN_BUCKETS / 256u]++;
    if (telemetry->has_last && verdict.class_index != telemetry->last_class) telemetry->switches++;
    telemetry->has_last = true;
    telemetry->last_class = verdict.class_index;
}

void tf_telemetry_drop(tf_telemetry_t *telemetry, uint32_t windows) {
    telemetry->dropped += windows;
}

void tf_telemetry_gap(tf_telemetry_t *telemetry) {
    telemetry->has_last = false;
}

void tf_telemetry_energy(tf_telemetry_t *telemetry, uint64_t energy_uj) {
    telemetry->has_energy_uj = true;
    telemetry->energy_uj += energy_uj;
}

void tf_telemetry_snapshot(tf_telemetry_t *telemetry, uint32_t boot, uint64_t uptime_ms, tf_tele_t *tele) {
    telemetry->seq++;
    *tele = (tf_tele_t){
        .boot = boot,
        .epoch = telemetry->epoch,
        .seq = telemetry->seq,
        .uptime_ms = uptime_ms,
        .inferences = telemetry->inferences,
        .class_count = telemetry->class_count,
        .classes = telemetry->classes,
        .latency_sum_us = telemetry->latency_sum_us,
        .dropped = telemetry->dropped,
        .has_energy_uj = telemetry->has_energy_uj,
        .energy_uj = telemetry->energy_uj,
        .has_margin = telemetry->has_margin,
        .has_live = true,
        .switches = telemetry->switches,
        .paused = telemetry->paused,
        .captured = telemetry->captured,
        .skipped = telemetry->skipped,
    };
    memcpy(tele->margin, telemetry->margin, sizeof tele->margin);
    memcpy(tele->model, telemetry->model, sizeof tele->model);
    memcpy(tele->latency, telemetry->latency, sizeof tele->latency);
    memcpy(tele->confidence, telemetry->confidence, sizeof tele->confidence);
}
