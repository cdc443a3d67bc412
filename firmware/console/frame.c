/* COBS and CRC-32, a byte at a time: a board has no room for a second copy of a frame. */
#include "tinyfleet/console.h"

enum { DELIMITER = 0, FULL_RUN = 0xFF, HEAD_BYTES = 2, CRC_BYTES = 4 };

/* IEEE 802.3, reflected. Without a table: 1 KiB of one costs more than the time it saves at a console's
 * speed. */
static uint32_t crc_add(uint32_t crc, uint8_t byte) {
    crc ^= byte;
    for (int i = 0; i < 8; i++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    return crc;
}

void tf_frame_reader_init(tf_frame_reader_t *reader, uint8_t *buffer, uint32_t capacity) {
    *reader = (tf_frame_reader_t){.buffer = buffer, .capacity = capacity};
}

/* In place, as the decoded bytes never overtake the encoded ones; 0 when a run points beyond the end. */
static uint32_t cobs_decode(uint8_t *data, uint32_t length) {
    uint32_t out = 0;
    for (uint32_t at = 0; at < length;) {
        const uint8_t code = data[at];
        if (code > length - at) return 0;
        for (uint32_t i = 1; i < code; i++) data[out++] = data[at + i];
        at += code;
        if (code != FULL_RUN && at < length) data[out++] = 0;
    }
    return out;
}

static bool decode(uint8_t *data, uint32_t encoded, tf_frame_t *frame) {
    const uint32_t length = cobs_decode(data, encoded);
    if (length < TF_FRAME_OVERHEAD || length > TF_FRAME_RAW_MAX) return false;
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; i < length - CRC_BYTES; i++) crc = crc_add(crc, data[i]);
    crc = ~crc;
    for (uint32_t i = 0; i < CRC_BYTES; i++) {
        if (data[length - CRC_BYTES + i] != (uint8_t)(crc >> 8 * i)) return false;
    }
    *frame = (tf_frame_t){data[0], data[1], data + HEAD_BYTES, length - TF_FRAME_OVERHEAD};
    return true;
}

bool tf_frame_reader_put(tf_frame_reader_t *reader, uint8_t byte, tf_frame_t *frame) {
    if (byte != DELIMITER) {
        if (reader->length == reader->capacity) {
            reader->overflow = true;
        } else {
            reader->buffer[reader->length++] = byte;
        }
        return false;
    }
    const bool whole = !reader->overflow && decode(reader->buffer, reader->length, frame);
    reader->length = 0;
    reader->overflow = false;
    return whole;
}

static void end_run(tf_frame_writer_t *writer) {
    writer->run[0] = (uint8_t)writer->run_length;
    writer->sink(writer->run, writer->run_length);
    writer->run_length = 1;
}

static void put_raw(tf_frame_writer_t *writer, uint8_t byte) {
    if (byte != 0) writer->run[writer->run_length++] = byte;
    if (byte == 0 || writer->run_length == FULL_RUN) end_run(writer);
}

void tf_frame_begin(tf_frame_writer_t *writer, void (*sink)(const uint8_t *data, uint32_t length),
                    uint8_t type, uint8_t seq) {
    static const uint8_t delimiter = DELIMITER;
    writer->sink = sink;
    writer->crc = UINT32_MAX;
    writer->run_length = 1;
    sink(&delimiter, 1);
    const uint8_t head[HEAD_BYTES] = {type, seq};
    tf_frame_put(writer, head, sizeof head);
}

void tf_frame_put(tf_frame_writer_t *writer, const void *data, uint32_t length) {
    const uint8_t *const bytes = data;
    for (uint32_t i = 0; i < length; i++) {
        writer->crc = crc_add(writer->crc, bytes[i]);
        put_raw(writer, bytes[i]);
    }
}

void tf_frame_end(tf_frame_writer_t *writer) {
    static const uint8_t delimiter = DELIMITER;
    const uint32_t crc = ~writer->crc;
    for (uint32_t i = 0; i < CRC_BYTES; i++) put_raw(writer, (uint8_t)(crc >> 8 * i));
    end_run(writer);
    writer->sink(&delimiter, 1);
}
