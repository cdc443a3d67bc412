/* The client's behaviour: what it says, when it waits, what it refuses to send. */
#include "mqtt_harness.h"

static harness_t harness;

static void test_connect_says_everything(void) {
    harness_init(&harness);
    tf_mqtt_options_t options = harness_options();
    options.user = "u";
    options.password = (const uint8_t *)"\x00\xFF";
    options.password_bytes = 2;
    options.will_topic = "w";
    options.will = (const uint8_t *)"\x01";
    options.will_bytes = 1;
    CHECK(tf_mqtt_open(&harness.client, &options, 0));
    tf_mqtt_opened(&harness.client, 0);
    const uint8_t wanted[] = {0x10, 39, 0,    4, 'M', 'Q',  'T', 'T',  5,   0xEE, 0, 60,  10,  0x21,
                              0,    4,  0x27, 0, 0,   0x20, 0,   0x17, 0,   0,    2, 'n', '1', 0,
                              0,    1,  'w',  0, 1,   1,    0,   1,    'u', 0,    2, 0,   0xFF};
    CHECK(harness.sent_bytes == sizeof wanted);
    CHECK(memcmp(harness.sent, wanted, sizeof wanted) == 0);
    CHECK(harness.client.counters.tx_bytes == sizeof wanted);
}

static void test_options_out_of_range(void) {
    harness_init(&harness);
    tf_mqtt_options_t options = harness_options();
    options.receive_maximum = TF_MQTT_ACKS + 1;
    CHECK(!tf_mqtt_open(&harness.client, &options, 0));
    options.receive_maximum = 0;
    CHECK(!tf_mqtt_open(&harness.client, &options, 0));
    options.receive_maximum = 1;
    CHECK(tf_mqtt_open(&harness.client, &options, 0));
    CHECK(!tf_mqtt_open(&harness.client, &options, 0)); /* one at a time */
}

static void test_refusals(void) {
    static const struct {
        uint8_t connack[8];
        uint32_t size;
        const char *log;
    } cases[] = {
        {{0x20, 3, 0, 0x87, 0}, 5, "closed 3 0x87\n"},          /* not authorised */
        {{0x20, 5, 0, 0, 2, 0x24, 0}, 7, "closed 3 0x9b\n"},    /* QoS 0 only */
        {{0x20, 5, 0, 0, 2, 0x25, 0}, 7, "closed 3 0x9a\n"},    /* no retained messages */
        {{0x20, 5, 0, 0, 2, 0x28, 0}, 7, "closed 3 0xa2\n"},    /* no wildcards */
        {{0x20, 3, 1, 0, 0}, 5, "closed 5 0x82\n"},             /* a session we did not ask for */
        {{0x20, 6, 0, 0, 3, 0x21, 0, 0}, 8, "closed 5 0x82\n"}, /* Receive Maximum 0 */
        {{0x30, 3, 0, 1, 't', 0}, 6, "closed 5 0x82\n"},        /* something before CONNACK */
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_init(&harness);
        tf_mqtt_options_t options = harness_options();
        CHECK(tf_mqtt_open(&harness.client, &options, 0));
        tf_mqtt_opened(&harness.client, 0);
        tf_mqtt_input(&harness.client, cases[i].connack, cases[i].size, 0);
        CHECK_TEXT(harness.log, cases[i].log);
        CHECK(harness.closes == 1);
        CHECK(harness.client.state == TF_MQTT_IDLE);
    }
}

static void test_subscribe_and_unsubscribe(void) {
    harness_online(&harness);
    const tf_mqtt_filter_t filters[] = {{"a/+", 1, 0}, {"b", 0, 2}};
    CHECK(tf_mqtt_subscribe(&harness.client, filters, 2) == 1);
    const uint8_t subscribe[] = {0x82, 13, 0, 1, 0, 0, 3, 'a', '/', '+', 1, 0, 1, 'b', 0x20};
    CHECK(harness.sent_bytes == sizeof subscribe && memcmp(harness.sent, subscribe, sizeof subscribe) == 0);
    harness_clear(&harness);
    CHECK(tf_mqtt_unsubscribe(&harness.client, (const char *const[]){"b"}, 1) == 2);
    const uint8_t unsubscribe[] = {0xA2, 6, 0, 2, 0, 0, 1, 'b'};
    CHECK(harness.sent_bytes == sizeof unsubscribe &&
          memcmp(harness.sent, unsubscribe, sizeof unsubscribe) == 0);
    tf_mqtt_input(&harness.client, BYTES(0x90, 5, 0, 1, 0, 1, 0x87, 0xB0, 4, 0, 2, 0, 0x11), 0);
    CHECK_TEXT(harness.log, "ack 8 id 1: 01 87\nack 10 id 2: 11\n");
    CHECK(tf_mqtt_subscribe(&harness.client, filters, 0) == TF_MQTT_ERR_SIZE);
}

