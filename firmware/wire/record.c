/* Records in flash: SPEC section 8. */
#include "tinyfleet/wire.h"

uint32_t tf_crc32(const uint8_t *data, uint32_t length) {
    /* Four bits at a time: 64 bytes of table instead of 1 KiB, fast enough for records. */
    static const uint32_t nibble[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < length; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ nibble[crc & 15u];
        crc = crc >> 4 ^ nibble[crc & 15u];
    }
    return ~crc;
}

static uint32_t load_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void store_u32(uint8_t *at, uint32_t value) {
    for (uint32_t i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8u * i));
}

/* Header and body, up to where the CRC stands. */
static uint32_t covered(uint32_t body_bytes) {
    return (TF_RECORD_HEADER_BYTES + body_bytes + 3u) & ~3u;
}

tf_wire_status_t tf_record_read(const uint8_t *area, uint32_t area_bytes, uint16_t kind, tf_bytes_t *body) {
    *body = (tf_bytes_t){0};
    if (area_bytes < TF_RECORD_HEADER_BYTES) return TF_WIRE_NO_RECORD;
    uint32_t second = load_u32(area + 4);
    uint32_t length = second >> 16;
    if (load_u32(area) != TF_RECORD_MAGIC || (second & 0xFFFFu) != kind) return TF_WIRE_NO_RECORD;
    if (length > TF_MESSAGE_MAX_BYTES) return TF_WIRE_TOO_LARGE;
    uint32_t end = covered(length);
    if (end + TF_RECORD_CRC_BYTES > area_bytes) return TF_WIRE_TRUNCATED;
    if (load_u32(area + end) != tf_crc32(area, end)) return TF_WIRE_CHECKSUM;
    *body = (tf_bytes_t){.data = area + TF_RECORD_HEADER_BYTES, .length = length};
    return TF_WIRE_OK;
}

uint32_t tf_record_seal(uint8_t *out, uint32_t capacity, uint16_t kind, uint32_t body_bytes) {
    if (body_bytes > TF_MESSAGE_MAX_BYTES) return 0;
    uint32_t end = covered(body_bytes);
    if (end + TF_RECORD_CRC_BYTES > capacity) return 0;
    store_u32(out, TF_RECORD_MAGIC);
    store_u32(out + 4, (uint32_t)kind | body_bytes << 16);
    for (uint32_t i = TF_RECORD_HEADER_BYTES + body_bytes; i < end; i++) out[i] = 0xFF;
    store_u32(out + end, tf_crc32(out, end));
    return end + TF_RECORD_CRC_BYTES;
}

tf_wire_status_t tf_record_trust(const uint8_t *area, uint32_t area_bytes, tf_trust_t *trust) {
    tf_bytes_t body;
    *trust = (tf_trust_t){0};
    tf_wire_status_t status = tf_record_read(area, area_bytes, TF_RECORD_KIND_TRUST, &body);
    return status == TF_WIRE_OK ? tf_decode_trust(body.data, body.length, trust) : status;
}

tf_wire_status_t tf_record_config(const uint8_t *area, uint32_t area_bytes, tf_config_t *config) {
    tf_bytes_t body;
    *config = (tf_config_t){0};
    tf_wire_status_t status = tf_record_read(area, area_bytes, TF_RECORD_KIND_CONFIG, &body);
    return status == TF_WIRE_OK ? tf_decode_config(body.data, body.length, config) : status;
}

tf_wire_status_t tf_record_replay(const uint8_t *area, uint32_t area_bytes, tf_replay_t *replay) {
    tf_bytes_t body;
    *replay = (tf_replay_t){0};
    tf_wire_status_t status = tf_record_read(area, area_bytes, TF_RECORD_KIND_REPLAY, &body);
    if (status != TF_WIRE_OK) return status;
    status = tf_decode_replay(body.data, body.length, replay);
    if (status != TF_WIRE_OK) return status;
    /* samples x channels x 2 bytes is below 2^33, so times windows fits 64 bits only after this division. */
    uint64_t window_bytes = (uint64_t)replay->samples * replay->channels * sizeof(int16_t);
    if (window_bytes == 0 || replay->windows == 0 || area_bytes < TF_REPLAY_DATA_OFFSET) return TF_WIRE_RANGE;
    return replay->windows <= (area_bytes - TF_REPLAY_DATA_OFFSET) / window_bytes ? TF_WIRE_OK
                                                                                  : TF_WIRE_RANGE;
}

tf_wire_status_t tf_record_feed(const uint8_t *area, uint32_t area_bytes, tf_feed_t *feed) {
    tf_bytes_t body;
    *feed = (tf_feed_t){0};
    tf_wire_status_t status = tf_record_read(area, area_bytes, TF_RECORD_KIND_FEED, &body);
    if (status != TF_WIRE_OK) return status;
    status = tf_decode_feed(body.data, body.length, feed);
    if (status != TF_WIRE_OK) return status;
    const uint32_t values = (uint32_t)feed->samples * feed->channels; /* below 2^32 */
    return values > 0 && values <= TF_LINE_WINDOW_VALUES_MAX ? TF_WIRE_OK : TF_WIRE_RANGE;
}
