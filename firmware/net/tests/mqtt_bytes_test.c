/* The receiving side against every way to cut a stream, and against what a broken or hostile server sends. */
#include "mqtt_harness.h"

static harness_t harness;

#define PAYLOAD_BYTES 1500u

/* Everything a server may say, ended by its DISCONNECT. */
static uint32_t dialogue(uint8_t *out) {
    static const uint8_t begin[] = {
        /* CONNACK with assigned id, reason string, user property, limits */
        0x20, 32, 0, 0, 29, 0x12, 0, 2, 'i', 'd', 0x1F, 0, 2, 'o', 'k', 0x26, 0, 1, 'k', 0, 1, 'v', 0x22, 0,
        10, 0x29, 1, 0x2A, 1, 0x21, 0, 20, 0x28, 1,
        /* PUBLISH QoS 0 without a payload; QoS 1 retained with all its properties */
        0x30, 6, 0, 3, 'a', '/', 'b', 0, 0x33, 42, 0, 2, 0xC3, 0xA9, 0, 9, 32, 1, 1, 2, 0, 0, 0, 9, 3, 0, 1,
        'c', 8, 0, 1, 'r', 9, 0, 2, 0, 0xFF, 0x0B, 0x80, 0x01, 0x0B, 1, 0x26, 0, 1, 'k', 0, 1, 'v', 'p', 'a',
        'y',
        /* PINGRESP, PUBACK short and long, SUBACK, UNSUBACK with reason string */
        0xD0, 0, 0x40, 2, 0, 1, 0x40, 9, 0, 2, 0x10, 5, 0x1F, 0, 2, 'n', 'o', 0x90, 5, 0, 3, 0, 1, 0x80, 0xB0,
        9, 0, 4, 5, 0x1F, 0, 2, 'n', 'o', 0x11};
    static const uint8_t large[] = {0x32, 0xE2, 0x0B, 0, 1, 't', 0x12, 0x34, 0};
    static const uint8_t end[] = {0xE0, 7, 0x8B, 5, 0x1F, 0, 2, 'n', 'o'};
    uint32_t size = 0;
    memcpy(out, begin, sizeof begin);
    size += sizeof begin;
    memcpy(out + size, large, sizeof large);
    size += sizeof large;
    for (uint32_t i = 0; i < PAYLOAD_BYTES; i++) out[size++] = (uint8_t)(i * 7);
    memcpy(out + size, end, sizeof end);
    return size + (uint32_t)sizeof end;
}

/* A client that has asked for what the dialogue answers. */
static void begin(void) {
    static const tf_mqtt_filter_t filters[] = {{"a", 1, 0}, {"b", 1, 0}};
    harness_init(&harness);
    tf_mqtt_options_t options = harness_options();
    CHECK(tf_mqtt_open(&harness.client, &options, 0));
    tf_mqtt_opened(&harness.client, 0);
    harness.client.state = TF_MQTT_ONLINE;
    CHECK(tf_mqtt_publish(&harness.client, "t", NULL, 0, 1, false) == 1);
    CHECK(tf_mqtt_publish(&harness.client, "t", NULL, 0, 1, false) == 2);
    CHECK(tf_mqtt_subscribe(&harness.client, filters, 2) == 3);
    CHECK(tf_mqtt_unsubscribe(&harness.client, (const char *const[]){"a"}, 1) == 4);
    harness.client.state = TF_MQTT_CONNECTING;
    harness_clear(&harness);
}

static const char dialogue_log[] =
    "connected\n"
    "message a/b 0 qos 0 retain 0\n"
    "payload 0 811c9dc5\n"
    "message \xC3\xA9 3 qos 1 retain 1\n"
    "payload 3 5e560689\n"
    "ack 3 id 1: 00\n"
    "ack 3 id 2: 10\n"
    "ack 8 id 3: 01 80\n"
    "ack 10 id 4: 11\n"
    "message t 1500 qos 1 retain 0\n"
    "payload 1500 ";

static void check_dialogue(uint32_t size) {
    if (strncmp(harness.log, dialogue_log, sizeof dialogue_log - 1) != 0)
        CHECK_TEXT(harness.log, dialogue_log);
    CHECK(strstr(harness.log, "\nclosed 4 0x8b\n") != NULL);
    CHECK(harness.client.counters.rx_bytes == size);
    CHECK(harness.sent_bytes % 4 == 0 && harness.sent_bytes <= 8);
}

