/* Which raw windows are sent up (SPEC section 3, capture): none unless asked for, few enough for the budget,
 * one at a time, in parts. */
#ifndef TINYFLEET_COLLECTOR_H
#define TINYFLEET_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/source.h"
#include "tinyfleet/telemetry.h"
#include "tinyfleet/wire.h"

#define TF_COLLECTOR_PART_BYTES 640u /* with all that stands beside it, in a message of 1 KiB */

typedef struct {
    tf_capture_t limits;
    bool day_open;
    uint64_t day_ms; /* since when the day's counts count */
    uint32_t day_windows;
    uint32_t day_bytes;
    uint32_t seq;
    /* The window that is on its way; its texts point to where the source has them. */
    bool pending;
    tf_sample_t sample;
    const uint8_t *window;
    uint32_t window_bytes;
    uint8_t scores[TF_SAMPLE_SCORES_MAX];
    int16_t copy[TF_LINE_WINDOW_VALUES_MAX]; /* of a window whose source uses its memory again */
} tf_collector_t;

/* One window and what the model said of it. */
typedef struct {
    const tf_source_t *source;
    const int16_t *values;
    const uint8_t *model; /* digest */
    tf_verdict_t verdict;
    const uint8_t *scores;
    uint32_t score_count;
} tf_candidate_t;

typedef enum {
    TF_COLLECTOR_NOT_CHOSEN = 0,
    TF_COLLECTOR_TAKEN = 1,
    TF_COLLECTOR_SKIPPED = 2, /* chosen, but the budget is spent, another is on its way or it is too large */
} tf_collector_verdict_t;

/* What was counted today stays counted. Without a budget nothing is kept, not even what is on its way. */
void tf_collector_set(tf_collector_t *collector, const tf_capture_t *wanted);
tf_collector_verdict_t tf_collector_offer(tf_collector_t *collector, const tf_candidate_t *candidate,
                                          uint64_t now_ms);
/* The next part to send, but for its boot; false: none. It points into the collector. */
bool tf_collector_next(const tf_collector_t *collector, tf_sample_t *sample);
/* It was sent. True: the window is through. */
bool tf_collector_sent(tf_collector_t *collector);
/* The link broke: the last so many parts that it had taken may be lost. Not from the first again, or a window
 * that needs more than one connection would never be through. */
void tf_collector_again(tf_collector_t *collector, uint32_t unacknowledged);

#endif
