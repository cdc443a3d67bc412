/* UTF-8 as RFC 3629 allows it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef TINYFLEET_WIRE_UTF8_H
#define TINYFLEET_WIRE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

bool tf_utf8_valid(const uint8_t *data, uint32_t length);

#endif
