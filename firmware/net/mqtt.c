#include "tinyfleet/mqtt.h"

#include <string.h>

#include "mqtt_client.h"
#include "mqtt_packet.h"

#define ACK_BYTES 4u
#define PROTOCOL_VERSION 5u
#define PROPERTY_RECEIVE_MAXIMUM 0x21u
#define PROPERTY_MAXIMUM_PACKET 0x27u
#define PROPERTY_REQUEST_PROBLEM 0x17u

void tf_mqtt_init(tf_mqtt_t *client, const tf_mqtt_transport_t *transport, const tf_mqtt_events_t *events) {
    memset(client, 0, sizeof *client);
    client->transport = *transport;
    client->events = *events;
}

/* Queues one packet whole or not at all; a packet cut short would break the stream. */
static int32_t send(tf_mqtt_t *client, const uint8_t *head, uint32_t head_bytes, const uint8_t *payload,
                    uint32_t payload_bytes) {
    const tf_mqtt_transport_t *link = &client->transport;
    if (link->room(link->context) < head_bytes + payload_bytes) return TF_MQTT_ERR_ROOM;
    if (link->write(link->context, head, head_bytes, payload_bytes > 0) != 0) return TF_MQTT_ERR_ROOM;
    if (payload_bytes > 0 && link->write(link->context, payload, payload_bytes, false) != 0) {
        mqtt_client_end(client, TF_MQTT_END_LINK, MQTT_OK);
        return TF_MQTT_ERR_ROOM;
    }
    link->flush(link->context);
    client->counters.tx_bytes += head_bytes + payload_bytes;
    client->last_tx_ms = client->now_ms;
    return 0;
}

void mqtt_client_end(tf_mqtt_t *client, tf_mqtt_end_t why, uint8_t reason) {
    if (client->state == TF_MQTT_IDLE) return;
    bool tell = why == TF_MQTT_END_CLOSED || why == TF_MQTT_END_PROTOCOL || why == TF_MQTT_END_TIMEOUT;
    if (tell && client->state == TF_MQTT_ONLINE) {
        const uint8_t packet[] = {MQTT_DISCONNECT << 4, 1, reason};
        (void)send(client, packet, sizeof packet, NULL, 0);
    }
    client->state = TF_MQTT_IDLE;
    client->transport.close(client->transport.context);
    client->events.on_closed(client->events.context, why, reason);
}

bool tf_mqtt_open(tf_mqtt_t *client, const tf_mqtt_options_t *options, uint32_t now_ms) {
    if (client->state != TF_MQTT_IDLE || options->receive_maximum == 0 ||
        options->maximum_packet_bytes == 0 || options->receive_maximum > TF_MQTT_ACKS) {
        return false;
    }
    client->options = *options;
    client->state = TF_MQTT_OPENING;
    client->now_ms = client->since_ms = client->last_tx_ms = now_ms;
    client->keepalive_s = options->keepalive_s;
    client->ping_waits = false;
    client->server_receive_maximum = UINT16_MAX;
    client->server_packet_bytes = UINT32_MAX;
    memset(client->waits, 0, sizeof client->waits);
    client->acks_count = 0;
    client->read_state = MQTT_READ_TYPE;
    return true;
}

