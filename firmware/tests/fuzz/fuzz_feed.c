/* The sample line of a node: frames that are whole, with anything in them, and noise between. The first byte
 * is how many values make a window, the second how many bytes a read brings; then what comes: an odd byte
 * begins a part (number, offset, values), an even one noise. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/source.h"

static unsigned long windows, takes;

static uint8_t wire[1u << 16];
static uint32_t wire_at, wire_bytes, piece;

static void sink(const uint8_t *data, uint32_t length) {
    if (length > sizeof wire - wire_bytes) return;
    memcpy(wire + wire_bytes, data, length);
    wire_bytes += length;
}

static uint32_t line_read(uint8_t *out, uint32_t capacity) {
    uint32_t count = wire_bytes - wire_at;
    if (count > capacity) count = capacity;
    if (count > piece) count = piece;
    memcpy(out, wire + wire_at, count);
    wire_at += count;
    return count;
}

static uint32_t next(const uint8_t **data, size_t *size) {
    if (*size == 0) return 0;
    (*size)--;
    return *(*data)++;
}

static void put_part(const uint8_t **data, size_t *size) {
    const uint32_t number = next(data, size), offset = next(data, size), bytes = next(data, size);
    /* Numbers and offsets near their ends, too. */
    const uint8_t head[] = {(uint8_t)number, (uint8_t)(0u - (number & 1u)), (uint8_t)offset, 0};
    tf_frame_writer_t writer;
    tf_frame_begin(&writer, sink, TF_FRAME_TYPE_SAMPLES, 0);
    tf_frame_put(&writer, head, sizeof head);
    for (uint32_t i = 0; i < bytes; i++) {
        const uint8_t value = (uint8_t)i;
        tf_frame_put(&writer, &value, 1);
    }
    tf_frame_end(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const tf_feed_t record = {.samples = (uint16_t)(1u + next(&data, &size)), .channels = 1};
    piece = 1u + next(&data, &size);
    wire_at = wire_bytes = 0;
    while (size > 0) {
        const uint32_t kind = next(&data, &size);
        if (kind % 2 == 1) {
            put_part(&data, &size);
            continue;
        }
        for (uint32_t i = 0; i < kind / 2 && size > 0; i++) {
            const uint8_t byte = (uint8_t)next(&data, &size);
            sink(&byte, 1);
        }
    }
    tf_line_source_t *const line = malloc(sizeof *line);
    if (line == NULL) abort();
    tf_source_t source;
    tf_line_source_init(line, &record, line_read, &source);
    const uint32_t limit = wire_bytes + 16;
    uint32_t calls = 0;
    for (tf_window_t window; wire_at < wire_bytes || source.due_us(line) == 0; calls++) {
        const uint32_t before = wire_at;
        takes++;
        /* Each call reads something, or there is nothing left. */
        if (calls > limit) abort();
        if (source.take(line, 0, &window)) {
            windows++;
            if (window.missed >= 1u << 15 || (window.missed > 0 && !window.broken)) abort();
            fuzz_touch((const uint8_t *)window.values, record.samples * (uint32_t)sizeof(int16_t));
        }
        if (wire_at - before > 64 * TF_LINE_CHUNK_BYTES) abort();
    }
    free(line);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: windows found %lu in %lu calls\n", windows, takes);
}
