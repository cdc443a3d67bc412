/* Inside of wire: pairs of a map, key and value. What is out of bounds makes the whole message void. */
#ifndef TINYFLEET_WIRE_PUT_H
#define TINYFLEET_WIRE_PUT_H

#include <stddef.h>

#include "tinyfleet/wire.h"
#include "utf8.h"

static inline void put_uint(tf_writer_t *writer, uint32_t key, uint64_t value) {
    tf_write_uint(writer, key);
    tf_write_uint(writer, value);
}

static inline void put_int(tf_writer_t *writer, uint32_t key, int64_t value) {
    tf_write_uint(writer, key);
    tf_write_int(writer, value);
}

static inline void put_bool(tf_writer_t *writer, uint32_t key, bool value) {
    tf_write_uint(writer, key);
    tf_write_bool(writer, value);
}

static inline void put_digest(tf_writer_t *writer, uint32_t key, const uint8_t digest[32]) {
    tf_write_uint(writer, key);
    tf_write_bytes(writer, digest, TF_DIGEST_BYTES);
}

static inline void put_text(tf_writer_t *writer, uint32_t key, tf_text_t value, uint32_t max) {
    bool good =
        value.text != NULL && value.length <= max && tf_utf8_valid((const uint8_t *)value.text, value.length);
    if (!good) writer->overflow = true;
    tf_write_uint(writer, key);
    if (good) tf_write_text(writer, value.text, value.length);
}

/* Pairs of a map: those always there and one for each optional value present. */
static inline uint32_t pairs(uint32_t required, const bool *optional, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) required += optional[i] ? 1u : 0u;
    return required;
}

#define PAIRS(required, ...) \
    pairs((required), (const bool[]){__VA_ARGS__}, sizeof((const bool[]){__VA_ARGS__}) / sizeof(bool))

#endif
