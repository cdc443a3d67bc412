#ifndef TINYFLEET_TEXT_H
#define TINYFLEET_TEXT_H

#include <stdint.h>

/* Borrowed UTF-8, not NUL-terminated. */
typedef struct {
    const char *text; /* NULL: absent */
    uint32_t length;
} tf_text_t;

#endif
