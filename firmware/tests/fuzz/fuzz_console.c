/* A serial line: text, frames, noise. The first byte says how large the reader's buffer is.
 *
 * What the reader takes for a frame is written again and must be read as the same frame; and the whole input,
 * as the body of a frame, comes back. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/console.h"

static unsigned long frames, echoes;

/* What a writer's sink got; the port has no context to hand to it. */
static uint8_t line[2 * TF_FRAME_BUFFER_BYTES + 2];
static uint32_t line_bytes;

static void sink(const uint8_t *data, uint32_t length) {
    if (length > sizeof line - line_bytes) abort();
    memcpy(line + line_bytes, data, length);
    line_bytes += length;
}

static void expect_back(const tf_frame_t *sent) {
    static uint8_t body[TF_FRAME_RAW_MAX]; /* the reader's buffer is used again */
    if (sent->length > sizeof body) abort();
    memcpy(body, sent->body, sent->length);
    tf_frame_writer_t writer;
    line_bytes = 0;
    tf_frame_begin(&writer, sink, sent->type, sent->seq);
    tf_frame_put(&writer, body, sent->length);
    tf_frame_end(&writer);
    uint8_t *const buffer = malloc(TF_FRAME_BUFFER_BYTES);
    if (buffer == NULL) abort();
    tf_frame_reader_t reader;
    tf_frame_reader_init(&reader, buffer, TF_FRAME_BUFFER_BYTES);
    tf_frame_t got;
    uint32_t whole = 0;
    for (uint32_t i = 0; i < line_bytes; i++) {
        if (!tf_frame_reader_put(&reader, line[i], &got)) continue;
        whole++;
        if (got.type != sent->type || got.seq != sent->seq || got.length != sent->length) abort();
        if (memcmp(got.body, body, sent->length) != 0) abort();
    }
    if (whole != 1) abort();
    echoes++;
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const uint32_t capacity = data[0] < 128 ? data[0] : TF_FRAME_BUFFER_BYTES;
    uint8_t *const buffer = malloc(capacity ? capacity : 1);
    if (buffer == NULL) abort();
    tf_frame_reader_t reader;
    tf_frame_reader_init(&reader, buffer, capacity);
    for (size_t i = 1; i < size; i++) {
        tf_frame_t frame;
        if (!tf_frame_reader_put(&reader, data[i], &frame)) continue;
        frames++;
        fuzz_touch(frame.body, frame.length);
        expect_back(&frame);
    }
    free(buffer);
    const uint32_t body = size - 1 < TF_FRAME_BODY_MAX ? (uint32_t)size - 1 : TF_FRAME_BODY_MAX;
    expect_back(&(tf_frame_t){.type = data[0], .seq = (uint8_t)size, .body = data + 1, .length = body});
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: frames found %lu, written and read again %lu\n", frames, echoes);
}
