#include "tinyfleet/cbor.h"

#include <stddef.h>

#include "tinyfleet/wire_keys.h"
#include "utf8.h"

/* Major types (RFC 8949 section 3.1). */
enum { UNSIGNED = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7 };
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21 };

void tf_reader_init(tf_reader_t *reader, const uint8_t *data, uint32_t length) {
    *reader = (tf_reader_t){.data = data, .length = length};
}

void tf_reader_fail(tf_reader_t *reader, tf_wire_status_t status) {
    if (reader->status == TF_WIRE_OK) reader->status = status;
}

tf_wire_status_t tf_reader_end(tf_reader_t *reader) {
    if (reader->at != reader->length) tf_reader_fail(reader, TF_WIRE_TRAILING);
    return reader->status;
}

/* Fails unless `count` more bytes are there. */
static bool has(tf_reader_t *reader, uint64_t count) {
    if (reader->status != TF_WIRE_OK) return false;
    if (count > reader->length - reader->at) {
        tf_reader_fail(reader, TF_WIRE_TRUNCATED);
        return false;
    }
    return true;
}

/* Reads the head of an item: major type and argument in its shortest form. False after a failure. */
static bool head(tf_reader_t *reader, uint32_t *major, uint64_t *argument) {
    if (!has(reader, 1)) return false;
    uint8_t first = reader->data[reader->at];
    uint32_t info = first & 0x1Fu;
    *major = (uint32_t)first >> 5;
    if (*major == TAG || (*major == SIMPLE && info != SIMPLE_FALSE && info != SIMPLE_TRUE)) {
        tf_reader_fail(reader, TF_WIRE_TYPE);
        return false;
    }
    if (info < 24) {
        reader->at++;
        *argument = info;
        return true;
    }
    if (info > 27) {
        tf_reader_fail(reader, TF_WIRE_FORM);
        return false;
    }
    uint32_t size = 1u << (info - 24u);
    if (!has(reader, 1u + (uint64_t)size)) return false;
    uint64_t value = 0;
    for (uint32_t i = 1; i <= size; i++) value = value << 8 | reader->data[reader->at + i];
    /* The next shorter form holds up to 23, or half as many bits as this one. */
    uint64_t shorter = size == 1 ? 24 : (uint64_t)1 << (size * 4u);
    if (value < shorter) {
        tf_reader_fail(reader, TF_WIRE_FORM);
        return false;
    }
    reader->at += 1u + size;
    *argument = value;
    return true;
}

/* As head(), for one known major type. */
static bool expect(tf_reader_t *reader, uint32_t major, uint64_t *argument) {
    uint32_t start = reader->at;
    uint32_t actual;
    if (!head(reader, &actual, argument)) return false;
    if (actual == major) return true;
    reader->at = start;
    tf_reader_fail(reader, TF_WIRE_TYPE);
    return false;
}

static bool within(tf_reader_t *reader, uint64_t value, uint64_t min, uint64_t max) {
    if (value >= min && value <= max) return true;
    tf_reader_fail(reader, TF_WIRE_RANGE);
    return false;
}

uint64_t tf_read_uint(tf_reader_t *reader, uint64_t max) {
    uint64_t value = 0;
    return expect(reader, UNSIGNED, &value) && within(reader, value, 0, max) ? value : 0;
}

int64_t tf_read_int(tf_reader_t *reader) {
    uint32_t major;
    uint64_t value = 0;
    if (!head(reader, &major, &value)) return 0;
    if (major > NEGATIVE) {
        tf_reader_fail(reader, TF_WIRE_TYPE);
        return 0;
    }
    if (!within(reader, value, 0, INT64_MAX)) return 0;
    return major == UNSIGNED ? (int64_t)value : -1 - (int64_t)value;
}

bool tf_read_bool(tf_reader_t *reader) {
    uint64_t value = 0;
    return expect(reader, SIMPLE, &value) && value == SIMPLE_TRUE;
}

/* Content of a string of the given major type. */
static tf_bytes_t string(tf_reader_t *reader, uint32_t major, uint32_t min, uint32_t max) {
    uint64_t length;
    if (!expect(reader, major, &length) || !within(reader, length, min, max) || !has(reader, length)) {
        return (tf_bytes_t){0};
    }
    tf_bytes_t bytes = {.data = reader->data + reader->at, .length = (uint32_t)length};
    reader->at += bytes.length;
    return bytes;
}

tf_bytes_t tf_read_bytes(tf_reader_t *reader, uint32_t min, uint32_t max) {
    return string(reader, BYTES, min, max);
}

