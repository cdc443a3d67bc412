/* Counters of one model since it was activated (SPEC section 3, tele). Cumulative and wrapping: a lost
 * message costs nothing. */
#ifndef TINYFLEET_TELEMETRY_H
#define TINYFLEET_TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/wire.h"

typedef struct {
    uint32_t epoch;
    uint32_t seq;
    uint8_t model[32];
    uint32_t inferences;
    uint32_t class_count;
    uint32_t classes[TF_TELE_CLASSES_MAX];
    uint32_t latency[TF_LATENCY_BUCKETS];
    uint64_t latency_sum_us;
    uint32_t confidence[TF_CONFIDENCE_BUCKETS];
    uint32_t dropped;
    bool has_margin;
    uint32_t margin[TF_MARGIN_BUCKETS];
    uint32_t switches;
    bool has_last; /* the window before is the one that came before */
    uint8_t last_class;
    uint32_t paused;
    uint32_t captured;
    uint32_t skipped;
    bool has_energy_uj;
    uint64_t energy_uj;
} tf_telemetry_t;

/* What one output says. */
typedef struct {
    uint8_t class_index; /* the first of the highest */
    uint8_t score;       /* its real value in 1/256 */
    bool has_margin;     /* there is a second class */
    uint8_t margin;      /* to the second, likewise */
} tf_verdict_t;

/* A new epoch: all counters zero. `class_count` is cut to TF_TELE_CLASSES_MAX. Zero the struct once at boot.
 */
void tf_telemetry_begin(tf_telemetry_t *telemetry, const uint8_t model[32], uint32_t class_count);
void tf_telemetry_add(tf_telemetry_t *telemetry, tf_verdict_t verdict, uint32_t latency_us);
/* Windows that came while an inference ran, or could not be read. */
void tf_telemetry_drop(tf_telemetry_t *telemetry, uint32_t windows);
/* The next window does not follow the last one: another class is no switch. */
void tf_telemetry_gap(tf_telemetry_t *telemetry);
/* What a meter measured during an inference. Without one: no such figure, not even zero. */
void tf_telemetry_energy(tf_telemetry_t *telemetry, uint64_t energy_uj);
/* A snapshot; optional measurements are left absent for the caller to add. `tele` points into `telemetry`. */
void tf_telemetry_snapshot(tf_telemetry_t *telemetry, uint32_t boot, uint64_t uptime_ms, tf_tele_t *tele);

#endif