static void test_every_split(void) {
    static uint8_t stream[4096];
    static char whole[sizeof harness.log];
    uint32_t size = dialogue(stream);
    begin();
    tf_mqtt_input(&harness.client, stream, size, 0);
    check_dialogue(size);
    memcpy(whole, harness.log, sizeof whole);

    begin();
    for (uint32_t i = 0; i < size; i++) {
        uint8_t *byte = malloc(1); /* alone, so that ASan sees a step beside it */
        CHECK(byte != NULL);
        *byte = stream[i];
        tf_mqtt_input(&harness.client, byte, 1, 0);
        free(byte);
    }
    check_dialogue(size);
    CHECK_TEXT(harness.log, whole);
    CHECK(memcmp(harness.sent, "\x40\x02\x00\x09\x40\x02\x12\x34", 8) == 0 && harness.sent_bytes == 8);

    for (uint32_t round = 0; round < 2000; round++) {
        begin();
        uint32_t longest = 1 + harness_random() % 200;
        for (uint32_t at = 0; at < size;) {
            uint32_t piece = 1 + harness_random() % longest;
            if (piece > size - at) piece = size - at;
            tf_mqtt_input(&harness.client, stream + at, piece, 0);
            at += piece;
        }
        CHECK_TEXT(harness.log, whole);
    }
}

