/* MQTT 5 client without I/O: bytes in, events out; bytes out through a transport of four functions.
 *
 * No allocation, no globals, no clock: times are arguments in milliseconds that may wrap. A PUBLISH is
 * delivered as it arrives, so its payload may be larger than any buffer here. The client keeps no session
 * (Clean Start 1, Session Expiry 0): what was not acknowledged when a connection ends is the caller's to say
 * again. Source: MQTT 5.0, OASIS, 2019. */
#ifndef TINYFLEET_MQTT_H
#define TINYFLEET_MQTT_H

#include <stdbool.h>
#include <stdint.h>

#define TF_MQTT_HEADER_BYTES 512u /* largest incoming packet, a PUBLISH without its payload */
#define TF_MQTT_PACKET_BYTES 768u /* largest outgoing packet, a PUBLISH without its payload */
#define TF_MQTT_INFLIGHT 8u       /* our packets that wait for an acknowledgement */
#define TF_MQTT_ACKS 32u          /* acknowledgements that wait for room; bounds receive_maximum */

/* What a call may answer; packet identifiers are positive. */
enum {
    TF_MQTT_ERR_STATE = -1,    /* not connected */
    TF_MQTT_ERR_ROOM = -2,     /* the transport is full: again after tf_mqtt_writable */
    TF_MQTT_ERR_INFLIGHT = -3, /* too many unacknowledged packets: again after on_ack */
    TF_MQTT_ERR_SIZE = -4,     /* larger than a packet may be, here or at the server */
};

/* Why a connection ended. `reason` beside it is an MQTT reason code (2.4). */
typedef enum {
    TF_MQTT_END_CLOSED = 0,   /* tf_mqtt_close */
    TF_MQTT_END_LINK = 1,     /* the transport ended */
    TF_MQTT_END_TIMEOUT = 2,  /* no answer in time */
    TF_MQTT_END_REFUSED = 3,  /* the server's CONNACK says no, or lacks what we need */
    TF_MQTT_END_SERVER = 4,   /* the server's DISCONNECT */
    TF_MQTT_END_PROTOCOL = 5, /* the server sent what it must not */
} tf_mqtt_end_t;

typedef enum {
    TF_MQTT_IDLE = 0,
    TF_MQTT_OPENING = 1,    /* the transport is being opened */
    TF_MQTT_CONNECTING = 2, /* CONNECT sent */
    TF_MQTT_ONLINE = 3,
} tf_mqtt_state_t;

/* Packet types with an acknowledgement, as on_ack names them (2.1.2). */
typedef enum { TF_MQTT_PUBLISH = 3, TF_MQTT_SUBSCRIBE = 8, TF_MQTT_UNSUBSCRIBE = 10 } tf_mqtt_request_t;

typedef struct {
    void *context;
    /* Bytes that write() takes now. */
    uint32_t (*room)(void *context);
    /* Queues all `size` bytes (at most room()); `more`: the rest of the packet follows. 0 or negative. */
    int (*write)(void *context, const uint8_t *data, uint32_t size, bool more);
    /* Sends what is queued. */
    void (*flush)(void *context);
    /* Ends the connection. May be called inside tf_mqtt_input; must not call back into the client. */
    void (*close)(void *context);
} tf_mqtt_transport_t;

typedef struct {
    const char *topic; /* not NUL-terminated; valid until the payload's last byte */
    uint16_t topic_bytes;
    uint32_t payload_bytes;
    uint8_t qos;
    bool retain;
} tf_mqtt_message_t;

/* All may call publish, subscribe, unsubscribe and close, but not tf_mqtt_input. */
typedef struct {
    void *context;
    void (*on_connected)(void *context);
    void (*on_closed)(void *context, tf_mqtt_end_t why, uint8_t reason);
    void (*on_message)(void *context, const tf_mqtt_message_t *message);
    /* Pieces of the payload in order; the last has `last` set and may be empty. QoS 1 is acknowledged after
     * it. */
    void (*on_payload)(void *context, const uint8_t *data, uint32_t size, bool last);
    /* `codes`: one reason code a filter, one for a PUBLISH; >= 0x80 is a refusal. */
    void (*on_ack)(void *context, tf_mqtt_request_t type, uint16_t id, const uint8_t *codes, uint32_t count);
} tf_mqtt_events_t;

