#include "session.h"

#include <string.h>

#include "entropy.h"
#include "secure.h"
#include "tinyfleet/node_port.h"

#define RETRY_FIRST_MS 500u
#define RETRY_MOST_MS 30000u
#define NETWORK_POLL_MS 100u
#define ANSWER_TIMEOUT_MS 10000u
#define RECEIVE_MAXIMUM 32u
#define MQTT_WITH_WILL 4u          /* DISCONNECT's reason (MQTT 5.0, 3.14.2.1) */
#define PACKET_OVERHEAD_BYTES 256u /* header, topic and properties beside a message of ours */
#define PACKET_LEAST_BYTES (1024u + PACKET_OVERHEAD_BYTES) /* of our largest: births, reports, samples */

static const char *end_text(tf_mqtt_end_t why) {
    static const char *const texts[] = {
        [TF_MQTT_END_CLOSED] = "closed by us",        [TF_MQTT_END_LINK] = "connection lost",
        [TF_MQTT_END_TIMEOUT] = "no answer in time",  [TF_MQTT_END_REFUSED] = "broker refused",
        [TF_MQTT_END_SERVER] = "broker disconnected", [TF_MQTT_END_PROTOCOL] = "broker broke the protocol",
    };
    return texts[why];
}

static uint32_t encode_conn(const session_t *session, tf_conn_state_t state, uint8_t *out,
                            uint32_t capacity) {
    const tf_conn_t conn = {.boot = session->boot,
                            .conn = session->conn,
                            .state = state,
                            .has_next_wake_s = state == TF_CONN_STATE_ASLEEP,
                            .next_wake_s = session->next_wake_s};
    return tf_encode_conn(&conn, out, capacity);
}

static void on_connected(void *context) {
    session_t *session = context;
    /* Its limit would make "not now" of a birth for ever. */
    if (session->client.server_packet_bytes < PACKET_LEAST_BYTES) {
        tf_mqtt_close(&session->client, 0);
        session->trouble = "the broker takes smaller packets than this node writes";
        tf_console("mqtt: %s", session->trouble);
        return;
    }
    uint8_t payload[sizeof session->will];
    uint32_t size = encode_conn(session, TF_CONN_STATE_ONLINE, payload, sizeof payload);
    const tf_mqtt_filter_t want = {.filter = session->want_topic, .qos = 1, .retain_handling = 0};
    int32_t id = tf_mqtt_subscribe(&session->client, &want, 1);
    if (id > 0 && tf_mqtt_publish(&session->client, session->conn_topic, payload, size, 1, true) > 0) {
        session->want_id = (uint16_t)id;
        return;
    }
    tf_mqtt_close(&session->client,
                  0); /* a fresh connection has room: only a broker with absurd limits comes here */
}

/* Half to the whole of a pause that doubles, so that a fleet does not come back in step. */
static uint32_t pause_ms(session_t *session) {
    uint32_t pause = RETRY_FIRST_MS;
    for (uint32_t i = 0; i < session->failures && pause < RETRY_MOST_MS; i++) pause *= 2;
    if (pause > RETRY_MOST_MS) pause = RETRY_MOST_MS;
    session->failures++;
    return pause / 2 + entropy_next() % (pause / 2);
}

static void on_closed(void *context, tf_mqtt_end_t why, uint8_t reason) {
    session_t *session = context;
    /* One that did not last is no success: a broker that takes us on only to drop us gets no storm. */
    if (session->up && session->link.now_ms() - session->up_ms >= RETRY_MOST_MS) session->failures = 0;
    session->trouble = end_text(why);
    const char *refusal = secure_refusal();
    if (refusal != NULL) {
        session->trouble = session->refusal = refusal;
        session->refusals++;
    }
    if (!session->closes) {
        uint32_t pause = pause_ms(session);
        session->retry_ms = session->link.now_ms() + pause;
        tf_console("mqtt: %s (0x%02x); again in %lu ms", end_text(why), reason, (unsigned long)pause);
    }
    session->says_asleep = false;
    if (!session->up) return;
    session->up = false;
    session->events.on_link(session->events.context, false);
}

