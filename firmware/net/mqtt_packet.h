/* MQTT 5 packets as bytes: a bounds-checked reader and writer. Private to net. */
#ifndef TINYFLEET_NET_MQTT_PACKET_H
#define TINYFLEET_NET_MQTT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

/* Control packet types (2.1.2). */
enum {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_UNSUBSCRIBE = 10,
    MQTT_UNSUBACK = 11,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
};

/* Reason codes that we send or act on (2.4). */
enum {
    MQTT_OK = 0x00,
    MQTT_MALFORMED = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8D,
    MQTT_TOPIC_INVALID = 0x90,
    MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    MQTT_TOPIC_ALIAS_INVALID = 0x94,
    MQTT_PACKET_TOO_LARGE = 0x95,
    MQTT_RETAIN_NOT_SUPPORTED = 0x9A,
    MQTT_QOS_NOT_SUPPORTED = 0x9B,
    MQTT_WILDCARDS_NOT_SUPPORTED = 0xA2,
};

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} mqtt_cursor_t;

/* Each takes its value off the front, or returns false and leaves the cursor undefined. */
bool mqtt_take_u8(mqtt_cursor_t *cursor, uint8_t *value);
bool mqtt_take_u16(mqtt_cursor_t *cursor, uint16_t *value);
bool mqtt_take_u32(mqtt_cursor_t *cursor, uint32_t *value);
bool mqtt_take_varint(mqtt_cursor_t *cursor, uint32_t *value);
bool mqtt_take_binary(mqtt_cursor_t *cursor, const uint8_t **data, uint16_t *size);
bool mqtt_take_text(mqtt_cursor_t *cursor, const char **text, uint16_t *size);

/* The properties of one packet that the client acts on; what a packet does not carry has the protocol's
 * default. */
typedef struct {
    uint32_t maximum_packet_bytes;
    uint16_t receive_maximum;
    uint16_t server_keepalive_s;
    bool has_server_keepalive;
    uint8_t maximum_qos;
    bool retain_available;
    bool wildcards_available;
} mqtt_properties_t;

/* Takes the property length and every property, each checked against its type, its packet and repetition
 * (2.2.2). MQTT_OK, or the reason code to disconnect with. */
uint8_t mqtt_take_properties(mqtt_cursor_t *cursor, uint8_t packet_type, mqtt_properties_t *properties);

/* Writes behind 5 bytes kept free for the fixed header; `overflow` sticks. */
typedef struct {
    uint8_t *bytes;
    uint32_t size;
    uint32_t used;
    bool overflow;
} mqtt_writer_t;

#define MQTT_FIXED_HEADER_BYTES 5u

void mqtt_writer_begin(mqtt_writer_t *writer, uint8_t *bytes, uint32_t size);
void mqtt_put_u8(mqtt_writer_t *writer, uint8_t value);
void mqtt_put_u16(mqtt_writer_t *writer, uint16_t value);
void mqtt_put_u32(mqtt_writer_t *writer, uint32_t value);
void mqtt_put_binary(mqtt_writer_t *writer, const void *data, uint32_t size);
void mqtt_put_text(mqtt_writer_t *writer, const char *text);

/* Puts the fixed header in front; `payload_bytes` follow the writer's own. NULL when it overflowed or is too
 * large. */
const uint8_t *mqtt_writer_end(mqtt_writer_t *writer, uint8_t first, uint32_t payload_bytes, uint32_t *size);

#endif
