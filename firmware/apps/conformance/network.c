/* To the broker of the board's configuration and back: connect, subscribe, publish, each answered. */
#include <string.h>

#include "../node/entropy.h"
#include "../node/layout.h"
#include "conformance.h"
#include "tinyfleet/link.h"
#include "tinyfleet/wire.h"

#define TIMEOUT_MS 10000u
#define PAYLOAD_BYTES 1000u /* more than one answer's room, less than a segment */

typedef struct {
    const tf_conformance_port_t *port;
    tf_config_t config;
    char device[TF_DEVICE_ID_MAX + 1], user[TF_DEVICE_ID_MAX + 1];
    char want[TF_TOPIC_MAX], status[TF_TOPIC_MAX];
    tf_mqtt_t client;
    tf_link_t link;
    bool subscribed, published, closed;
} probe_t;

static probe_t probe;

static uint32_t now_ms(void) {
    return (uint32_t)(tf_node_port()->now_us() / 1000u);
}

static void on_connected(void *context) {
    probe_t *self = context;
    uint8_t payload[PAYLOAD_BYTES];
    memset(payload, 0, sizeof payload);
    const tf_mqtt_filter_t want = {.filter = self->want, .qos = 1, .retain_handling = 2};
    if (tf_mqtt_subscribe(&self->client, &want, 1) <= 0 ||
        tf_mqtt_publish(&self->client, self->status, payload, sizeof payload, 1, false) <= 0) {
        tf_mqtt_close(&self->client, 0);
    }
}

static void on_closed(void *context, tf_mqtt_end_t why, uint8_t reason) {
    probe_t *self = context;
    self->closed = true;
    if (why != TF_MQTT_END_CLOSED) tf_console("# mqtt ended: %d (0x%02x)", why, reason);
}

static void on_message(void *context, const tf_mqtt_message_t *message) {
    (void)context, (void)message;
}

static void on_payload(void *context, const uint8_t *data, uint32_t size, bool last) {
    (void)context, (void)data, (void)size, (void)last;
}

static void on_ack(void *context, tf_mqtt_request_t type, uint16_t id, const uint8_t *codes, uint32_t count) {
    probe_t *self = context;
    (void)id;
    bool taken = count > 0 && codes[0] < 0x80;
    if (type == TF_MQTT_SUBSCRIBE) self->subscribed = taken;
    if (type == TF_MQTT_PUBLISH) self->published = taken;
}

static bool copy(char to[TF_DEVICE_ID_MAX + 1], tf_text_t text) {
    if (text.length > TF_DEVICE_ID_MAX) return false;
    memcpy(to, text.text, text.length);
    to[text.length] = 0;
    return true;
}

static bool read_config(probe_t *self) {
    const tf_flash_t *flash = self->port->node->flash();
    const uint8_t *area = flash->map(flash->context, LAYOUT_CONFIG_A, LAYOUT_CONFIG_BYTES);
    const tf_config_t *config = &self->config;
    return area != NULL && tf_record_config(area, LAYOUT_CONFIG_BYTES, &self->config) == TF_WIRE_OK &&
           copy(self->device, config->device) && copy(self->user, config->user) &&
           tf_topic_device(self->want, TF_TOPIC_MAX, config->prefix, config->device, "want") > 0 &&
           tf_topic_device(self->status, TF_TOPIC_MAX, config->prefix, config->device, "status") > 0;
}

static bool turn_until(probe_t *self, const bool *what) {
    for (uint32_t begun_ms = now_ms(); now_ms() - begun_ms < TIMEOUT_MS && !self->closed;) {
        self->port->node->watchdog_feed();
        bool address = tf_link_poll(&self->link);
        if (*what) return true;
        uint32_t wait_ms = tf_mqtt_tick(&self->client, now_ms());
        if (address && self->client.state == TF_MQTT_IDLE) {
            const tf_mqtt_options_t options = {
                .client_id = self->device,
                .user = self->user,
                .password = self->config.password.data,
                .password_bytes = (uint16_t)self->config.password.length,
                .keepalive_s = 10,
                .receive_maximum = 8,
                .maximum_packet_bytes = 4096,
                .answer_timeout_ms = TIMEOUT_MS,
            };
            if (!tf_mqtt_open(&self->client, &options, now_ms()) ||
                !tf_link_connect(&self->link, self->config.host, self->config.port)) {
                return false;
            }
            wait_ms = 0;
        }
        tf_link_idle(&self->link, wait_ms < 100u ? wait_ms : 100u);
    }
    return *what;
}

answer_t check_network(const tf_conformance_port_t *port) {
    probe.port = port;
    if (!read_config(&probe)) return SKIPPED("no configuration record names a broker");
    if (probe.config.has_tls) return SKIPPED("the configuration asks for TLS; this speaks in the clear");
    const tf_mqtt_events_t events = {&probe, on_connected, on_closed, on_message, on_payload, on_ack};
    const tf_mqtt_transport_t transport = tf_link_transport(&probe.link, &probe.client, now_ms);
    entropy_start(probe.config.seed, 0);
    tf_mqtt_init(&probe.client, &transport, &events);
    const char *why = tf_link_start(&probe.link, port->node, probe.device);
    if (why != NULL) return FAILED(why);
    EXPECT(turn_until(&probe, &probe.published), "no answer to a message");
    EXPECT(turn_until(&probe, &probe.subscribed), "no answer to a subscription");
    tf_mqtt_close(&probe.client, 0);
    return PASSED;
}