static void on_message(void *context, const tf_mqtt_message_t *message) {
    session_t *session = context;
    const tf_text_t topic = {message->topic, message->topic_bytes};
    session->fill = 0;
    session->too_large = message->payload_bytes > sizeof session->message;
    if (topic.length == strlen(session->want_topic) &&
        memcmp(topic.text, session->want_topic, topic.length) == 0) {
        session->kind = MESSAGE_WANT;
    } else if (tf_topic_blob_parse(topic, session->settings->config.prefix, &session->chunk)) {
        session->kind = MESSAGE_CHUNK;
    } else {
        session->kind = MESSAGE_OTHER;
    }
}

static void deliver(session_t *session, const uint8_t *data, uint32_t size) {
    if (session->kind == MESSAGE_WANT) {
        session->heard_want = true;
        session->events.on_want(session->events.context, data, size);
    }
    if (session->kind == MESSAGE_CHUNK) {
        session->events.on_chunk(session->events.context, &session->chunk, data, size);
    }
}

static void on_payload(void *context, const uint8_t *data, uint32_t size, bool last) {
    session_t *session = context;
    if (session->too_large) {
        if (last) tf_console("mqtt: message larger than %u bytes ignored", TF_MESSAGE_MAX_BYTES);
        return;
    }
    if (last && session->fill == 0) {
        deliver(session, data, size);
        return;
    }
    if (size > 0) memcpy(session->message + session->fill, data, size);
    session->fill += size;
    if (last) deliver(session, session->message, session->fill);
}

static void on_ack(void *context, tf_mqtt_request_t type, uint16_t id, const uint8_t *codes, uint32_t count) {
    session_t *session = context;
    for (uint32_t i = 0; i < count; i++) {
        if (codes[i] >= 0x80) tf_console("mqtt: broker refused request %d: 0x%02x", type, codes[i]);
    }
    if (type == TF_MQTT_PUBLISH) session->events.on_published(session->events.context, id, codes[0] < 0x80);
    if (type != TF_MQTT_SUBSCRIBE || id != session->want_id) return;
    session->want_id = 0;
    if (codes[0] >= 0x80) {
        tf_mqtt_close(&session->client, 0);
        return;
    }
    session->up = true;
    session->up_ms = session->link.now_ms();
    session->events.on_link(session->events.context, true);
}

static session_problem_t set_up(session_t *session, uint32_t (*now_ms)(void)) {
    const settings_t *settings = session->settings;
    tf_mqtt_transport_t transport = tf_link_transport(&session->link, &session->client, now_ms);
    if (settings->config.has_tls &&
        !secure_transport(&settings->config.tls, &session->link, &session->client, &transport)) {
        return SESSION_NO_TLS;
    }
    const tf_mqtt_events_t mqtt = {session, on_connected, on_closed, on_message, on_payload, on_ack};
    tf_mqtt_init(&session->client, &transport, &mqtt);
    const tf_config_t *config = &settings->config;
    bool fits =
        tf_topic_device(session->want_topic, TF_TOPIC_MAX, config->prefix, config->device, "want") > 0 &&
        tf_topic_device(session->conn_topic, TF_TOPIC_MAX, config->prefix, config->device, "conn") > 0;
    return fits ? SESSION_OK : SESSION_TOPIC;
}

session_problem_t session_init(session_t *session, const settings_t *settings, uint32_t boot,
                               const session_events_t *events, uint32_t (*now_ms)(void)) {
    memset(session, 0, sizeof *session);
    session->settings = settings;
    session->events = *events;
    session->boot = boot;
    return set_up(session, now_ms);
}

session_problem_t session_renew(session_t *session) {
    /* With the will: until the next connection, here or elsewhere, the node is away. */
    if (session->client.state != TF_MQTT_IDLE) tf_mqtt_close(&session->client, MQTT_WITH_WILL);
    const tf_mqtt_counters_t counters = session->client.counters;
    const tf_node_port_t *port = session->link.port;
    session_problem_t problem = set_up(session, session->link.now_ms);
    session->client.counters = counters;
    session->link.port = port;
    session->failures = 0;
    session->retry_ms = session->link.now_ms();
    return problem;
}

