/* What newlib's formatting asks of an operating system; there is none. */
#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>

#include "board.h"

void *_sbrk(ptrdiff_t increment);
int _write(int file, const char *data, int size);
int _read(int file, char *data, int size);
int _close(int file);
int _lseek(int file, int offset, int whence);
int _fstat(int file, struct stat *status);
int _isatty(int file);
int _getpid(void);
int _kill(int process, int signal);
void _exit(int status) __attribute__((noreturn));

/* No heap: every buffer of the node is static. */
void *_sbrk(ptrdiff_t increment) {
    (void)increment;
    errno = ENOMEM;
    return (void *)-1;
}

int _write(int file, const char *data, int size) {
    (void)file;
    if (size > 0) uart_write(data, (uint32_t)size);
    return size;
}

int _read(int file, char *data, int size) {
    (void)file, (void)data, (void)size;
    return 0;
}

int _close(int file) {
    (void)file;
    return -1;
}

int _lseek(int file, int offset, int whence) {
    (void)file, (void)offset, (void)whence;
    return 0;
}

int _fstat(int file, struct stat *status) {
    (void)file;
    status->st_mode = S_IFCHR;
    return 0;
}

int _isatty(int file) {
    (void)file;
    return 1;
}

int _getpid(void) {
    return 1;
}

int _kill(int process, int signal) {
    (void)process, (void)signal;
    errno = EINVAL;
    return -1;
}

void _exit(int status) {
    (void)status;
    system_reset();
}
