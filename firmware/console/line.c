#include "tinyfleet/line.h"

#include <stddef.h>

#include "crc16.h"
#include "line_table.h"

enum { LENGTH_BYTES = 2, CRC_BYTES = 2, QUAD = 4, NO_DIGIT = 64 };

#define GO(next, action) {LINE_##next, LINE_##action}

/* In the order of line_byte_t: 00, 06, 09, 04, 14, end, '%', printable, other. */
const line_cell_t tf_line_table[LINE_STATES][BYTE_CLASSES] = {
    [LINE_TEXT] = {GO(OPEN, ERASE), GO(SIX, FORGET), GO(TEXT, FORGET), GO(FOUR, FORGET), GO(TEXT, FORGET),
                   GO(TEXT, FORGET), GO(TEXT, COMMAND), GO(TEXT, KEEP), GO(TEXT, FORGET)},
    [LINE_SIX] = {GO(OPEN, ERASE), GO(SIX, NOTHING), GO(PACKET, BEGIN), GO(FOUR, NOTHING), GO(TEXT, FORGET),
                  GO(TEXT, FORGET), GO(TEXT, FORGET), GO(TEXT, KEEP), GO(TEXT, FORGET)},
    [LINE_FOUR] = {GO(OPEN, ERASE), GO(SIX, NOTHING), GO(TEXT, FORGET), GO(FOUR, NOTHING), GO(PACKET, RESUME),
                   GO(TEXT, FORGET), GO(TEXT, FORGET), GO(TEXT, KEEP), GO(TEXT, FORGET)},
    [LINE_OPEN] = {GO(OPEN, ERASE), GO(FIRST_SIX, KEEP), GO(FIRST, KEEP), GO(FIRST_FOUR, KEEP),
                   GO(FIRST, KEEP), GO(FIRST, KEEP), GO(FIRST, KEEP), GO(FIRST, KEEP), GO(FIRST, KEEP)},
    [LINE_FIRST] = {GO(OPEN, ERASE), GO(FRAME, KEEP), GO(FRAME, KEEP), GO(FRAME, KEEP), GO(FRAME, KEEP),
                    GO(FRAME, KEEP), GO(TEXT, COMMAND), GO(TEXT, TURN), GO(FRAME, KEEP)},
    [LINE_FIRST_SIX] = {GO(OPEN, ERASE), GO(FRAME, KEEP), GO(PACKET, BEGIN), GO(FRAME, KEEP), GO(FRAME, KEEP),
                        GO(FRAME, KEEP), GO(TEXT, FORGET), GO(TEXT, TURN), GO(FRAME, KEEP)},
    [LINE_FIRST_FOUR] = {GO(OPEN, ERASE), GO(FRAME, KEEP), GO(FRAME, KEEP), GO(FRAME, KEEP),
                         GO(PACKET, RESUME), GO(FRAME, KEEP), GO(TEXT, FORGET), GO(TEXT, TURN),
                         GO(FRAME, KEEP)},
    /* A delimiter that ends no frame may begin the next one. */
    [LINE_FRAME] = {GO(OPEN, CLOSE), GO(FRAME, KEEP), GO(FRAME, KEEP), GO(FRAME, KEEP), GO(FRAME, KEEP),
                    GO(FRAME, KEEP), GO(FRAME, KEEP), GO(FRAME, KEEP), GO(FRAME, KEEP)},
    [LINE_PACKET] = {GO(OPEN, ERASE), GO(SIX, ABANDON), GO(TEXT, ABANDON), GO(FOUR, ABANDON),
                     GO(TEXT, ABANDON), GO(TEXT, FINISH), GO(TEXT, ABANDON), GO(PACKET, DIGIT),
                     GO(TEXT, ABANDON)},
};

line_byte_t tf_line_class(uint8_t byte) {
    switch (byte) {
        case 0x00:
            return BYTE_ZERO;
        case 0x06:
            return BYTE_SIX;
        case 0x09:
            return BYTE_NINE;
        case 0x04:
            return BYTE_FOUR;
        case 0x14:
            return BYTE_TWENTY;
        case '\n':
            return BYTE_END;
        case '%':
            return BYTE_PERCENT;
        default:
            return byte >= 0x20 && byte < 0x7F ? BYTE_PRINT : BYTE_OTHER;
    }
}

void tf_line_init(tf_line_t *line, uint8_t *buffer, uint32_t capacity) {
    *line = (tf_line_t){.state = LINE_TEXT};
    tf_frame_reader_init(&line->frame, buffer, capacity);
}

static void forget(tf_line_t *line) {
    line->frame.length = 0;
    line->frame.overflow = false;
}

static void abandon(tf_line_t *line) {
    line->decoded = 0;
    line->quad_count = 0;
    line->padding = 0;
    forget(line);
}

void tf_line_quiet(tf_line_t *line) {
    abandon(line);
    line->state = LINE_TEXT;
}

