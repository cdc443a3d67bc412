/* Lines of the console, over the board's UART. */
#include <stdarg.h>
#include <stdio.h>

#include "board.h"

#define LINE_BYTES 160

void tf_console(const char *format, ...) {
    char line[LINE_BYTES + 1];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    if (length >= LINE_BYTES) length = LINE_BYTES - 1;
    line[length] = '\n';
    uart_write(line, (uint32_t)length + 1);
}
