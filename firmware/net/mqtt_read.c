/* The receiving half: packets are cut out of the stream, headers collected, payloads passed on as they come.
 */
#include <string.h>

#include "mqtt_client.h"
#include "mqtt_packet.h"

static uint8_t packet_type(const tf_mqtt_t *client) {
    return client->read_first >> 4;
}

static uint8_t message_qos(const tf_mqtt_t *client) {
    return client->read_first >> 1 & 3;
}

/* Checks the fixed header's first byte (2.1.3) and that the packet may come now. */
static uint8_t check_first(const tf_mqtt_t *client) {
    uint8_t type = packet_type(client), flags = client->read_first & 0x0F;
    if (type == MQTT_PUBLISH) {
        if (message_qos(client) == 3) return MQTT_MALFORMED;
        if (message_qos(client) == 2) return MQTT_QOS_NOT_SUPPORTED; /* we subscribe with 1 at most */
        if (message_qos(client) == 0 && (flags & 0x08) != 0) return MQTT_MALFORMED;
    } else if (flags != 0) {
        return MQTT_MALFORMED;
    }
    bool first = client->state == TF_MQTT_CONNECTING;
    switch (type) {
        case MQTT_CONNACK:
            return first ? MQTT_OK : MQTT_PROTOCOL_ERROR;
        case MQTT_PUBLISH:
        case MQTT_PUBACK:
        case MQTT_SUBACK:
        case MQTT_UNSUBACK:
        case MQTT_PINGRESP:
        case MQTT_DISCONNECT:
            return first ? MQTT_PROTOCOL_ERROR : MQTT_OK;
        default:
            return MQTT_PROTOCOL_ERROR;
    }
}

/* Bytes of a PUBLISH before its payload, as far as the bytes so far can tell: the same again means complete.
 * 0: its property length is malformed. */
static uint32_t publish_header_bytes(const tf_mqtt_t *client) {
    const uint8_t *header = client->header;
    if (client->read_fill < 2) return 2;
    uint32_t need = 2u + (uint32_t)(header[0] << 8 | header[1]) + (message_qos(client) > 0 ? 2 : 0);
    uint32_t properties = 0;
    for (uint32_t i = 0; i < 4; i++) {
        need++;
        if (client->read_fill < need) return need;
        uint8_t byte = header[need - 1];
        properties |= (uint32_t)(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0) return need + properties;
    }
    return 0;
}

static uint8_t handle_connack(tf_mqtt_t *client, mqtt_cursor_t *cursor) {
    uint8_t flags, reason;
    mqtt_properties_t properties;
    if (!mqtt_take_u8(cursor, &flags) || !mqtt_take_u8(cursor, &reason)) return MQTT_MALFORMED;
    uint8_t result = mqtt_take_properties(cursor, MQTT_CONNACK, &properties);
    if (result != MQTT_OK) return result;
    if (cursor->at != cursor->end || (flags & 0xFE) != 0) return MQTT_MALFORMED;
    if (flags != 0) return MQTT_PROTOCOL_ERROR; /* a session although we asked for a clean start */
    if (reason == MQTT_OK && properties.maximum_qos == 0) reason = MQTT_QOS_NOT_SUPPORTED;
    if (reason == MQTT_OK && !properties.retain_available) reason = MQTT_RETAIN_NOT_SUPPORTED;
    if (reason == MQTT_OK && !properties.wildcards_available) reason = MQTT_WILDCARDS_NOT_SUPPORTED;
    if (reason != MQTT_OK) {
        mqtt_client_end(client, TF_MQTT_END_REFUSED, reason);
        return MQTT_OK;
    }
    if (properties.has_server_keepalive) client->keepalive_s = properties.server_keepalive_s;
    client->server_receive_maximum = properties.receive_maximum;
    client->server_packet_bytes = properties.maximum_packet_bytes;
    client->state = TF_MQTT_ONLINE;
    client->counters.connections++;
    client->events.on_connected(client->events.context);
    return MQTT_OK;
}

