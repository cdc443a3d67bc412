/* Frames on a console, beside text lines (SPEC section 9). Bytes in, bytes out; no port in here. */
#ifndef TINYFLEET_CONSOLE_H
#define TINYFLEET_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/wire_keys.h"

#define TF_FRAME_OVERHEAD 6u /* type, seq, CRC-32 */
#define TF_FRAME_RAW_MAX (TF_FRAME_BODY_MAX + TF_FRAME_OVERHEAD)
/* What a reader's buffer needs: COBS adds one byte for each 254 begun. */
#define TF_FRAME_BUFFER_BYTES (TF_FRAME_RAW_MAX + TF_FRAME_RAW_MAX / 254u + 1u)

typedef struct {
    uint8_t type;
    uint8_t seq;
    const uint8_t *body; /* in the reader's buffer, until its next byte */
    uint32_t length;
} tf_frame_t;

/* Keeps what stands since the last delimiter; more than the buffer holds is dropped up to the next one. */
typedef struct {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t length;
    bool overflow;
} tf_frame_reader_t;

void tf_frame_reader_init(tf_frame_reader_t *reader, uint8_t *buffer, uint32_t capacity);
/* True when `byte` completed a valid frame. Text and broken frames are passed over. */
bool tf_frame_reader_put(tf_frame_reader_t *reader, uint8_t byte, tf_frame_t *frame);

/* Writes one frame piece by piece; holds at most one COBS run. */
typedef struct {
    void (*sink)(const uint8_t *data, uint32_t length);
    uint32_t crc;
    uint32_t run_length;
    uint8_t run[255]; /* the code byte and at most 254 bytes without zero */
} tf_frame_writer_t;

void tf_frame_begin(tf_frame_writer_t *writer, void (*sink)(const uint8_t *data, uint32_t length),
                    uint8_t type, uint8_t seq);
/* The caller keeps the body within TF_FRAME_BODY_MAX. */
void tf_frame_put(tf_frame_writer_t *writer, const void *data, uint32_t length);
void tf_frame_end(tf_frame_writer_t *writer);

#endif