/* Read at tf_mqtt_open and tf_mqtt_opened: must stay valid until then. */
typedef struct {
    const char *client_id;
    const char *user; /* NULL: none */
    const uint8_t *password;
    uint16_t password_bytes;
    const char *will_topic; /* NULL: none; the will is QoS 1, retained */
    const uint8_t *will;
    uint16_t will_bytes;
    uint16_t keepalive_s;          /* 0: none; the server may lower or raise it */
    uint16_t receive_maximum;      /* 1..TF_MQTT_ACKS */
    uint32_t maximum_packet_bytes; /* whole incoming packet */
    uint32_t answer_timeout_ms;    /* for the transport to open, CONNACK, every acknowledgement, PINGRESP */
} tf_mqtt_options_t;

typedef struct {
    const char *filter;
    uint8_t qos;             /* 0 or 1 */
    uint8_t retain_handling; /* 0: send retained messages, 1: only if the subscription is new, 2: never */
} tf_mqtt_filter_t;

/* Counters of the client's life, over all connections; they wrap. */
typedef struct {
    uint32_t rx_bytes;
    uint32_t tx_bytes;
    uint32_t connections;
} tf_mqtt_counters_t;

typedef struct {
    tf_mqtt_request_t type;
    uint16_t id; /* 0: free */
    uint8_t count;
    uint32_t sent_ms;
} tf_mqtt_wait_t;

typedef struct tf_mqtt {
    tf_mqtt_transport_t transport;
    tf_mqtt_events_t events;
    tf_mqtt_options_t options;
    tf_mqtt_counters_t counters;
    tf_mqtt_state_t state;
    /* Private from here. */
    uint32_t now_ms, since_ms, last_tx_ms, ping_ms;
    bool ping_waits;
    uint16_t next_id, keepalive_s, server_receive_maximum;
    uint32_t server_packet_bytes;
    tf_mqtt_wait_t waits[TF_MQTT_INFLIGHT];
    uint16_t acks[TF_MQTT_ACKS];
    uint8_t acks_first, acks_count;
    uint8_t read_state, read_first, read_length_bytes;
    uint32_t read_left; /* bytes of the packet not yet read */
    uint32_t read_need, read_fill;
    uint16_t message_id;
    uint8_t header[TF_MQTT_HEADER_BYTES];
} tf_mqtt_t;

void tf_mqtt_init(tf_mqtt_t *client, const tf_mqtt_transport_t *transport, const tf_mqtt_events_t *events);

/* The caller begins to open the transport; the answer time-out starts. False when the options are out of
 * range. */
bool tf_mqtt_open(tf_mqtt_t *client, const tf_mqtt_options_t *options, uint32_t now_ms);

/* The transport is open (sends CONNECT), has room again, has brought bytes, has ended. */
void tf_mqtt_opened(tf_mqtt_t *client, uint32_t now_ms);
void tf_mqtt_writable(tf_mqtt_t *client, uint32_t now_ms);
void tf_mqtt_input(tf_mqtt_t *client, const uint8_t *data, uint32_t size, uint32_t now_ms);
void tf_mqtt_lost(tf_mqtt_t *client);

/* Keep-alive and time-outs. Returns the milliseconds until it must be called again (UINT32_MAX: no need). */
uint32_t tf_mqtt_tick(tf_mqtt_t *client, uint32_t now_ms);

/* Sends DISCONNECT (0: normal, no will; 4: with will) and ends. */
void tf_mqtt_close(tf_mqtt_t *client, uint8_t reason);

/* Online, a packet of `bytes` fits the transport, and a PUBLISH with QoS 1 may be in flight. */
bool tf_mqtt_ready(const tf_mqtt_t *client, uint32_t bytes);

/* Nothing of ours waits for an acknowledgement. */
bool tf_mqtt_settled(const tf_mqtt_t *client);

/* A packet identifier, 0 for QoS 0, or one of the negative answers. */
int32_t tf_mqtt_publish(tf_mqtt_t *client, const char *topic, const uint8_t *payload, uint32_t size,
                        uint8_t qos, bool retain);
int32_t tf_mqtt_subscribe(tf_mqtt_t *client, const tf_mqtt_filter_t *filters, uint32_t count);
int32_t tf_mqtt_unsubscribe(tf_mqtt_t *client, const char *const *filters, uint32_t count);

#endif
