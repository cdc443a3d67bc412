#include "mqtt_packet.h"

#include <string.h>

#define VARINT_MAX 268435455u

static uint32_t left(const mqtt_cursor_t *cursor) {
    return (uint32_t)(cursor->end - cursor->at);
}

bool mqtt_take_u8(mqtt_cursor_t *cursor, uint8_t *value) {
    if (left(cursor) < 1) return false;
    *value = *cursor->at++;
    return true;
}

bool mqtt_take_u16(mqtt_cursor_t *cursor, uint16_t *value) {
    if (left(cursor) < 2) return false;
    *value = (uint16_t)(cursor->at[0] << 8 | cursor->at[1]);
    cursor->at += 2;
    return true;
}

bool mqtt_take_u32(mqtt_cursor_t *cursor, uint32_t *value) {
    uint16_t high, low;
    if (!mqtt_take_u16(cursor, &high) || !mqtt_take_u16(cursor, &low)) return false;
    *value = (uint32_t)high << 16 | low;
    return true;
}

bool mqtt_take_varint(mqtt_cursor_t *cursor, uint32_t *value) {
    uint32_t result = 0;
    for (uint32_t shift = 0; shift <= 21; shift += 7) {
        uint8_t byte;
        if (!mqtt_take_u8(cursor, &byte)) return false;
        result |= (uint32_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) != 0) continue;
        *value = result;
        return shift == 0 || byte != 0; /* the shortest form only (1.5.5) */
    }
    return false;
}

bool mqtt_take_binary(mqtt_cursor_t *cursor, const uint8_t **data, uint16_t *size) {
    if (!mqtt_take_u16(cursor, size) || left(cursor) < *size) return false;
    *data = cursor->at;
    cursor->at += *size;
    return true;
}

/* Length of the UTF-8 sequence at the cursor, 0 when ill-formed. U+0000 and surrogates are ill-formed here
 * (1.5.4). */
