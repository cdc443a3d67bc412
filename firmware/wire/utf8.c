#include "utf8.h"

/* Bytes of the sequence that starts with `first`, and the range of its second byte (RFC 3629 section 4); 0:
 * none. */
static uint32_t sequence(uint8_t first, uint8_t *low, uint8_t *high) {
    *low = 0x80;
    *high = 0xBF;
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0;
    if (first < 0xE0) return 2;
    if (first == 0xE0) *low = 0xA0;
    if (first == 0xED) *high = 0x9F;
    if (first < 0xF0) return 3;
    if (first == 0xF0) *low = 0x90;
    if (first == 0xF4) *high = 0x8F;
    return first < 0xF5 ? 4 : 0;
}

bool tf_utf8_valid(const uint8_t *data, uint32_t length) {
    for (uint32_t at = 0; at < length;) {
        uint8_t low, high;
        uint32_t size = sequence(data[at], &low, &high);
        if (size == 0 || size > length - at) return false;
        for (uint32_t i = 1; i < size; i++) {
            uint8_t byte = data[at + i];
            if (byte < (i == 1 ? low : 0x80) || byte > (i == 1 ? high : 0xBF)) return false;
        }
        at += size;
    }
    return true;
}