void tf_mqtt_opened(tf_mqtt_t *client, uint32_t now_ms) {
    if (client->state != TF_MQTT_OPENING) return;
    client->now_ms = now_ms;
    const tf_mqtt_options_t *options = &client->options;
    uint8_t bytes[TF_MQTT_PACKET_BYTES];
    mqtt_writer_t writer;
    mqtt_writer_begin(&writer, bytes, sizeof bytes);
    mqtt_put_text(&writer, "MQTT");
    mqtt_put_u8(&writer, PROTOCOL_VERSION);
    uint8_t flags = 0x02; /* Clean Start */
    if (options->will_topic != NULL) flags |= 0x04 | 1u << 3 | 0x20;
    if (options->password != NULL) flags |= 0x40;
    if (options->user != NULL) flags |= 0x80;
    mqtt_put_u8(&writer, flags);
    mqtt_put_u16(&writer, options->keepalive_s);
    /* Session Expiry absent is 0; Request Problem Information 0 spares us texts we would not read. */
    mqtt_put_u8(&writer, 3 + 5 + 2);
    mqtt_put_u8(&writer, PROPERTY_RECEIVE_MAXIMUM);
    mqtt_put_u16(&writer, options->receive_maximum);
    mqtt_put_u8(&writer, PROPERTY_MAXIMUM_PACKET);
    mqtt_put_u32(&writer, options->maximum_packet_bytes);
    mqtt_put_u8(&writer, PROPERTY_REQUEST_PROBLEM);
    mqtt_put_u8(&writer, 0);
    mqtt_put_text(&writer, options->client_id);
    if (options->will_topic != NULL) {
        mqtt_put_u8(&writer, 0);
        mqtt_put_text(&writer, options->will_topic);
        mqtt_put_binary(&writer, options->will, options->will_bytes);
    }
    if (options->user != NULL) mqtt_put_text(&writer, options->user);
    if (options->password != NULL) mqtt_put_binary(&writer, options->password, options->password_bytes);
    uint32_t size;
    const uint8_t *packet = mqtt_writer_end(&writer, MQTT_CONNECT << 4, 0, &size);
    client->state = TF_MQTT_CONNECTING;
    if (packet == NULL || send(client, packet, size, NULL, 0) != 0) {
        mqtt_client_end(client, TF_MQTT_END_LINK, MQTT_OK);
        return;
    }
    client->since_ms = now_ms;
}

static void flush_acknowledgements(tf_mqtt_t *client) {
    if (client->state != TF_MQTT_ONLINE || client->acks_count == 0) return;
    const tf_mqtt_transport_t *link = &client->transport;
    uint32_t count = link->room(link->context) / ACK_BYTES;
    if (count > client->acks_count) count = client->acks_count;
    if (count == 0) return;
    uint8_t packets[TF_MQTT_ACKS * ACK_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        uint16_t id = client->acks[(client->acks_first + i) % TF_MQTT_ACKS];
        const uint8_t packet[ACK_BYTES] = {MQTT_PUBACK << 4, 2, (uint8_t)(id >> 8), (uint8_t)id};
        memcpy(packets + i * ACK_BYTES, packet, ACK_BYTES);
    }
    if (send(client, packets, count * ACK_BYTES, NULL, 0) != 0) return;
    client->acks_first = (uint8_t)((client->acks_first + count) % TF_MQTT_ACKS);
    client->acks_count = (uint8_t)(client->acks_count - count);
}

bool mqtt_client_acknowledge(tf_mqtt_t *client, uint16_t id) {
    if (client->acks_count >= client->options.receive_maximum) return false;
    client->acks[(client->acks_first + client->acks_count++) % TF_MQTT_ACKS] = id;
    return true;
}

void tf_mqtt_writable(tf_mqtt_t *client, uint32_t now_ms) {
    client->now_ms = now_ms;
    flush_acknowledgements(client);
}

void tf_mqtt_lost(tf_mqtt_t *client) {
    mqtt_client_end(client, TF_MQTT_END_LINK, MQTT_OK);
}

void tf_mqtt_close(tf_mqtt_t *client, uint8_t reason) {
    mqtt_client_end(client, TF_MQTT_END_CLOSED, reason);
}

static tf_mqtt_wait_t *find_wait(tf_mqtt_t *client, uint16_t id) {
    for (uint32_t i = 0; i < TF_MQTT_INFLIGHT; i++) {
        if (client->waits[i].id == id) return &client->waits[i];
    }
    return NULL;
}

bool mqtt_client_settle(tf_mqtt_t *client, tf_mqtt_request_t type, uint16_t id, uint8_t *count) {
    tf_mqtt_wait_t *wait = id == 0 ? NULL : find_wait(client, id);
    if (wait == NULL || wait->type != type) return false;
    *count = wait->count;
    wait->id = 0;
    return true;
}

