#include "tinyfleet/print.h"

#include <string.h>

void tf_print(tf_sink_t sink, const char *text) {
    sink((const uint8_t *)text, (uint32_t)strlen(text));
}

void tf_print_number(tf_sink_t sink, uint32_t value) {
    char digits[11];
    char *at = digits + sizeof digits - 1;
    *at = 0;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    tf_print(sink, at);
}

void tf_print_hex(tf_sink_t sink, const uint8_t *data, uint32_t length) {
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < length; i++) {
        const uint8_t pair[2] = {(uint8_t)digits[data[i] >> 4], (uint8_t)digits[data[i] & 15]};
        sink(pair, sizeof pair);
    }
}

void tf_print_foreign(tf_sink_t sink, const char *text, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        const uint8_t byte = (uint8_t)text[i];
        const uint8_t shown = byte < 0x20 || byte == 0x7F ? (uint8_t)'?' : byte;
        sink(&shown, 1);
    }
}
