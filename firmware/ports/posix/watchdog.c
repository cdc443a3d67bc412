/* The watchdog is systemd's: with WatchdogSec in its unit it ends a process that says nothing for so long.
 * Source: sd_notify(3), sd_watchdog_enabled(3). */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix.h"

#define USEC "WATCHDOG_USEC"
#define SOCKET "NOTIFY_SOCKET"

static struct sockaddr_un notify;
static socklen_t notify_bytes;
static int channel = -1;
static uint64_t feed_us, fed_us; /* a third of what systemd waits; 0: it does not watch */

static void tell(const char *text) {
    if (channel < 0) return;
    (void)sendto(channel, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify, notify_bytes);
}

void posix_watchdog_start(void) {
    const char *path = getenv(SOCKET), *usec = getenv(USEC);
    if (path == NULL || path[0] == 0 || strlen(path) >= sizeof notify.sun_path) return;
    notify.sun_family = AF_UNIX;
    memcpy(notify.sun_path, path, strlen(path));
    if (path[0] == '@') notify.sun_path[0] = 0;
    notify_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (usec != NULL) feed_us = strtoull(usec, NULL, 10) / 3;
    tell("READY=1");
}

void posix_watchdog_feed(void) {
    if (feed_us == 0) return;
    uint64_t now_us = posix_now_us();
    if (fed_us != 0 && now_us - fed_us < feed_us) return;
    fed_us = now_us;
    tell("WATCHDOG=1");
}

uint32_t posix_watchdog_ms(void) {
    uint64_t ms = feed_us / 1000u;
    return feed_us == 0 || ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}
