/* The parts of the port to Linux. */
#ifndef TINYFLEET_POSIX_H
#define TINYFLEET_POSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"
#include "tinyfleet/node_port.h"

/* What this program does, which never ends. */
void posix_run(void) __attribute__((noreturn));

/* Ends the process with a line on the console: what happened to what, and the system's reason, if any. */
void posix_fail(const char *what, const char *subject) __attribute__((noreturn));

/* The folder with the node's state; opens, or makes, its flash. Fails when another process has it. */
void posix_flash_open(const char *folder);
const tf_flash_t *posix_flash(void);

uint64_t posix_now_us(void);
uint64_t posix_unix_ms(void);

/* Keeps a record of what ends the process in the state folder. `arguments` start it anew. */
void posix_crash_open(const char *folder, char *const *arguments);
bool posix_crash_take(tf_crash_t *crash);
void posix_reset(void) __attribute__((noreturn));
void posix_panic(const char *what) __attribute__((noreturn));
/* Why this process was started: asked for by posix_reset, or not known. */
tf_reset_t posix_reset_reason(void);

/* systemd's watchdog, where it has asked for one (sd_notify(3)). */
void posix_watchdog_start(void);
void posix_watchdog_feed(void);
/* The longest sleep that feeds it in time; UINT32_MAX: it does not watch. */
uint32_t posix_watchdog_ms(void);

#endif
