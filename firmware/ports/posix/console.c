/* Lines of the console are lines of the process's output. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix.h"

enum { LINE_BYTES = 160 };

void tf_console(const char *format, ...) {
    char line[LINE_BYTES + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    (void)puts(line);
    (void)fflush(stdout);
}

void posix_fail(const char *what, const char *subject) {
    const char *why = errno == 0 ? "" : strerror(errno);
    fprintf(stderr, "tinyfleet-node: %s %s%s%s\n", what, subject, errno == 0 ? "" : ": ", why);
    exit(EXIT_FAILURE);
}