static uint32_t utf8_sequence(const uint8_t *at, uint32_t size) {
    static const struct {
        uint8_t first_low, first_high, second_low, second_high, length;
    } forms[] = {
        {0x01, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (uint32_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (at[0] < forms[i].first_low || at[0] > forms[i].first_high) continue;
        if (size < forms[i].length) return 0;
        if (forms[i].length > 1 && (at[1] < forms[i].second_low || at[1] > forms[i].second_high)) return 0;
        for (uint32_t k = 2; k < forms[i].length; k++) {
            if (at[k] < 0x80 || at[k] > 0xBF) return 0;
        }
        return forms[i].length;
    }
    return 0;
}

bool mqtt_take_text(mqtt_cursor_t *cursor, const char **text, uint16_t *size) {
    const uint8_t *data;
    if (!mqtt_take_binary(cursor, &data, size)) return false;
    for (uint32_t i = 0; i < *size;) {
        uint32_t length = utf8_sequence(data + i, *size - i);
        if (length == 0) return false;
        i += length;
    }
    *text = (const char *)data;
    return true;
}

enum { BYTE, U16, U32, VARINT, BINARY, TEXT, PAIR };

#define IN(type) (1u << (type))
#define ANSWERS \
    (IN(MQTT_CONNACK) | IN(MQTT_PUBACK) | IN(MQTT_SUBACK) | IN(MQTT_UNSUBACK) | IN(MQTT_DISCONNECT))

/* What a server may send (2.2.2.2). */
static const struct {
    uint8_t id;
    uint8_t value;
    bool repeats;
    uint16_t packets;
} property_table[] = {
    {0x01, BYTE, false, IN(MQTT_PUBLISH)},                       /* payload format */
    {0x02, U32, false, IN(MQTT_PUBLISH)},                        /* message expiry */
    {0x03, TEXT, false, IN(MQTT_PUBLISH)},                       /* content type */
    {0x08, TEXT, false, IN(MQTT_PUBLISH)},                       /* response topic */
    {0x09, BINARY, false, IN(MQTT_PUBLISH)},                     /* correlation data */
    {0x0B, VARINT, true, IN(MQTT_PUBLISH)},                      /* subscription identifier */
    {0x11, U32, false, IN(MQTT_CONNACK)},                        /* session expiry */
    {0x12, TEXT, false, IN(MQTT_CONNACK)},                       /* assigned client id */
    {0x13, U16, false, IN(MQTT_CONNACK)},                        /* server keep alive */
    {0x15, TEXT, false, IN(MQTT_CONNACK)},                       /* authentication method */
    {0x16, BINARY, false, IN(MQTT_CONNACK)},                     /* authentication data */
    {0x1A, TEXT, false, IN(MQTT_CONNACK)},                       /* response information */
    {0x1C, TEXT, false, IN(MQTT_CONNACK) | IN(MQTT_DISCONNECT)}, /* server reference */
    {0x1F, TEXT, false, ANSWERS},                                /* reason string */
    {0x21, U16, false, IN(MQTT_CONNACK)},                        /* receive maximum */
    {0x22, U16, false, IN(MQTT_CONNACK)},                        /* topic alias maximum */
    {0x24, BYTE, false, IN(MQTT_CONNACK)},                       /* maximum QoS */
    {0x25, BYTE, false, IN(MQTT_CONNACK)},                       /* retain available */
    {0x26, PAIR, true, ANSWERS | IN(MQTT_PUBLISH)},              /* user property */
    {0x27, U32, false, IN(MQTT_CONNACK)},                        /* maximum packet size */
    {0x28, BYTE, false, IN(MQTT_CONNACK)},                       /* wildcard subscription available */
    {0x29, BYTE, false, IN(MQTT_CONNACK)},                       /* subscription identifiers available */
    {0x2A, BYTE, false, IN(MQTT_CONNACK)},                       /* shared subscription available */
};

static bool take_value(mqtt_cursor_t *cursor, uint8_t type, uint32_t *number) {
    uint8_t byte;
    uint16_t word;
    const uint8_t *data;
    const char *text;
    *number = 0;
    switch (type) {
        case BYTE:
            if (!mqtt_take_u8(cursor, &byte)) return false;
            *number = byte;
            return byte <= 1; /* every byte property is a flag */
        case U16:
            if (!mqtt_take_u16(cursor, &word)) return false;
            *number = word;
            return true;
        case U32:
            return mqtt_take_u32(cursor, number);
        case VARINT:
            return mqtt_take_varint(cursor, number) && *number != 0;
        case BINARY:
            return mqtt_take_binary(cursor, &data, &word);
        case TEXT:
            return mqtt_take_text(cursor, &text, &word);
        default:
            return mqtt_take_text(cursor, &text, &word) && mqtt_take_text(cursor, &text, &word);
    }
}

/* MQTT_OK, or the reason why the value cannot stand. */
static uint8_t keep(mqtt_properties_t *properties, uint8_t id, uint32_t number) {
    switch (id) {
        case 0x13:
            properties->server_keepalive_s = (uint16_t)number;
            properties->has_server_keepalive = true;
            return MQTT_OK;
        case 0x21:
            properties->receive_maximum = (uint16_t)number;
            return number == 0 ? MQTT_PROTOCOL_ERROR : MQTT_OK;
        case 0x24:
            properties->maximum_qos = (uint8_t)number;
            return MQTT_OK;
        case 0x25:
            properties->retain_available = number != 0;
            return MQTT_OK;
        case 0x27:
            properties->maximum_packet_bytes = number;
            return number == 0 ? MQTT_PROTOCOL_ERROR : MQTT_OK;
        case 0x28:
            properties->wildcards_available = number != 0;
            return MQTT_OK;
        default:
            return MQTT_OK;
    }
}

uint8_t mqtt_take_properties(mqtt_cursor_t *cursor, uint8_t packet_type, mqtt_properties_t *properties) {
    *properties = (mqtt_properties_t){.maximum_packet_bytes = VARINT_MAX,
                                      .receive_maximum = UINT16_MAX,
                                      .maximum_qos = 2,
                                      .retain_available = true,
                                      .wildcards_available = true};
    uint32_t size;
    if (!mqtt_take_varint(cursor, &size) || size > left(cursor)) return MQTT_MALFORMED;
    mqtt_cursor_t inner = {cursor->at, cursor->at + size};
    cursor->at += size;
    uint64_t seen = 0;
    while (inner.at < inner.end) {
        uint32_t id, number, row = 0;
        const uint32_t rows = sizeof property_table / sizeof property_table[0];
        if (!mqtt_take_varint(&inner, &id)) return MQTT_MALFORMED;
        while (row < rows && property_table[row].id != id) row++;
        if (row == rows && id == 0x23 && packet_type == MQTT_PUBLISH) return MQTT_TOPIC_ALIAS_INVALID;
        if (row == rows) return MQTT_MALFORMED;
        if ((property_table[row].packets & IN(packet_type)) == 0) return MQTT_PROTOCOL_ERROR;
        if (!property_table[row].repeats && (seen >> row & 1u) != 0) return MQTT_PROTOCOL_ERROR;
        seen |= (uint64_t)1 << row;
        if (!take_value(&inner, property_table[row].value, &number)) return MQTT_MALFORMED;
        uint8_t reason = keep(properties, property_table[row].id, number);
        if (reason != MQTT_OK) return reason;
    }
    return MQTT_OK;
}

void mqtt_writer_begin(mqtt_writer_t *writer, uint8_t *bytes, uint32_t size) {
    *writer = (mqtt_writer_t){.bytes = bytes, .size = size, .used = MQTT_FIXED_HEADER_BYTES};
}

void mqtt_put_u8(mqtt_writer_t *writer, uint8_t value) {
    if (writer->used >= writer->size) {
        writer->overflow = true;
        return;
    }
    writer->bytes[writer->used++] = value;
}

void mqtt_put_u16(mqtt_writer_t *writer, uint16_t value) {
    mqtt_put_u8(writer, (uint8_t)(value >> 8));
    mqtt_put_u8(writer, (uint8_t)value);
}

void mqtt_put_u32(mqtt_writer_t *writer, uint32_t value) {
    mqtt_put_u16(writer, (uint16_t)(value >> 16));
    mqtt_put_u16(writer, (uint16_t)value);
}

void mqtt_put_binary(mqtt_writer_t *writer, const void *data, uint32_t size) {
    if (size > UINT16_MAX || writer->size - writer->used < size + 2) {
        writer->overflow = true;
        return;
    }
    mqtt_put_u16(writer, (uint16_t)size);
    if (size > 0) memcpy(writer->bytes + writer->used, data, size);
    writer->used += size;
}

void mqtt_put_text(mqtt_writer_t *writer, const char *text) {
    mqtt_put_binary(writer, text, (uint32_t)strlen(text));
}

const uint8_t *mqtt_writer_end(mqtt_writer_t *writer, uint8_t first, uint32_t payload_bytes, uint32_t *size) {
    if (writer->overflow || payload_bytes > VARINT_MAX - writer->used) return NULL;
    uint8_t header[MQTT_FIXED_HEADER_BYTES] = {first};
    uint32_t header_bytes = 1;
    uint32_t remaining = writer->used - MQTT_FIXED_HEADER_BYTES + payload_bytes;
    do {
        uint8_t byte = remaining & 0x7F;
        remaining >>= 7;
        header[header_bytes++] = (uint8_t)(byte | (remaining != 0 ? 0x80 : 0));
    } while (remaining != 0);
    uint8_t *start = writer->bytes + MQTT_FIXED_HEADER_BYTES - header_bytes;
    memcpy(start, header, header_bytes);
    *size = writer->used - MQTT_FIXED_HEADER_BYTES + header_bytes;
    return start;
}