/* A byte that is no delimiter completes nothing. */
static void keep(tf_line_t *line, uint8_t byte) {
    tf_frame_t none;
    line->decoded = 0; /* the buffer is taken */
    (void)tf_frame_reader_put(&line->frame, byte, &none);
}

/* What stands in the buffer is no frame: the first byte of a text, or of nothing. */
static void turn(tf_line_t *line) {
    const bool print = line->frame.length == 1 && tf_line_class(line->frame.buffer[0]) == BYTE_PRINT;
    if (!print) forget(line);
}

static tf_line_kind_t command(tf_line_t *line, tf_line_item_t *item) {
    const bool whole = !line->frame.overflow && line->frame.length > 0;
    item->command = (tf_text_t){(const char *)line->frame.buffer, line->frame.length};
    forget(line);
    return whole ? TF_LINE_COMMAND : TF_LINE_NOTHING;
}

static uint32_t digit_of(uint8_t byte) {
    if (byte >= 'A' && byte <= 'Z') return (uint32_t)byte - 'A';
    if (byte >= 'a' && byte <= 'z') return (uint32_t)byte - 'a' + 26u;
    if (byte >= '0' && byte <= '9') return (uint32_t)byte - '0' + 52u;
    return byte == '+' ? 62u : byte == '/' ? 63u : NO_DIGIT;
}

/* False: no base64 (RFC 4648 section 4), or more than the buffer holds. */
static bool digit(tf_line_t *line, uint8_t byte) {
    uint32_t value = digit_of(byte);
    if (byte == '=') {
        if (line->quad_count < 2) return false;
        line->padding++;
        value = 0;
    } else if (value == NO_DIGIT || line->padding > 0) {
        return false;
    }
    line->quad = line->quad << 6 | value;
    if (++line->quad_count < QUAD) return true;
    line->quad_count = 0;
    const uint32_t count = 3u - line->padding;
    if ((line->quad & ((1u << 8u * line->padding) - 1u)) != 0) return false; /* bits that no byte takes */
    if (count > line->frame.capacity - line->decoded) return false;
    for (uint32_t i = 0; i < count; i++) {
        line->frame.buffer[line->decoded++] = (uint8_t)(line->quad >> (16u - 8u * i));
    }
    return true;
}

static tf_line_kind_t finish(tf_line_t *line, tf_line_item_t *item) {
    const uint8_t *const bytes = line->frame.buffer;
    const uint32_t decoded = line->decoded;
    const bool odd = line->quad_count != 0;
    line->quad_count = 0;
    line->padding = 0;
    if (odd || decoded < LENGTH_BYTES) {
        abandon(line);
        return TF_LINE_NOTHING;
    }
    const uint32_t length = (uint32_t)bytes[0] << 8 | bytes[1];
    if (decoded < LENGTH_BYTES + length) return TF_LINE_NOTHING; /* more lines come */
    abandon(line);
    if (decoded > LENGTH_BYTES + length || length < CRC_BYTES) return TF_LINE_NOTHING;
    uint16_t crc = 0;
    for (uint32_t i = 0; i < length; i++) crc = crc16_add(crc, bytes[LENGTH_BYTES + i]);
    item->packet = (tf_bytes_t){.data = bytes + LENGTH_BYTES, .length = length - CRC_BYTES};
    return crc == 0 ? TF_LINE_SMP : TF_LINE_NOTHING;
}

static tf_line_kind_t act(tf_line_t *line, line_action_t action, uint8_t byte, tf_line_item_t *item) {
    switch (action) {
        case LINE_NOTHING:
            break;
        case LINE_FORGET:
            forget(line);
            break;
        case LINE_TURN:
            turn(line);
            keep(line, byte);
            break;
        case LINE_KEEP:
            keep(line, byte);
            break;
        case LINE_ABANDON:
        case LINE_ERASE:
            abandon(line);
            break;
        case LINE_CLOSE:
            if (!tf_frame_reader_put(&line->frame, byte, &item->frame)) break;
            line->state = LINE_TEXT;
            return TF_LINE_FRAME;
        case LINE_COMMAND:
            return command(line, item);
        case LINE_BEGIN:
            abandon(line);
            break;
        case LINE_RESUME:
            if (line->decoded == 0) line->state = LINE_TEXT; /* of a packet whose start was lost */
            break;
        case LINE_DIGIT:
            if (digit(line, byte)) break;
            abandon(line);
            line->state = LINE_TEXT;
            break;
        case LINE_FINISH:
            return finish(line, item);
    }
    return TF_LINE_NOTHING;
}

tf_line_kind_t tf_line_put(tf_line_t *line, uint8_t byte, tf_line_item_t *item) {
    const line_cell_t cell = tf_line_table[line->state][tf_line_class(byte)];
    const uint8_t before = line->state;
    line->state = cell.next;
    if (cell.action == LINE_COMMAND && before == LINE_FIRST) turn(line);
    return act(line, (line_action_t)cell.action, byte, item);
}
