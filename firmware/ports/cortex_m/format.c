/* snprintf and vsnprintf of the C standard, as far as the firmware's messages go: newlib's take 3 KB and a
 * heap. Conversions: d, u, x, c, s and %%, with flag 0 and a width, l, and a precision for s. Others come out
 * as they stand. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    char *to;
    size_t capacity;
    size_t length; /* of the whole text, also where it does not fit */
} text_t;

typedef struct {
    bool zeros;
    bool wide; /* l; int and long are the same here, but not on a host that tests this */
    unsigned width;
    unsigned precision;
} field_t;

static void put(text_t *text, char letter) {
    if (text->length + 1 < text->capacity) text->to[text->length] = letter;
    text->length++;
}

static void pad(text_t *text, const field_t *field, size_t bytes) {
    for (size_t i = bytes; i < field->width; i++) put(text, field->zeros ? '0' : ' ');
}

static void put_number(text_t *text, const field_t *field, unsigned long value, unsigned base,
                       bool negative) {
    char digits[3 * sizeof value];
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    if (negative && field->zeros) put(text, '-');
    if (negative && !field->zeros) digits[count++] = '-';
    pad(text, field, count + (negative && field->zeros ? 1 : 0));
    while (count > 0) put(text, digits[--count]);
}

static void put_text(text_t *text, const field_t *field, const char *from) {
    size_t length = 0;
    while (length < field->precision && from[length] != 0) length++;
    pad(text, field, length);
    for (size_t i = 0; i < length; i++) put(text, from[i]);
}

static unsigned number(const char **format) {
    unsigned value = 0;
    while (**format >= '0' && **format <= '9') value = 10 * value + (unsigned)(*(*format)++ - '0');
    return value;
}

static field_t field_of(const char **format) {
    field_t field = {false, false, 0, UINT32_MAX};
    field.zeros = **format == '0';
    field.width = number(format);
    if (**format == '.') {
        (*format)++;
        field.precision = number(format);
    }
    if (**format == 'l') {
        (*format)++;
        field.wide = true;
    }
    return field;
}

int vsnprintf(char *to, size_t capacity, const char *format, va_list arguments) {
    text_t text = {to, capacity, 0};
    while (*format != 0) {
        if (*format != '%') {
            put(&text, *format++);
            continue;
        }
        const char *start = format++;
        field_t field = field_of(&format);
        const char kind = *format;
        if (kind == 'd') {
            long value = field.wide ? va_arg(arguments, long) : va_arg(arguments, int);
            put_number(&text, &field, value < 0 ? 0ul - (unsigned long)value : (unsigned long)value, 10,
                       value < 0);
        } else if (kind == 'u' || kind == 'x') {
            unsigned long value = field.wide ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned);
            put_number(&text, &field, value, kind == 'x' ? 16 : 10, false);
        } else if (kind == 's') {
            put_text(&text, &field, va_arg(arguments, const char *));
        } else if (kind == 'c') {
            put(&text, (char)va_arg(arguments, int));
        } else if (kind == '%') {
            put(&text, '%');
        } else {
            while (start < format) put(&text, *start++);
            continue;
        }
        format++;
    }
    if (capacity > 0) to[text.length < capacity ? text.length : capacity - 1] = 0;
    return (int)text.length;
}

int snprintf(char *to, size_t capacity, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to, capacity, format, arguments);
    va_end(arguments);
    return length;
}
