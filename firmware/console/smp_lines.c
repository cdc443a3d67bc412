/* SMP over a console: lines of base64 that begin with 06 09, then 04 14 (MCUmgr's serial transport). */
#include "crc16.h"
#include "tinyfleet/smp.h"

enum { LINE_RAW_BYTES = 93, LINE_BYTES = 2 + (LINE_RAW_BYTES / 3) * 4 + 1 };

/* What is sent: length, packet, CRC, seen as one row of bytes. */
typedef struct {
    const uint8_t *packet;
    uint32_t length;
    uint16_t crc;
} raw_t;

static uint32_t raw_at(const raw_t *raw, uint32_t at) {
    const uint32_t told = raw->length + 2u;
    if (at < 2) return at == 0 ? told >> 8 & 0xFFu : told & 0xFFu;
    if (at < told) return raw->packet[at - 2u];
    if (at == told) return (uint32_t)raw->crc >> 8;
    return at == told + 1u ? raw->crc & 0xFFu : 0;
}

void tf_smp_write_lines(const uint8_t *packet, uint32_t length,
                        void (*sink)(const uint8_t *data, uint32_t length)) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    raw_t raw = {packet, length, 0};
    for (uint32_t i = 0; i < length; i++) raw.crc = crc16_add(raw.crc, packet[i]);
    const uint32_t total = length + 4u;
    for (uint32_t at = 0; at < total;) {
        uint8_t line[LINE_BYTES] = {at == 0 ? 6 : 4, at == 0 ? 9 : 20};
        uint32_t fill = 2;
        for (uint32_t quad = 0; quad < LINE_RAW_BYTES / 3 && at < total; quad++, at += 3) {
            const uint32_t value = raw_at(&raw, at) << 16 | raw_at(&raw, at + 1) << 8 | raw_at(&raw, at + 2);
            line[fill++] = (uint8_t)digits[value >> 18];
            line[fill++] = (uint8_t)digits[value >> 12 & 63u];
            line[fill++] = at + 1 < total ? (uint8_t)digits[value >> 6 & 63u] : '=';
            line[fill++] = at + 2 < total ? (uint8_t)digits[value & 63u] : '=';
        }
        line[fill++] = '\n';
        sink(line, fill);
    }
}