static void connect(session_t *session, uint32_t now_ms) {
    const settings_t *settings = session->settings;
    session->conn++;
    session->want_id = 0;
    session->heard_want = session->closes = session->says_asleep = false;
    const tf_mqtt_options_t options = {
        .client_id = settings->device,
        .user = settings->user,
        .password = settings->config.password.data,
        .password_bytes = (uint16_t)settings->config.password.length,
        .will_topic = session->conn_topic,
        .will = session->will,
        .will_bytes = (uint16_t)encode_conn(session, TF_CONN_STATE_LOST, session->will, sizeof session->will),
        .keepalive_s = settings->config.keepalive_s,
        .receive_maximum = RECEIVE_MAXIMUM,
        .maximum_packet_bytes = TF_MESSAGE_MAX_BYTES + PACKET_OVERHEAD_BYTES,
        .answer_timeout_ms = ANSWER_TIMEOUT_MS,
    };
    if (!tf_mqtt_open(&session->client, &options, now_ms)) return;
    if (!tf_link_connect(&session->link, settings->config.host, settings->config.port)) {
        tf_mqtt_lost(&session->client);
    }
}

uint32_t session_poll(session_t *session, bool network, uint32_t now_ms) {
    if (session->client.state != TF_MQTT_IDLE) return tf_mqtt_tick(&session->client, now_ms);
    if (session->closes) return UINT32_MAX;
    if (!network) return NETWORK_POLL_MS;
    uint32_t wait_ms = session->retry_ms - now_ms;
    if (session->conn > 0 && wait_ms != 0 && wait_ms <= RETRY_MOST_MS) return wait_ms;
    connect(session, now_ms);
    return 0;
}

bool session_ready(const session_t *session, uint32_t bytes) {
    return session->up && tf_mqtt_ready(&session->client, bytes + PACKET_OVERHEAD_BYTES);
}

bool session_publish(session_t *session, const char *leaf, const uint8_t *payload, uint32_t size,
                     bool retain) {
    const tf_config_t *config = &session->settings->config;
    char topic[TF_TOPIC_MAX];
    if (tf_topic_device(topic, sizeof topic, config->prefix, config->device, leaf) == 0) return false;
    int32_t id = tf_mqtt_publish(&session->client, topic, payload, size, 1, retain);
    if (id > 0) session->published = (uint16_t)id;
    return id > 0;
}

void session_say_asleep(session_t *session) {
    uint8_t payload[sizeof session->will];
    uint32_t size = encode_conn(session, TF_CONN_STATE_ASLEEP, payload, sizeof payload);
    session->says_asleep = !session_publish(session, "conn", payload, size, true);
}

void session_close(session_t *session) {
    session->closes = true;
    tf_mqtt_close(&session->client, 0);
}

void session_wake(session_t *session) {
    session->closes = false;
    session->failures = 0;
    session->retry_ms = session->link.now_ms();
}

bool session_subscribe(session_t *session, const uint8_t manifest[16], uint16_t group) {
    char topic[TF_TOPIC_MAX];
    const tf_mqtt_filter_t filter = {.filter = topic, .qos = 1, .retain_handling = 0};
    return tf_topic_blob(topic, sizeof topic, session->settings->config.prefix, manifest, group) > 0 &&
           tf_mqtt_subscribe(&session->client, &filter, 1) > 0;
}

bool session_unsubscribe(session_t *session, const uint8_t manifest[16], uint16_t group) {
    char topic[TF_TOPIC_MAX];
    const char *filters[] = {topic};
    return tf_topic_blob(topic, sizeof topic, session->settings->config.prefix, manifest, group) > 0 &&
           tf_mqtt_unsubscribe(&session->client, filters, 1) > 0;
}