static uint8_t handle_puback(tf_mqtt_t *client, mqtt_cursor_t *cursor) {
    uint16_t id;
    uint8_t reason = MQTT_OK, count;
    mqtt_properties_t properties;
    if (!mqtt_take_u16(cursor, &id)) return MQTT_MALFORMED;
    if (cursor->at < cursor->end) (void)mqtt_take_u8(cursor, &reason);
    if (cursor->at < cursor->end) {
        uint8_t result = mqtt_take_properties(cursor, MQTT_PUBACK, &properties);
        if (result != MQTT_OK) return result;
    }
    if (cursor->at != cursor->end) return MQTT_MALFORMED;
    if (!mqtt_client_settle(client, TF_MQTT_PUBLISH, id, &count)) return MQTT_PROTOCOL_ERROR;
    client->events.on_ack(client->events.context, TF_MQTT_PUBLISH, id, &reason, 1);
    return MQTT_OK;
}

/* SUBACK and UNSUBACK: one reason code a filter. */
static uint8_t handle_codes(tf_mqtt_t *client, mqtt_cursor_t *cursor, uint8_t type,
                            tf_mqtt_request_t request) {
    uint16_t id;
    uint8_t count;
    mqtt_properties_t properties;
    if (!mqtt_take_u16(cursor, &id)) return MQTT_MALFORMED;
    uint8_t result = mqtt_take_properties(cursor, type, &properties);
    if (result != MQTT_OK) return result;
    if (!mqtt_client_settle(client, request, id, &count)) return MQTT_PROTOCOL_ERROR;
    if (cursor->end - cursor->at != count) return MQTT_PROTOCOL_ERROR;
    client->events.on_ack(client->events.context, request, id, cursor->at, count);
    return MQTT_OK;
}

static uint8_t handle_disconnect(tf_mqtt_t *client, mqtt_cursor_t *cursor) {
    uint8_t reason = MQTT_OK;
    mqtt_properties_t properties;
    if (cursor->at < cursor->end) (void)mqtt_take_u8(cursor, &reason);
    if (cursor->at < cursor->end) {
        uint8_t result = mqtt_take_properties(cursor, MQTT_DISCONNECT, &properties);
        if (result != MQTT_OK) return result;
    }
    if (cursor->at != cursor->end) return MQTT_MALFORMED;
    mqtt_client_end(client, TF_MQTT_END_SERVER, reason);
    return MQTT_OK;
}

static uint8_t end_message(tf_mqtt_t *client, const uint8_t *data, uint32_t size) {
    client->read_state = MQTT_READ_TYPE;
    client->events.on_payload(client->events.context, data, size, true);
    if (client->state != TF_MQTT_ONLINE || client->message_id == 0) return MQTT_OK;
    return mqtt_client_acknowledge(client, client->message_id) ? MQTT_OK : MQTT_RECEIVE_MAXIMUM_EXCEEDED;
}

static uint8_t handle_publish(tf_mqtt_t *client, mqtt_cursor_t *cursor) {
    tf_mqtt_message_t message = {.qos = message_qos(client), .retain = (client->read_first & 1) != 0};
    mqtt_properties_t properties;
    if (!mqtt_take_text(cursor, &message.topic, &message.topic_bytes)) return MQTT_MALFORMED;
    if (message.topic_bytes == 0)
        return MQTT_PROTOCOL_ERROR; /* only an alias could stand for it: we allow none */
    for (uint32_t i = 0; i < message.topic_bytes; i++) {
        if (message.topic[i] == '+' || message.topic[i] == '#') return MQTT_TOPIC_INVALID;
    }
    client->message_id = 0;
    if (message.qos > 0) {
        if (!mqtt_take_u16(cursor, &client->message_id)) return MQTT_MALFORMED;
        if (client->message_id == 0) return MQTT_PROTOCOL_ERROR;
        if (client->acks_count >= client->options.receive_maximum) return MQTT_RECEIVE_MAXIMUM_EXCEEDED;
    }
    uint8_t result = mqtt_take_properties(cursor, MQTT_PUBLISH, &properties);
    if (result != MQTT_OK) return result;
    message.payload_bytes = client->read_left;
    client->read_state = MQTT_READ_PAYLOAD;
    client->events.on_message(client->events.context, &message);
    if (client->state != TF_MQTT_ONLINE || client->read_left > 0) return MQTT_OK;
    return end_message(client, client->header, 0);
}

