/* CBOR as SPEC section 1 uses it: deterministic (RFC 8949 section 4.2.1), bounded, no allocation.
 *
 * Reader and writer keep the first failure and then do nothing, so a caller checks once at the end. */
#ifndef TINYFLEET_CBOR_H
#define TINYFLEET_CBOR_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/text.h"

/* Borrowed: points into the message it was read from. */
typedef struct {
    const uint8_t *data; /* NULL: absent */
    uint32_t length;
} tf_bytes_t;

typedef enum {
    TF_WIRE_OK = 0,
    TF_WIRE_TRUNCATED = 1,  /* ends inside an item */
    TF_WIRE_TRAILING = 2,   /* bytes after the message */
    TF_WIRE_FORM = 3,       /* not deterministic: long form, indefinite length, keys not ascending */
    TF_WIRE_TYPE = 4,       /* another type than the table says, or one we never use */
    TF_WIRE_RANGE = 5,      /* a number, length or enumeration outside its bounds */
    TF_WIRE_MISSING = 6,    /* a required key is absent */
    TF_WIRE_DEPTH = 7,      /* nested deeper than TF_NESTING_MAX */
    TF_WIRE_UTF8 = 8,       /* text that is not UTF-8 */
    TF_WIRE_TOO_LARGE = 9,  /* longer than such a message may be */
    TF_WIRE_CHECKSUM = 10,  /* record: CRC-32 differs */
    TF_WIRE_NO_RECORD = 11, /* record: no magic, or another kind */
} tf_wire_status_t;

typedef struct {
    const uint8_t *data;
    uint32_t length;
    uint32_t at; /* where it stands, or where it failed */
    uint32_t depth;
    tf_wire_status_t status;
} tf_reader_t;

void tf_reader_init(tf_reader_t *reader, const uint8_t *data, uint32_t length);
void tf_reader_fail(tf_reader_t *reader, tf_wire_status_t status);
/* Fails with TRAILING unless everything was read; answers the first failure. */
tf_wire_status_t tf_reader_end(tf_reader_t *reader);

uint64_t tf_read_uint(tf_reader_t *reader, uint64_t max);
int64_t tf_read_int(tf_reader_t *reader);
bool tf_read_bool(tf_reader_t *reader);
tf_bytes_t tf_read_bytes(tf_reader_t *reader, uint32_t min, uint32_t max);
tf_text_t tf_read_text(tf_reader_t *reader, uint32_t min, uint32_t max);
void tf_read_digest(tf_reader_t *reader, uint8_t digest[32]);
/* Items that follow, at most `max`; tf_read_leave after the last one. */
uint32_t tf_read_array(tf_reader_t *reader, uint32_t min, uint32_t max);
void tf_read_leave(tf_reader_t *reader);
/* One item of any kind we use, checked as strictly as a known one. */
void tf_read_skip(tf_reader_t *reader);

/* Reads the value of `key` into `out`; false: not a key it knows (then it is skipped). */
typedef bool (*tf_read_field_t)(tf_reader_t *reader, uint64_t key, void *out);
/* A map with unsigned keys, ascending; `required` has bit k set when key k must be there. */
void tf_read_map(tf_reader_t *reader, uint32_t required, tf_read_field_t field, void *out);

/* Likewise by a text key. SMP's clients do not sort, so the keys come in any order; `field` sees to it that
 * none comes twice. */
typedef bool (*tf_read_named_field_t)(tf_reader_t *reader, tf_text_t key, void *out);
void tf_read_named_map(tf_reader_t *reader, tf_read_named_field_t field, void *out);

typedef struct {
    uint8_t *data;
    uint32_t capacity;
    uint32_t length;
    bool overflow;
} tf_writer_t;

void tf_writer_init(tf_writer_t *writer, uint8_t *data, uint32_t capacity);
/* Bytes written, 0 when they did not fit. */
uint32_t tf_writer_end(const tf_writer_t *writer);

void tf_write_map(tf_writer_t *writer, uint32_t pairs);
void tf_write_array(tf_writer_t *writer, uint32_t items);
void tf_write_uint(tf_writer_t *writer, uint64_t value);
void tf_write_int(tf_writer_t *writer, int64_t value);
void tf_write_bool(tf_writer_t *writer, bool value);
void tf_write_bytes(tf_writer_t *writer, const uint8_t *data, uint32_t length);
void tf_write_text(tf_writer_t *writer, const char *text, uint32_t length);

#endif
