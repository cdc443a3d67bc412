#include "feed.h"

#include <stddef.h>

#define PERIOD_LEAST_US 1000u

/* A node has one of them. */
static union {
    tf_replay_source_t replay;
    tf_line_source_t line;
} feed;
static tf_source_t source;

/* Without a configured interval, as the sensor would deliver: one window after the other. */
static uint32_t period_us(const settings_t *settings) {
    const tf_replay_t *replay = &settings->replay;
    uint64_t us = (uint64_t)settings->config.window_ms * 1000u;
    bool configured = settings->config.has_window_ms && us > 0;
    if (!configured && replay->rate_mhz > 0) us = (uint64_t)replay->samples * 1000000000u / replay->rate_mhz;
    if (us < PERIOD_LEAST_US) return PERIOD_LEAST_US;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

const tf_source_t *feed_source(const settings_t *settings, const tf_node_port_t *port) {
    if (settings->has_replay) {
        tf_replay_source_init(&feed.replay, &settings->replay, settings->windows, period_us(settings),
                              &source);
        return &source;
    }
    if (!settings->has_feed) return NULL;
    if (port->line_read == NULL) {
        tf_console("feed record: this board has no sample line; no inferences");
        return NULL;
    }
    tf_line_source_init(&feed.line, &settings->feed, port->line_read, &source);
    return &source;
}