/* Whether one more of ours may wait. The server's Receive Maximum bounds PUBLISH alone (3.2.2.3.3). */
static bool may_wait(const tf_mqtt_t *client, tf_mqtt_request_t type) {
    uint32_t waits = 0, publishes = 0;
    for (uint32_t i = 0; i < TF_MQTT_INFLIGHT; i++) {
        waits += client->waits[i].id != 0;
        publishes += client->waits[i].id != 0 && client->waits[i].type == TF_MQTT_PUBLISH;
    }
    return waits < TF_MQTT_INFLIGHT &&
           (type != TF_MQTT_PUBLISH || publishes < client->server_receive_maximum);
}

bool tf_mqtt_ready(const tf_mqtt_t *client, uint32_t bytes) {
    return client->state == TF_MQTT_ONLINE && may_wait(client, TF_MQTT_PUBLISH) &&
           client->transport.room(client->transport.context) >= bytes;
}

bool tf_mqtt_settled(const tf_mqtt_t *client) {
    for (uint32_t i = 0; i < TF_MQTT_INFLIGHT; i++) {
        if (client->waits[i].id != 0) return false;
    }
    return true;
}

/* A free entry with a fresh identifier, or NULL. It counts only once the packet is queued: see `keep_wait`.
 */
static tf_mqtt_wait_t *new_wait(tf_mqtt_t *client, tf_mqtt_request_t type, uint32_t count, uint16_t *id) {
    if (!may_wait(client, type)) return NULL;
    tf_mqtt_wait_t *wait = find_wait(client, 0);
    do {
        client->next_id++;
    } while (client->next_id == 0 || find_wait(client, client->next_id) != NULL);
    *id = client->next_id;
    wait->type = type;
    wait->count = (uint8_t)count;
    return wait;
}

static void keep_wait(tf_mqtt_t *client, tf_mqtt_wait_t *wait, uint16_t id) {
    wait->id = id;
    wait->sent_ms = client->now_ms;
}

static int32_t send_packet(tf_mqtt_t *client, mqtt_writer_t *writer, uint8_t first, const uint8_t *payload,
                           uint32_t payload_bytes) {
    uint32_t size;
    const uint8_t *packet = mqtt_writer_end(writer, first, payload_bytes, &size);
    if (packet == NULL || size + payload_bytes > client->server_packet_bytes) return TF_MQTT_ERR_SIZE;
    return send(client, packet, size, payload, payload_bytes);
}

int32_t tf_mqtt_publish(tf_mqtt_t *client, const char *topic, const uint8_t *payload, uint32_t size,
                        uint8_t qos, bool retain) {
    if (client->state != TF_MQTT_ONLINE) return TF_MQTT_ERR_STATE;
    uint16_t id = 0;
    tf_mqtt_wait_t *wait = NULL;
    if (qos > 0) {
        wait = new_wait(client, TF_MQTT_PUBLISH, 1, &id);
        if (wait == NULL) return TF_MQTT_ERR_INFLIGHT;
    }
    uint8_t bytes[TF_MQTT_PACKET_BYTES];
    mqtt_writer_t writer;
    mqtt_writer_begin(&writer, bytes, sizeof bytes);
    mqtt_put_text(&writer, topic);
    if (qos > 0) mqtt_put_u16(&writer, id);
    mqtt_put_u8(&writer, 0);
    uint8_t first = (uint8_t)(MQTT_PUBLISH << 4 | (qos > 0 ? 0x02 : 0) | (retain ? 0x01 : 0));
    int32_t result = send_packet(client, &writer, first, payload, size);
    if (result != 0) return result;
    if (wait != NULL) keep_wait(client, wait, id);
    return id;
}

int32_t tf_mqtt_subscribe(tf_mqtt_t *client, const tf_mqtt_filter_t *filters, uint32_t count) {
    if (client->state != TF_MQTT_ONLINE) return TF_MQTT_ERR_STATE;
    if (count == 0 || count > UINT8_MAX) return TF_MQTT_ERR_SIZE;
    uint16_t id;
    tf_mqtt_wait_t *wait = new_wait(client, TF_MQTT_SUBSCRIBE, count, &id);
    if (wait == NULL) return TF_MQTT_ERR_INFLIGHT;
    uint8_t bytes[TF_MQTT_PACKET_BYTES];
    mqtt_writer_t writer;
    mqtt_writer_begin(&writer, bytes, sizeof bytes);
    mqtt_put_u16(&writer, id);
    mqtt_put_u8(&writer, 0);
    for (uint32_t i = 0; i < count; i++) {
        mqtt_put_text(&writer, filters[i].filter);
        mqtt_put_u8(&writer, (uint8_t)(filters[i].qos | filters[i].retain_handling << 4));
    }
    int32_t result = send_packet(client, &writer, MQTT_SUBSCRIBE << 4 | 0x02, NULL, 0);
    if (result != 0) return result;
    keep_wait(client, wait, id);
    return id;
}