static void test_publish_bounds(void) {
    static const uint8_t payload[TF_MQTT_PACKET_BYTES] = {1, 2, 3};
    harness_online(&harness);
    CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 0, false) == 0);
    const uint8_t packet[] = {0x30, 7, 0, 1, 't', 0, 1, 2, 3};
    CHECK(harness.sent_bytes == sizeof packet && memcmp(harness.sent, packet, sizeof packet) == 0);
    for (int32_t i = 1; i <= (int32_t)TF_MQTT_INFLIGHT; i++) {
        CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 1, true) == i);
    }
    CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 1, true) == TF_MQTT_ERR_INFLIGHT);
    CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 0, true) == 0);
    tf_mqtt_input(&harness.client, BYTES(0x40, 2, 0, 3, 0x40, 3, 0, 1, 0x10), 0);
    CHECK_TEXT(harness.log, "ack 3 id 3: 00\nack 3 id 1: 10\n");
    CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 1, true) == (int32_t)TF_MQTT_INFLIGHT + 1);

    harness_online(&harness);
    harness.room = 5;
    CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 1, false) == TF_MQTT_ERR_ROOM);
    CHECK(harness.sent_bytes == 0);
    harness.room = 1000;
    CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 1, false) >
          0); /* the failed one left nothing behind */
    char topic[TF_MQTT_PACKET_BYTES];
    memset(topic, 'x', sizeof topic);
    topic[sizeof topic - 1] = 0;
    CHECK(tf_mqtt_publish(&harness.client, topic, payload, 3, 0, false) == TF_MQTT_ERR_SIZE);
    tf_mqtt_close(&harness.client, 0);
    CHECK(tf_mqtt_publish(&harness.client, "t", payload, 3, 0, false) == TF_MQTT_ERR_STATE);
}

static void test_server_limits(void) {
    harness_init(&harness);
    tf_mqtt_options_t options = harness_options();
    CHECK(tf_mqtt_open(&harness.client, &options, 0));
    tf_mqtt_opened(&harness.client, 0);
    /* Receive Maximum 1, Maximum Packet Size 12, Server Keep Alive 8 */
    tf_mqtt_input(&harness.client, BYTES(0x20, 14, 0, 0, 11, 0x21, 0, 1, 0x27, 0, 0, 0, 12, 0x13, 0, 8), 0);
    CHECK(tf_mqtt_publish(&harness.client, "t", (const uint8_t *)"123", 3, 1, false) == 1);
    CHECK(tf_mqtt_publish(&harness.client, "t", (const uint8_t *)"123", 3, 1, false) == TF_MQTT_ERR_INFLIGHT);
    CHECK(tf_mqtt_publish(&harness.client, "t", (const uint8_t *)"1234567", 7, 0, false) == TF_MQTT_ERR_SIZE);
    CHECK(tf_mqtt_publish(&harness.client, "t", (const uint8_t *)"123456", 6, 0, false) == 0);
    harness_clear(&harness);
    tf_mqtt_input(&harness.client, BYTES(0x40, 2, 0, 1), 0);
    CHECK(tf_mqtt_tick(&harness.client, 5999) == 1);
    CHECK(tf_mqtt_tick(&harness.client, 6000) == 10000); /* three quarters of the server's keep-alive */
    CHECK(harness.sent_bytes == 2 && harness.sent[0] == 0xC0);
}

static void test_acknowledgements_wait_for_room(void) {
    harness_online(&harness);
    harness.room = 7;
    for (uint8_t id = 1; id <= 4; id++) {
        tf_mqtt_input(&harness.client, BYTES(0x32, 6, 0, 1, 't', 0, id, 0), 0);
    }
    CHECK(harness.sent_bytes == 4); /* one fits, never half of one */
    harness.room = 8;
    tf_mqtt_writable(&harness.client, 0);
    CHECK(harness.sent_bytes == 12);
    harness.room = 100;
    tf_mqtt_writable(&harness.client, 0);
    const uint8_t wanted[] = {0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x40, 2, 0, 3, 0x40, 2, 0, 4};
    CHECK(harness.sent_bytes == sizeof wanted && memcmp(harness.sent, wanted, sizeof wanted) == 0);
    CHECK(harness.closes == 0);
}

