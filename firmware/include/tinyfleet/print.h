/* Text to a console without printf, which would take a fifth of a small board's flash. */
#ifndef TINYFLEET_PRINT_H
#define TINYFLEET_PRINT_H

#include <stdint.h>

typedef void (*tf_sink_t)(const uint8_t *data, uint32_t length);

void tf_print(tf_sink_t sink, const char *text);
void tf_print_number(tf_sink_t sink, uint32_t value);
void tf_print_hex(tf_sink_t sink, const uint8_t *data, uint32_t length);
/* What a terminal could take for a command is shown as '?'. */
void tf_print_foreign(tf_sink_t sink, const char *text, uint32_t length);

#endif
