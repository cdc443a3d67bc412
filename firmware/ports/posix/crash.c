/* What ended the last process, kept in a file of the state folder; and how a process starts itself anew.
 * Signals that end it write the record with nothing but system calls (signal-safety(7)). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix.h"

enum { PATH_BYTES = 4096, OWNER_ONLY = 0600, EXIT_PANIC = 70 };
#define WHY "TINYFLEET_RESET"
#define ASKED_FOR "request"

static char path[PATH_BYTES];
static char *const *again;
static tf_reset_t reason;

static void keep(const char *cause) {
    tf_crash_t crash;
    memset(&crash, 0, sizeof crash);
    for (uint32_t i = 0; i < sizeof crash.cause - 1 && cause[i] != 0; i++) crash.cause[i] = cause[i];
    crash.uptime_us = posix_now_us();
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, OWNER_ONLY);
    if (file < 0) return;
    /* A record cut short is none: it is told by its length. */
    ssize_t written = write(file, &crash, sizeof crash);
    (void)written;
    (void)close(file);
}

/* The default action follows: a core file where the system makes them, and a status that says which signal.
 */
static void on_signal(int number) {
    keep(number == SIGABRT ? "WATCHDOG" : "FAULT");
    (void)raise(number);
}

void posix_crash_open(const char *folder, char *const *arguments) {
    static const int ends[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE,
                               SIGABRT}; /* systemd's watchdog sends the last */
    int length = snprintf(path, sizeof path, "%s/crash.bin", folder);
    if (length < 0 || (size_t)length >= sizeof path)
        posix_fail("the state folder's path is too long", folder);
    again = arguments;
    const char *why = getenv(WHY);
    reason = why != NULL && strcmp(why, ASKED_FOR) == 0 ? TF_RESET_REQUEST : TF_RESET_POWER;
    (void)unsetenv(WHY);
    for (uint32_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
        (void)sigaction(ends[i], &action, NULL);
    }
}

bool posix_crash_take(tf_crash_t *crash) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    bool whole = read(file, crash, sizeof *crash) == (ssize_t)sizeof *crash;
    crash->cause[sizeof crash->cause - 1] = 0;
    (void)close(file);
    (void)unlink(path);
    return whole;
}

/* The same process number and the same program, whatever stands at its path by now. */
void posix_reset(void) {
    (void)setenv(WHY, ASKED_FOR, 1);
    (void)execv("/proc/self/exe", again);
    posix_fail("cannot start anew", again[0]);
}

/* Whoever supervises the process starts it again. */
void posix_panic(const char *what) {
    tf_console("panic: %s", what);
    keep("PANIC");
    exit(EXIT_PANIC);
}

tf_reset_t posix_reset_reason(void) {
    return reason;
}
