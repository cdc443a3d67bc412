#include "tinyfleet/cbor.h"

void tf_writer_init(tf_writer_t *writer, uint8_t *data, uint32_t capacity) {
    *writer = (tf_writer_t){.data = data, .capacity = capacity};
}

uint32_t tf_writer_end(const tf_writer_t *writer) {
    return writer->overflow ? 0 : writer->length;
}

static bool room(tf_writer_t *writer, uint32_t count) {
    if (count > writer->capacity - writer->length) writer->overflow = true;
    return !writer->overflow;
}

/* Head of an item in its shortest form (RFC 8949 section 4.2.1). */
static void head(tf_writer_t *writer, uint32_t major, uint64_t argument) {
    uint32_t size = argument < 24            ? 0
                    : argument <= UINT8_MAX  ? 1
                    : argument <= UINT16_MAX ? 2
                    : argument <= UINT32_MAX ? 4
                                             : 8;
    if (!room(writer, 1u + size)) return;
    uint32_t info = size == 0 ? (uint32_t)argument : size == 1 ? 24 : size == 2 ? 25 : size == 4 ? 26 : 27;
    writer->data[writer->length++] = (uint8_t)(major << 5 | info);
    for (uint32_t i = size; i > 0; i--)
        writer->data[writer->length++] = (uint8_t)(argument >> ((i - 1u) * 8u));
}

static void string(tf_writer_t *writer, uint32_t major, const uint8_t *data, uint32_t length) {
    head(writer, major, length);
    if (!room(writer, length)) return;
    for (uint32_t i = 0; i < length; i++) writer->data[writer->length++] = data[i];
}

void tf_write_map(tf_writer_t *writer, uint32_t pairs) {
    head(writer, 5, pairs);
}

void tf_write_array(tf_writer_t *writer, uint32_t items) {
    head(writer, 4, items);
}

void tf_write_uint(tf_writer_t *writer, uint64_t value) {
    head(writer, 0, value);
}

void tf_write_int(tf_writer_t *writer, int64_t value) {
    if (value < 0) {
        head(writer, 1, (uint64_t)(-1 - value));
    } else {
        head(writer, 0, (uint64_t)value);
    }
}

void tf_write_bool(tf_writer_t *writer, bool value) {
    head(writer, 7, value ? 21 : 20);
}

void tf_write_bytes(tf_writer_t *writer, const uint8_t *data, uint32_t length) {
    string(writer, 2, data, length);
}

void tf_write_text(tf_writer_t *writer, const char *text, uint32_t length) {
    string(writer, 3, (const uint8_t *)text, length);
}