static void test_malformed(void) {
    static const struct {
        const char *why;
        uint8_t reason;
        uint8_t size;
        uint8_t bytes[24];
    } cases[] = {
        {"type 0", 0x82, 2, {0x00, 0}},
        {"CONNECT from a server", 0x82, 2, {0x10, 0}},
        {"second CONNACK", 0x82, 5, {0x20, 3, 0, 0, 0}},
        {"QoS 2 acknowledgement", 0x82, 4, {0x50, 2, 0, 1}},
        {"SUBSCRIBE from a server", 0x81, 2, {0x82, 0}},
        {"AUTH", 0x82, 2, {0xF0, 0}},
        {"PINGRESP with a body", 0x81, 3, {0xD0, 1, 0}},
        {"flags on PUBACK", 0x81, 4, {0x41, 2, 0, 1}},
        {"five length bytes", 0x81, 6, {0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1}},
        {"length not shortest", 0x81, 3, {0xD0, 0x80, 0}},
        {"packet above our maximum", 0x95, 3, {0x30, 0x80, 0x40}},
        {"header above our buffer", 0x95, 3, {0x40, 0x81, 0x04}},
        {"QoS 3", 0x81, 2, {0x36, 9}},
        {"QoS 2", 0x9B, 2, {0x34, 9}},
        {"DUP with QoS 0", 0x81, 2, {0x38, 9}},
        {"PUBLISH of no bytes", 0x81, 2, {0x30, 0}},
        {"topic longer than the packet", 0x81, 5, {0x30, 3, 0, 9, 'a'}},
        {"topic empty", 0x82, 5, {0x30, 3, 0, 0, 0}},
        {"topic with a wildcard", 0x90, 6, {0x30, 4, 0, 1, '#', 0}},
        {"topic with NUL", 0x81, 6, {0x30, 4, 0, 1, 0, 0}},
        {"topic overlong UTF-8", 0x81, 7, {0x30, 5, 0, 2, 0xC0, 0x80, 0}},
        {"topic with a surrogate", 0x81, 8, {0x30, 6, 0, 3, 0xED, 0xA0, 0x80, 0}},
        {"topic ends in a sequence", 0x81, 6, {0x30, 4, 0, 1, 0xC3, 0}},
        {"packet identifier 0", 0x82, 8, {0x32, 6, 0, 1, 't', 0, 0, 0}},
        {"no room for the identifier", 0x81, 6, {0x32, 4, 0, 1, 't', 0}},
        {"properties longer than the packet", 0x81, 6, {0x30, 4, 0, 1, 't', 1}},
        {"property length of five bytes", 0x81, 10, {0x30, 8, 0, 1, 't', 0x80, 0x80, 0x80, 0x80, 1}},
        {"property cut short", 0x81, 8, {0x30, 6, 0, 1, 't', 2, 2, 0}},
        {"property text beyond its end", 0x81, 9, {0x30, 7, 0, 1, 't', 3, 3, 0, 9}},
        {"unknown property", 0x81, 8, {0x30, 6, 0, 1, 't', 2, 0x7E, 0}},
        {"property of another packet", 0x82, 9, {0x30, 7, 0, 1, 't', 3, 0x13, 0, 9}},
        {"property twice", 0x82, 10, {0x30, 8, 0, 1, 't', 4, 1, 0, 1, 0}},
        {"flag property of 2", 0x81, 8, {0x30, 6, 0, 1, 't', 2, 1, 2}},
        {"topic alias we never allowed", 0x94, 9, {0x30, 7, 0, 1, 't', 3, 0x23, 0, 1}},
        {"subscription identifier 0", 0x81, 8, {0x30, 6, 0, 1, 't', 2, 0x0B, 0}},
        {"PUBACK without identifier", 0x81, 3, {0x40, 1, 0}},
        {"PUBACK nobody waits for", 0x82, 4, {0x40, 2, 0, 9}},
        {"PUBACK for a subscription", 0x82, 4, {0x40, 2, 0, 1}},
        {"PUBACK with bytes after it", 0x81, 7, {0x40, 5, 0, 1, 0, 0, 0}},
        {"SUBACK with too few codes", 0x82, 6, {0x90, 4, 0, 1, 0, 1}},
        {"SUBACK with too many codes", 0x82, 8, {0x90, 6, 0, 1, 0, 1, 1, 1}},
        {"SUBACK without properties", 0x81, 4, {0x90, 2, 0, 1}},
        {"UNSUBACK for a subscription", 0x82, 6, {0xB0, 4, 0, 1, 0, 0}},
        {"DISCONNECT with bytes after it", 0x81, 5, {0xE0, 3, 0, 0, 0}},
    };
    static const tf_mqtt_filter_t filters[] = {{"a", 1, 0}, {"b", 1, 0}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint32_t bytewise = 0; bytewise < 2; bytewise++) {
            harness_online(&harness);
            CHECK(tf_mqtt_subscribe(&harness.client, filters, 2) == 1);
            harness_clear(&harness);
            uint32_t piece = bytewise != 0 ? 1 : cases[i].size;
            for (uint32_t at = 0; at < cases[i].size; at += piece) {
                tf_mqtt_input(&harness.client, cases[i].bytes + at, piece, 0);
            }
            char wanted[32];
            snprintf(wanted, sizeof wanted, "closed 5 0x%02x\n", cases[i].reason);
            if (strcmp(harness.log, wanted) != 0) fprintf(stderr, "case: %s\n", cases[i].why);
            CHECK_TEXT(harness.log, wanted);
            const uint8_t goodbye[] = {0xE0, 1, cases[i].reason};
            CHECK(harness.sent_bytes == 3 && memcmp(harness.sent, goodbye, 3) == 0);
            CHECK(harness.closes == 1);
        }
    }
}

/* Damage anywhere may end the connection, never more than once, and never reads or writes out of bounds
 * (ASan). */
static void test_damage(void) {
    static uint8_t stream[4096];
    uint32_t ends = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t size = dialogue(stream);
        uint32_t flips = 1 + harness_random() % 4;
        for (uint32_t i = 0; i < flips; i++) {
            stream[harness_random() % 160] = (uint8_t)harness_random();
        }
        begin();
        for (uint32_t at = 0; at < size;) {
            uint32_t piece = 1 + harness_random() % 400;
            if (piece > size - at) piece = size - at;
            uint8_t *copy = malloc(piece);
            CHECK(copy != NULL);
            memcpy(copy, stream + at, piece);
            tf_mqtt_input(&harness.client, copy, piece, 0);
            free(copy);
            at += piece;
        }
        CHECK(harness.closes <= 1);
        ends += strstr(harness.log, "closed 5") != NULL;
    }
    CHECK(ends > 5000); /* the checks do refuse */
}

void test_bytes(void) {
    test_every_split();
    test_malformed();
    test_damage();
}
