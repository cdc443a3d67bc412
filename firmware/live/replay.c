#include <stddef.h>

#include "tinyfleet/source.h"

static void start(void *context, uint64_t now_us) {
    tf_replay_source_t *replay = context;
    replay->due_us = now_us;
    replay->broken = true;
}

static bool take(void *context, uint64_t now_us, tf_window_t *window) {
    tf_replay_source_t *replay = context;
    if (now_us < replay->due_us) return false;
    const uint32_t missed = (uint32_t)((now_us - replay->due_us) / replay->period_us);
    /* The sum may pass 32 bits where the count does not divide them. */
    const uint32_t at = (uint32_t)(((uint64_t)replay->next + missed) % replay->count);
    *window = (tf_window_t){
        .values = replay->windows + (size_t)at * replay->values,
        .missed = missed,
        /* A recording that begins again is another stream. */
        .broken = replay->broken || missed > 0 || at == 0,
    };
    replay->broken = false;
    replay->next = (at + 1) % replay->count;
    replay->due_us += ((uint64_t)missed + 1) * replay->period_us;
    return true;
}

static uint64_t due_us(const void *context) {
    return ((const tf_replay_source_t *)context)->due_us;
}

void tf_replay_source_init(tf_replay_source_t *replay, const tf_replay_t *record, const int16_t *windows,
                           uint32_t period_us, tf_source_t *source) {
    *replay = (tf_replay_source_t){
        .windows = windows,
        .values = (uint32_t)record->samples * record->channels,
        .count = record->windows,
        .period_us = period_us,
    };
    *source = (tf_source_t){
        .context = replay,
        .name = "replay",
        .format = {record->sensor, record->unit, record->rate_mhz, record->samples, record->channels},
        .stays = true,
        .start = start,
        .take = take,
        .due_us = due_us,
    };
}
