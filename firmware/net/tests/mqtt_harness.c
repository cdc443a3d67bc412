#include "mqtt_harness.h"

#include <stdarg.h>

static void note(harness_t *harness, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(harness_t *harness, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(harness->log + harness->log_bytes, sizeof harness->log - harness->log_bytes,
                           format, arguments);
    va_end(arguments);
    CHECK(length >= 0 && harness->log_bytes + (uint32_t)length < sizeof harness->log);
    harness->log_bytes += (uint32_t)length;
}

static uint32_t room(void *context) {
    return ((harness_t *)context)->room;
}

static int write(void *context, const uint8_t *data, uint32_t size, bool more) {
    harness_t *harness = context;
    (void)more;
    CHECK(size <= harness->room); /* the client must have asked */
    CHECK(harness->sent_bytes + size <= sizeof harness->sent);
    memcpy(harness->sent + harness->sent_bytes, data, size);
    harness->sent_bytes += size;
    harness->room -= size;
    return 0;
}

static void flush(void *context) {
    (void)context;
}

static void end(void *context) {
    ((harness_t *)context)->closes++;
}

static void on_connected(void *context) {
    note(context, "connected\n");
}

static void on_closed(void *context, tf_mqtt_end_t why, uint8_t reason) {
    note(context, "closed %d 0x%02x\n", why, reason);
}

static void on_message(void *context, const tf_mqtt_message_t *message) {
    harness_t *harness = context;
    note(harness, "message %.*s %u qos %d retain %d\n", message->topic_bytes, message->topic,
         message->payload_bytes, message->qos, message->retain);
    harness->payload_hash = 2166136261u;
    harness->payload_bytes = 0;
    harness->message_bytes = message->payload_bytes;
}

static void on_payload(void *context, const uint8_t *data, uint32_t size, bool last) {
    harness_t *harness = context;
    for (uint32_t i = 0; i < size; i++) {
        harness->payload_hash = (harness->payload_hash ^ data[i]) * 16777619u;
    }
    harness->payload_bytes += size;
    CHECK(harness->payload_bytes <= harness->message_bytes);
    CHECK(last == (harness->payload_bytes == harness->message_bytes));
    if (last) note(harness, "payload %u %08x\n", harness->payload_bytes, harness->payload_hash);
}

static void on_ack(void *context, tf_mqtt_request_t type, uint16_t id, const uint8_t *codes, uint32_t count) {
    note(context, "ack %d id %d:", type, id);
    for (uint32_t i = 0; i < count; i++) note(context, " %02x", codes[i]);
    note(context, "\n");
}

void harness_init(harness_t *harness) {
    memset(harness, 0, sizeof *harness);
    harness->room = sizeof harness->sent;
    const tf_mqtt_transport_t transport = {harness, room, write, flush, end};
    const tf_mqtt_events_t events = {harness, on_connected, on_closed, on_message, on_payload, on_ack};
    tf_mqtt_init(&harness->client, &transport, &events);
}

tf_mqtt_options_t harness_options(void) {
    return (tf_mqtt_options_t){.client_id = "n1",
                               .keepalive_s = 60,
                               .receive_maximum = 4,
                               .maximum_packet_bytes = 8192,
                               .answer_timeout_ms = 10000};
}

void harness_clear(harness_t *harness) {
    harness->sent_bytes = harness->log_bytes = 0;
    harness->log[0] = 0;
}

void harness_online(harness_t *harness) {
    tf_mqtt_options_t options = harness_options();
    harness_init(harness);
    CHECK(tf_mqtt_open(&harness->client, &options, 0));
    tf_mqtt_opened(&harness->client, 0);
    tf_mqtt_input(&harness->client, BYTES(0x20, 3, 0, 0, 0), 0);
    CHECK_TEXT(harness->log, "connected\n");
    harness_clear(harness);
}

uint32_t harness_random(void) {
    static uint32_t state = 0x2545F491u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}