static void test_receive_maximum_is_a_bound(void) {
    harness_online(&harness);
    harness.room = 0;
    for (uint8_t id = 1; id <= 4; id++) {
        tf_mqtt_input(&harness.client, BYTES(0x32, 6, 0, 1, 't', 0, id, 0), 0);
    }
    harness_clear(&harness);
    tf_mqtt_input(&harness.client, BYTES(0x32, 6, 0, 1, 't', 0, 5, 0), 0);
    CHECK_TEXT(harness.log, "closed 5 0x93\n");
}

static void test_many_acknowledgements_wrap(void) {
    harness_online(&harness);
    for (uint32_t id = 1; id <= 1000; id++) {
        harness.room = id % 3 == 0 ? 0 : 64;
        uint8_t packet[] = {0x32, 6, 0, 1, 't', (uint8_t)(id >> 8), (uint8_t)id, 0};
        tf_mqtt_input(&harness.client, packet, sizeof packet, 0);
    }
    harness.room = 64;
    tf_mqtt_writable(&harness.client, 0);
    CHECK(harness.sent_bytes == 4000 && harness.closes == 0);
    for (uint32_t id = 1; id <= 1000; id++) {
        const uint8_t *packet = harness.sent + 4 * (id - 1);
        CHECK(packet[0] == 0x40 && (uint32_t)(packet[2] << 8 | packet[3]) == id);
    }
}

static void test_time_outs(void) {
    tf_mqtt_options_t options = harness_options();
    harness_init(&harness);
    CHECK(tf_mqtt_tick(&harness.client, 0) == UINT32_MAX);
    CHECK(tf_mqtt_open(&harness.client, &options, 0xFFFFF000u)); /* the clock wraps meanwhile */
    CHECK(tf_mqtt_tick(&harness.client, 0xFFFFF000u) == 10000);
    CHECK(tf_mqtt_tick(&harness.client, 0xFFFFF000u + 9999) == 1);
    CHECK(tf_mqtt_tick(&harness.client, 0xFFFFF000u + 10000) == UINT32_MAX);
    CHECK_TEXT(harness.log, "closed 2 0x8d\n");

    harness_online(&harness);
    CHECK(tf_mqtt_tick(&harness.client, 0) == 45000);
    CHECK(tf_mqtt_tick(&harness.client, 45000) == 10000);
    tf_mqtt_input(&harness.client, BYTES(0xD0, 0), 45010);
    CHECK(tf_mqtt_tick(&harness.client, 55000) == 35000);
    CHECK(tf_mqtt_tick(&harness.client, 90000) == 10000);
    CHECK(tf_mqtt_tick(&harness.client, 100000) == UINT32_MAX);
    CHECK_TEXT(harness.log, "closed 2 0x8d\n");
    CHECK(memcmp(harness.sent, "\xC0\x00\xC0\x00\xE0\x01\x8D", 7) == 0 && harness.sent_bytes == 7);

    harness_online(&harness);
    (void)tf_mqtt_tick(&harness.client, 1000);
    CHECK(tf_mqtt_publish(&harness.client, "t", NULL, 0, 1, false) == 1);
    CHECK(tf_mqtt_tick(&harness.client, 4000) == 7000);
    CHECK(tf_mqtt_tick(&harness.client, 11000) == UINT32_MAX);
    CHECK_TEXT(harness.log, "closed 2 0x8d\n");
}

static void test_ends(void) {
    harness_online(&harness);
    tf_mqtt_lost(&harness.client);
    CHECK_TEXT(harness.log, "closed 1 0x00\n");
    CHECK(harness.sent_bytes == 0);
    tf_mqtt_lost(&harness.client);
    tf_mqtt_input(&harness.client, BYTES(0xD0, 0), 0);
    tf_mqtt_writable(&harness.client, 0);
    CHECK_TEXT(harness.log, "closed 1 0x00\n");

    harness_online(&harness);
    tf_mqtt_close(&harness.client, 4);
    CHECK_TEXT(harness.log, "closed 0 0x04\n");
    CHECK(memcmp(harness.sent, "\xE0\x01\x04", 3) == 0 && harness.closes == 1);
}

int main(void) {
    test_connect_says_everything();
    test_options_out_of_range();
    test_refusals();
    test_subscribe_and_unsubscribe();
    test_publish_bounds();
    test_server_limits();
    test_acknowledgements_wait_for_room();
    test_receive_maximum_is_a_bound();
    test_many_acknowledgements_wrap();
    test_time_outs();
    test_ends();
    test_bytes();
    puts("mqtt: ok");
    return 0;
}