tf_text_t tf_read_text(tf_reader_t *reader, uint32_t min, uint32_t max) {
    tf_bytes_t bytes = string(reader, TEXT, min, max);
    if (!tf_utf8_valid(bytes.data, bytes.length)) {
        tf_reader_fail(reader, TF_WIRE_UTF8);
        return (tf_text_t){0};
    }
    return (tf_text_t){.text = (const char *)bytes.data, .length = bytes.length};
}

void tf_read_digest(tf_reader_t *reader, uint8_t digest[32]) {
    tf_bytes_t bytes = tf_read_bytes(reader, TF_DIGEST_BYTES, TF_DIGEST_BYTES);
    for (uint32_t i = 0; i < bytes.length; i++) digest[i] = bytes.data[i];
}

static bool enter(tf_reader_t *reader) {
    if (reader->depth < TF_NESTING_MAX) {
        reader->depth++;
        return true;
    }
    tf_reader_fail(reader, TF_WIRE_DEPTH);
    return false;
}

void tf_read_leave(tf_reader_t *reader) {
    if (reader->status == TF_WIRE_OK && reader->depth > 0) reader->depth--;
}

uint32_t tf_read_array(tf_reader_t *reader, uint32_t min, uint32_t max) {
    uint64_t items;
    if (!expect(reader, ARRAY, &items) || !within(reader, items, min, max) || !enter(reader)) return 0;
    return (uint32_t)items;
}

/* One key of a map; they must ascend. `first` is true for the first one. */
static bool key(tf_reader_t *reader, bool first, uint64_t *previous) {
    uint64_t value;
    if (!expect(reader, UNSIGNED, &value)) return false;
    if (!first && value <= *previous) {
        tf_reader_fail(reader, TF_WIRE_FORM);
        return false;
    }
    *previous = value;
    return true;
}

/* Takes an item whose content is no container: false when it is one, or after a failure. */
static bool skip_leaf(tf_reader_t *reader, uint32_t *major, uint64_t *argument) {
    uint32_t start = reader->at;
    if (!head(reader, major, argument)) return false;
    switch (*major) {
        case NEGATIVE:
            return within(reader, *argument, 0, INT64_MAX);
        case BYTES:
            if (!has(reader, *argument)) return false;
            reader->at += (uint32_t)*argument;
            return true;
        case TEXT:
            reader->at = start;
            return tf_read_text(reader, 0, UINT32_MAX).text != NULL;
        case ARRAY:
        case MAP:
            return false;
        default:
            return true;
    }
}

void tf_read_skip(tf_reader_t *reader) {
    struct {
        uint64_t left;
        uint64_t key;
        bool map, first;
    } open[TF_NESTING_MAX];
    uint32_t levels = 0;
    do {
        if (levels > 0) {
            uint32_t top = levels - 1u;
            if (open[top].left == 0) {
                levels--;
                tf_read_leave(reader);
                continue;
            }
            open[top].left--;
            if (open[top].map && !key(reader, open[top].first, &open[top].key)) return;
            open[top].first = false;
        }
        uint32_t major;
        uint64_t argument;
        if (skip_leaf(reader, &major, &argument)) continue;
        if (reader->status != TF_WIRE_OK || !enter(reader)) return;
        open[levels].left = argument;
        open[levels].map = major == MAP;
        open[levels].first = true;
        levels++;
    } while (levels > 0 && reader->status == TF_WIRE_OK);
}

void tf_read_map(tf_reader_t *reader, uint32_t required, tf_read_field_t field, void *out) {
    uint64_t pairs;
    if (!expect(reader, MAP, &pairs) || !enter(reader)) return;
    uint32_t seen = 0;
    uint64_t number = 0;
    for (uint64_t i = 0; i < pairs && reader->status == TF_WIRE_OK; i++) {
        if (!key(reader, i == 0, &number)) return;
        if (!field(reader, number, out)) tf_read_skip(reader);
        if (number < 32) seen |= 1u << number;
    }
    tf_read_leave(reader);
    if ((seen & required) != required) tf_reader_fail(reader, TF_WIRE_MISSING);
}

void tf_read_named_map(tf_reader_t *reader, tf_read_named_field_t field, void *out) {
    uint64_t pairs;
    if (!expect(reader, MAP, &pairs) || !enter(reader)) return;
    for (uint64_t i = 0; i < pairs && reader->status == TF_WIRE_OK; i++) {
        const tf_text_t name = tf_read_text(reader, 0, UINT32_MAX);
        if (reader->status == TF_WIRE_OK && !field(reader, name, out)) tf_read_skip(reader);
    }
    tf_read_leave(reader);
}