static uint8_t handle_packet(tf_mqtt_t *client) {
    mqtt_cursor_t cursor = {client->header, client->header + client->read_fill};
    client->read_state = MQTT_READ_TYPE;
    switch (packet_type(client)) {
        case MQTT_CONNACK:
            return handle_connack(client, &cursor);
        case MQTT_PUBLISH:
            return handle_publish(client, &cursor);
        case MQTT_PUBACK:
            return handle_puback(client, &cursor);
        case MQTT_SUBACK:
            return handle_codes(client, &cursor, MQTT_SUBACK, TF_MQTT_SUBSCRIBE);
        case MQTT_UNSUBACK:
            return handle_codes(client, &cursor, MQTT_UNSUBACK, TF_MQTT_UNSUBSCRIBE);
        case MQTT_PINGRESP:
            client->ping_waits = false;
            return client->read_fill == 0 ? MQTT_OK : MQTT_MALFORMED;
        default:
            return handle_disconnect(client, &cursor);
    }
}

/* Called with the packet's length known, and again each time the bytes asked for are there. */
static uint8_t want_header(tf_mqtt_t *client) {
    uint32_t need = client->read_left + client->read_fill;
    if (packet_type(client) == MQTT_PUBLISH) {
        uint32_t whole = need;
        need = publish_header_bytes(client);
        if (need == 0 || need > whole) return MQTT_MALFORMED;
    }
    if (need > sizeof client->header) return MQTT_PACKET_TOO_LARGE;
    client->read_need = need;
    client->read_state = MQTT_READ_HEADER;
    return need == client->read_fill ? handle_packet(client) : MQTT_OK;
}

static uint8_t read_length(tf_mqtt_t *client, uint8_t byte) {
    uint32_t shift = 7u * client->read_length_bytes++;
    client->read_left |= (uint32_t)(byte & 0x7F) << shift;
    if ((byte & 0x80) != 0) return client->read_length_bytes == 4 ? MQTT_MALFORMED : MQTT_OK;
    if (byte == 0 && client->read_length_bytes > 1) return MQTT_MALFORMED; /* not the shortest form */
    if (1u + client->read_length_bytes + client->read_left > client->options.maximum_packet_bytes) {
        return MQTT_PACKET_TOO_LARGE;
    }
    client->read_fill = 0;
    return want_header(client);
}

/* Uses at least one byte; `used` says how many. */
static uint8_t step(tf_mqtt_t *client, const uint8_t *data, uint32_t size, uint32_t *used) {
    *used = 1;
    switch (client->read_state) {
        case MQTT_READ_TYPE:
            client->read_first = data[0];
            client->read_left = 0;
            client->read_length_bytes = 0;
            client->read_state = MQTT_READ_LENGTH;
            return check_first(client);
        case MQTT_READ_LENGTH:
            return read_length(client, data[0]);
        case MQTT_READ_HEADER:
            if (size > client->read_need - client->read_fill) size = client->read_need - client->read_fill;
            memcpy(client->header + client->read_fill, data, size);
            client->read_fill += size;
            client->read_left -= size;
            *used = size;
            return client->read_fill == client->read_need ? want_header(client) : MQTT_OK;
        default:
            if (size > client->read_left) size = client->read_left;
            client->read_left -= size;
            *used = size;
            if (client->read_left == 0) return end_message(client, data, size);
            client->events.on_payload(client->events.context, data, size, false);
            return MQTT_OK;
    }
}

void tf_mqtt_input(tf_mqtt_t *client, const uint8_t *data, uint32_t size, uint32_t now_ms) {
    client->now_ms = now_ms;
    client->counters.rx_bytes += size;
    while (size > 0 && client->state > TF_MQTT_OPENING) {
        uint32_t used;
        uint8_t reason = step(client, data, size, &used);
        if (reason != MQTT_OK) mqtt_client_end(client, TF_MQTT_END_PROTOCOL, reason);
        data += used;
        size -= used;
    }
    tf_mqtt_writable(client, now_ms);
}
