/* Where a node's windows come from: a recording in flash, a serial line, one day a sensor. Each fills one
 * struct of functions; whoever runs the models sees nothing else of it. */
#ifndef TINYFLEET_SOURCE_H
#define TINYFLEET_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/console.h"
#include "tinyfleet/wire.h"

/* What a value means, and how many make a window. */
typedef struct {
    tf_text_t sensor;
    tf_text_t unit;
    uint32_t rate_mhz;
    uint16_t samples;
    uint16_t channels;
} tf_window_format_t;

typedef struct {
    const int16_t *values; /* [samples][channels] */
    uint32_t missed;       /* windows that came since the last one taken, and are gone */
    bool broken;           /* does not follow the last one: a stream begins anew */
} tf_window_t;

#define TF_SOURCE_NEVER UINT64_MAX

typedef struct {
    void *context;
    const char *name; /* what birth calls the sensor */
    tf_window_format_t format;
    bool stays; /* a window's memory never changes; else only until the next `take` */
    /* Windows count from now on. */
    void (*start)(void *context, uint64_t now_us);
    /* The oldest window that is there. False: none. Never waits. */
    bool (*take)(void *context, uint64_t now_us, tf_window_t *window);
    /* When to ask again; TF_SOURCE_NEVER: what brings a window wakes the main loop. */
    uint64_t (*due_us)(const void *context);
} tf_source_t;

/* Recorded windows, one each `period_us`, from the first again after the last. As from a sensor with two
 * buffers, one that is not taken before the next is whole is gone. */
typedef struct {
    const int16_t *windows;
    uint32_t values; /* a window */
    uint32_t count;
    uint32_t period_us;
    uint32_t next;
    uint64_t due_us;
    bool broken;
} tf_replay_source_t;

void tf_replay_source_init(tf_replay_source_t *replay, const tf_replay_t *record, const int16_t *windows,
                           uint32_t period_us, tf_source_t *source);

#define TF_LINE_CHUNK_BYTES 64u

/* Windows in frames on a serial line (SPEC section 9). Whatever comes, one window is put together at most. */
typedef struct {
    uint32_t (*read)(uint8_t *out, uint32_t capacity); /* bytes that are there, 0: none */
    tf_frame_reader_t reader;
    uint32_t values; /* a window */
    uint32_t fill;
    uint16_t number;
    bool open;     /* `number` is being put together */
    bool has_last; /* a window was whole */
    uint16_t last;
    bool more; /* the line may hold more than was read */
    uint32_t chunk_at, chunk_bytes;
    uint8_t chunk[TF_LINE_CHUNK_BYTES];
    uint8_t frame[TF_FRAME_BUFFER_BYTES];
    int16_t window[TF_LINE_WINDOW_VALUES_MAX];
} tf_line_source_t;

/* The record is one that tf_record_feed took. */
void tf_line_source_init(tf_line_source_t *line, const tf_feed_t *record,
                         uint32_t (*read)(uint8_t *out, uint32_t capacity), tf_source_t *source);

#endif
