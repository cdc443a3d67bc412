#include "tinyfleet/collector.h"

#include <string.h>

#include "tinyfleet/rule.h"

#define DAY_MS 86400000u
#define PARTS_MAX 255u

void tf_collector_set(tf_collector_t *collector, const tf_capture_t *wanted) {
    collector->limits = *wanted;
    if (wanted->per_day == 0) collector->pending = false;
}

static bool chosen(const tf_capture_t *limits, tf_verdict_t verdict) {
    if (limits->per_day == 0 || !tf_classes_have(&limits->classes, verdict.class_index)) return false;
    if (!limits->has_margin_below) return true;
    return verdict.has_margin && verdict.margin < limits->margin_below;
}

static bool within_budget(tf_collector_t *collector, uint32_t bytes, uint64_t now_ms) {
    if (!collector->day_open || now_ms - collector->day_ms >= DAY_MS) {
        collector->day_open = true;
        collector->day_ms = now_ms;
        collector->day_windows = collector->day_bytes = 0;
    }
    const tf_capture_t *limits = &collector->limits;
    /* Less may be allowed now than was used before. */
    return collector->day_windows < limits->per_day && collector->day_bytes <= limits->day_bytes &&
           bytes <= limits->day_bytes - collector->day_bytes;
}

tf_collector_verdict_t tf_collector_offer(tf_collector_t *collector, const tf_candidate_t *candidate,
                                          uint64_t now_ms) {
    if (!chosen(&collector->limits, candidate->verdict)) return TF_COLLECTOR_NOT_CHOSEN;
    const tf_window_format_t *format = &candidate->source->format;
    const uint64_t values = (uint64_t)format->samples * format->channels;
    const uint64_t bytes = values * sizeof(int16_t);
    const uint64_t most = candidate->source->stays ? (uint64_t)PARTS_MAX * TF_COLLECTOR_PART_BYTES
                                                   : (uint64_t)sizeof collector->copy;
    if (collector->pending || bytes > most || !within_budget(collector, (uint32_t)bytes, now_ms)) {
        return TF_COLLECTOR_SKIPPED;
    }
    collector->day_windows++;
    collector->day_bytes += (uint32_t)bytes;
    collector->window_bytes = (uint32_t)bytes;
    if (!candidate->source->stays) memcpy(collector->copy, candidate->values, (size_t)bytes);
    collector->window = (const uint8_t *)(candidate->source->stays ? candidate->values : collector->copy);
    const uint32_t scores =
        candidate->score_count < sizeof collector->scores ? candidate->score_count : sizeof collector->scores;
    if (scores > 0) memcpy(collector->scores, candidate->scores, scores);
    collector->sample = (tf_sample_t){
        .seq = ++collector->seq,
        .parts = (uint8_t)((bytes + TF_COLLECTOR_PART_BYTES - 1) / TF_COLLECTOR_PART_BYTES),
        .uptime_ms = now_ms,
        .class_index = candidate->verdict.class_index,
        .scores = {collector->scores, scores},
        .has_margin = candidate->verdict.has_margin,
        .margin = candidate->verdict.margin,
        .sensor = format->sensor,
        .unit = format->unit,
        .rate_mhz = format->rate_mhz,
        .samples = format->samples,
        .channels = format->channels,
    };
    memcpy(collector->sample.model, candidate->model, sizeof collector->sample.model);
    collector->pending = true;
    return TF_COLLECTOR_TAKEN;
}

bool tf_collector_next(const tf_collector_t *collector, tf_sample_t *sample) {
    if (!collector->pending) return false;
    *sample = collector->sample;
    sample->offset = (uint32_t)sample->part * TF_COLLECTOR_PART_BYTES;
    const uint32_t left = collector->window_bytes - sample->offset;
    sample->data = (tf_bytes_t){collector->window + sample->offset,
                                left < TF_COLLECTOR_PART_BYTES ? left : TF_COLLECTOR_PART_BYTES};
    return true;
}

bool tf_collector_sent(tf_collector_t *collector) {
    if (!collector->pending || ++collector->sample.part < collector->sample.parts) return false;
    collector->pending = false;
    return true;
}

void tf_collector_again(tf_collector_t *collector, uint32_t unacknowledged) {
    uint8_t *part = &collector->sample.part;
    *part = *part > unacknowledged ? (uint8_t)(*part - unacknowledged) : 0;
}