int32_t tf_mqtt_unsubscribe(tf_mqtt_t *client, const char *const *filters, uint32_t count) {
    if (client->state != TF_MQTT_ONLINE) return TF_MQTT_ERR_STATE;
    if (count == 0 || count > UINT8_MAX) return TF_MQTT_ERR_SIZE;
    uint16_t id;
    tf_mqtt_wait_t *wait = new_wait(client, TF_MQTT_UNSUBSCRIBE, count, &id);
    if (wait == NULL) return TF_MQTT_ERR_INFLIGHT;
    uint8_t bytes[TF_MQTT_PACKET_BYTES];
    mqtt_writer_t writer;
    mqtt_writer_begin(&writer, bytes, sizeof bytes);
    mqtt_put_u16(&writer, id);
    mqtt_put_u8(&writer, 0);
    for (uint32_t i = 0; i < count; i++) mqtt_put_text(&writer, filters[i]);
    int32_t result = send_packet(client, &writer, MQTT_UNSUBSCRIBE << 4 | 0x02, NULL, 0);
    if (result != 0) return result;
    keep_wait(client, wait, id);
    return id;
}

/* Milliseconds until `since + limit`, 0 when it has passed. */
static uint32_t until(uint32_t now_ms, uint32_t since_ms, uint32_t limit_ms) {
    uint32_t passed = now_ms - since_ms;
    return passed >= limit_ms ? 0 : limit_ms - passed;
}

uint32_t tf_mqtt_tick(tf_mqtt_t *client, uint32_t now_ms) {
    client->now_ms = now_ms;
    if (client->state == TF_MQTT_IDLE) return UINT32_MAX;
    uint32_t limit_ms = client->options.answer_timeout_ms;
    uint32_t next_ms = UINT32_MAX;
    if (client->state != TF_MQTT_ONLINE) {
        next_ms = until(now_ms, client->since_ms, limit_ms);
    } else {
        flush_acknowledgements(client);
        for (uint32_t i = 0; i < TF_MQTT_INFLIGHT; i++) {
            if (client->waits[i].id == 0) continue;
            uint32_t wait_ms = until(now_ms, client->waits[i].sent_ms, limit_ms);
            if (wait_ms < next_ms) next_ms = wait_ms;
        }
        if (client->ping_waits && until(now_ms, client->ping_ms, limit_ms) < next_ms) {
            next_ms = until(now_ms, client->ping_ms, limit_ms);
        }
    }
    if (next_ms == 0) {
        mqtt_client_end(client, TF_MQTT_END_TIMEOUT, MQTT_KEEP_ALIVE_TIMEOUT);
        return UINT32_MAX;
    }
    if (client->state != TF_MQTT_ONLINE || client->keepalive_s == 0) return next_ms;
    /* At three quarters, so that a busy host does not push the ping over the server's limit. */
    uint32_t idle_ms = (uint32_t)client->keepalive_s * 750u;
    if (!client->ping_waits && until(now_ms, client->last_tx_ms, idle_ms) == 0) {
        const uint8_t packet[] = {MQTT_PINGREQ << 4, 0};
        client->ping_ms = now_ms; /* also when there is no room: no sign of life in time is the same */
        client->ping_waits = true;
        (void)send(client, packet, sizeof packet, NULL, 0);
    }
    uint32_t wait_ms = client->ping_waits ? until(now_ms, client->ping_ms, limit_ms)
                                          : until(now_ms, client->last_tx_ms, idle_ms);
    return wait_ms < next_ms ? wait_ms : next_ms;
}
