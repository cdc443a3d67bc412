/* SMP's client side for tests: packets made by the strict writer, replies taken apart by the strict reader.
 */
#ifndef TINYFLEET_TESTS_SMP_CLIENT_H
#define TINYFLEET_TESTS_SMP_CLIENT_H

#include "check.h"
#include "tinyfleet/smp.h"

enum { SMP_READ = 0, SMP_WRITE = 2, SMP_V1 = 0, SMP_V2 = 8 };

typedef struct {
    uint8_t bytes[2048];
    uint32_t length;
    tf_writer_t body;
} smp_request_t;

/* What a reply says; -1: nothing of it. */
typedef struct {
    int64_t rc, group, off, match;
    uint32_t images; /* listed */
    char reason[100];
    char text[64]; /* "r" */
    uint8_t bytes[1600];
    uint32_t length;
} smp_reply_t;

static void smp_begin(smp_request_t *request, int how, uint16_t group, uint8_t command, uint32_t pairs) {
    const uint8_t head[8] = {(uint8_t)how, 0, 0, 0, (uint8_t)(group >> 8), (uint8_t)group, 42, command};
    memcpy(request->bytes, head, sizeof head);
    tf_writer_init(&request->body, request->bytes + 8, sizeof request->bytes - 8);
    tf_write_map(&request->body, pairs);
}

static void smp_key(smp_request_t *request, const char *name) {
    tf_write_text(&request->body, name, (uint32_t)strlen(name));
}

static void smp_number(smp_request_t *request, const char *name, uint64_t value) {
    smp_key(request, name);
    tf_write_uint(&request->body, value);
}

static void smp_bytes(smp_request_t *request, const char *name, const uint8_t *bytes, uint32_t length) {
    smp_key(request, name);
    tf_write_bytes(&request->body, bytes, length);
}

static void smp_end(smp_request_t *request) {
    const uint32_t body = tf_writer_end(&request->body);
    request->bytes[2] = (uint8_t)(body >> 8);
    request->bytes[3] = (uint8_t)body;
    request->length = 8 + body;
}

static bool smp_key_is(tf_text_t key, const char *name) {
    return key.length == strlen(name) && memcmp(key.text, name, key.length) == 0;
}

static bool smp_read_field(tf_reader_t *reader, tf_text_t key, void *out) {
    smp_reply_t *reply = out;
    if (smp_key_is(key, "rc")) {
        reply->rc = (int64_t)tf_read_uint(reader, 255);
    } else if (smp_key_is(key, "group")) {
        reply->group = (int64_t)tf_read_uint(reader, 255);
    } else if (smp_key_is(key, "err")) {
        tf_read_named_map(reader, smp_read_field, reply);
    } else if (smp_key_is(key, "off")) {
        reply->off = (int64_t)tf_read_uint(reader, UINT32_MAX);
    } else if (smp_key_is(key, "match")) {
        reply->match = tf_read_bool(reader);
    } else if (smp_key_is(key, "rsn") || smp_key_is(key, "r")) {
        char *to = key.length == 1 ? reply->text : reply->reason;
        const tf_text_t text = tf_read_text(reader, 0, 60);
        memcpy(to, text.text, text.length);
    } else if (smp_key_is(key, "images")) {
        reply->images = tf_read_array(reader, 0, 4);
        for (uint32_t i = 0; i < reply->images; i++) tf_read_named_map(reader, smp_read_field, reply);
        tf_read_leave(reader);
    } else {
        return false;
    }
    return true;
}

/* False: no reply. One that is there is well formed and belongs to the request. */
static bool smp_ask(const tf_smp_device_t *device, tf_smp_door_t door, const smp_request_t *request,
                    smp_reply_t *reply) {
    memset(reply, 0, sizeof *reply);
    reply->rc = reply->group = reply->off = reply->match = -1;
    reply->length =
        tf_smp_answer(device, door, request->bytes, request->length, reply->bytes, sizeof reply->bytes);
    if (reply->length == 0) return false;
    CHECK_EQUAL(reply->bytes[0], request->bytes[0] | 1);
    CHECK(memcmp(reply->bytes + 4, request->bytes + 4, 4) == 0);
    CHECK_EQUAL(reply->length - 8u, (uint32_t)reply->bytes[2] << 8 | reply->bytes[3]);
    tf_reader_t reader;
    tf_reader_init(&reader, reply->bytes + 8, reply->length - 8u);
    tf_read_named_map(&reader, smp_read_field, reply);
    CHECK_EQUAL(tf_reader_end(&reader), TF_WIRE_OK);
    return true;
}

#endif
