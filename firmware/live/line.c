/* Windows in frames: 0x10 SAMPLES of SPEC section 9. The line is not trusted: a part is taken only where it
 * must stand, and a call reads a bounded number of bytes. */
#include <string.h>

#include "tinyfleet/source.h"

enum { HEAD_BYTES = 4, CHUNKS_A_TAKE = 64, HALF = 1u << 15 };

static uint16_t u16_at(const uint8_t *at) {
    return (uint16_t)(at[0] | (uint32_t)at[1] << 8);
}

/* True when the frame made the window whole. */
static bool take_part(tf_line_source_t *line, const tf_frame_t *frame) {
    if (frame->type != TF_FRAME_TYPE_SAMPLES || frame->length <= HEAD_BYTES) return false;
    const uint16_t number = u16_at(frame->body), offset = u16_at(frame->body + 2);
    const uint32_t bytes = frame->length - HEAD_BYTES, values = bytes / sizeof(int16_t);
    if (offset == 0) {
        line->open = true;
        line->number = number;
        line->fill = 0;
    }
    const bool fits = line->open && number == line->number && offset == line->fill &&
                      bytes % sizeof(int16_t) == 0 && values <= line->values - line->fill;
    if (!fits) {
        line->open = false;
        return false;
    }
    for (uint32_t i = 0; i < values; i++) {
        line->window[line->fill++] = (int16_t)u16_at(frame->body + HEAD_BYTES + i * sizeof(int16_t));
    }
    if (line->fill < line->values) return false;
    line->open = false;
    return true;
}

/* Whether a byte is there; false, too, when this call has read its share. */
static bool has_byte(tf_line_source_t *line, uint32_t *chunks) {
    if (line->chunk_at < line->chunk_bytes) return true;
    if (*chunks == 0) return false;
    (*chunks)--;
    line->chunk_at = 0;
    line->chunk_bytes = line->read(line->chunk, sizeof line->chunk);
    if (line->chunk_bytes == 0) line->more = false;
    return line->more;
}

/* The next byte of the line, or false: it has none for us now. */
static bool next_byte(tf_line_source_t *line, uint32_t *chunks, uint8_t *byte) {
    if (!has_byte(line, chunks)) return false;
    *byte = line->chunk[line->chunk_at++];
    return true;
}

/* What the number of a whole window says of those before it. */
static void follow(tf_line_source_t *line, tf_window_t *window) {
    const uint16_t passed = (uint16_t)(line->number - line->last - 1u);
    *window = (tf_window_t){.values = line->window, .broken = !line->has_last || passed > 0};
    /* One that goes back is a feeder that begins again: nothing is missing of it. */
    if (line->has_last && passed < HALF) window->missed = passed;
    line->has_last = true;
    line->last = line->number;
}

static bool take(void *context, uint64_t now_us, tf_window_t *window) {
    (void)now_us; /* the line's own pace */
    tf_line_source_t *line = context;
    uint32_t chunks = CHUNKS_A_TAKE;
    uint8_t byte;
    line->more = true;
    while (next_byte(line, &chunks, &byte)) {
        tf_frame_t frame;
        if (!tf_frame_reader_put(&line->reader, byte, &frame) || !take_part(line, &frame)) continue;
        follow(line, window);
        /* Time is free where nothing stands behind the window: who waits for that asks due_us. */
        (void)has_byte(line, &chunks);
        return true;
    }
    return false;
}

/* What stood on the line meanwhile is old. */
static void start(void *context, uint64_t now_us) {
    tf_line_source_t *line = context;
    tf_window_t window;
    for (uint32_t i = 0; i < CHUNKS_A_TAKE && take(line, now_us, &window); i++) {
    }
    line->has_last = false;
}

static uint64_t due_us(const void *context) {
    const tf_line_source_t *line = context;
    return line->more ? 0 : TF_SOURCE_NEVER;
}

void tf_line_source_init(tf_line_source_t *line, const tf_feed_t *record,
                         uint32_t (*read)(uint8_t *out, uint32_t capacity), tf_source_t *source) {
    memset(line, 0, sizeof *line);
    line->read = read;
    line->values = (uint32_t)record->samples * record->channels;
    tf_frame_reader_init(&line->reader, line->frame, sizeof line->frame);
    *source = (tf_source_t){
        .context = line,
        .name = "line",
        .format = {record->sensor, record->unit, record->rate_mhz, record->samples, record->channels},
        .start = start,
        .take = take,
        .due_us = due_us,
    };
}
