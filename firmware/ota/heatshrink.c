/* heatshrink (github.com/atomicobject/heatshrink): bits, the high one first. 1: a byte follows. 0: distance
 * and count follow, each one less than meant; what lies before the first byte is 0. */
#include <string.h>

#include "tinyfleet/unpack.h"

enum { WINDOW_BITS_MIN = 4, LOOKAHEAD_BITS_MIN = 3, WINDOW_MASK = (1 << TF_HEATSHRINK_WINDOW_BITS_MAX) - 1 };

bool tf_heatshrink_open(tf_heatshrink_t *stream, const uint8_t *data, uint32_t length) {
    memset(stream, 0, sizeof *stream);
    if (length == 0) return false;
    stream->data = data;
    stream->length = length;
    stream->at = 1;
    /* As detools writes them, in one byte. */
    stream->window_bits = (uint8_t)((data[0] >> 4) + WINDOW_BITS_MIN);
    stream->lookahead_bits = (uint8_t)((data[0] & 0x0Fu) + LOOKAHEAD_BITS_MIN);
    return stream->window_bits <= TF_HEATSHRINK_WINDOW_BITS_MAX &&
           stream->lookahead_bits < stream->window_bits;
}

/* `count` bits, at most 15; -1: there are no more. */
static int32_t take(tf_heatshrink_t *stream, uint32_t count) {
    while (stream->bits < count) {
        if (stream->at == stream->length) return -1;
        stream->held = stream->held << 8 | stream->data[stream->at++];
        stream->bits = (uint8_t)(stream->bits + 8u);
    }
    stream->bits = (uint8_t)(stream->bits - count);
    return (int32_t)(stream->held >> stream->bits & ((1u << count) - 1u));
}

int32_t tf_heatshrink_next(tf_heatshrink_t *stream) {
    int32_t byte;
    if (stream->copy_left == 0) {
        int32_t literal = take(stream, 1);
        if (literal < 0) return -1;
        if (literal == 0) {
            int32_t distance = take(stream, stream->window_bits);
            int32_t count = take(stream, stream->lookahead_bits);
            if (distance < 0 || count < 0) return -1;
            stream->copy_from = (uint16_t)(distance + 1);
            stream->copy_left = (uint16_t)(count + 1);
        }
    }
    if (stream->copy_left > 0) {
        stream->copy_left--;
        byte = stream->window[(uint32_t)(stream->head - stream->copy_from) & WINDOW_MASK];
    } else {
        byte = take(stream, 8);
        if (byte < 0) return -1;
    }
    stream->window[stream->head] = (uint8_t)byte;
    stream->head = (uint16_t)((stream->head + 1u) & WINDOW_MASK);
    return byte;
}
