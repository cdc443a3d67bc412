/* The five functions of socket_port.h over the system's sockets. */
#define _GNU_SOURCE /* SOCK_NONBLOCK, SOCK_CLOEXEC */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "posix.h"
#include "tinyfleet/socket_port.h"

static int connection = -1;

static void end(void *context) {
    (void)context;
    if (connection >= 0) (void)close(connection);
    connection = -1;
}

static int refuse(void) {
    end(NULL);
    return -1;
}

static int open_to(void *context, const uint8_t address[4], uint16_t port) {
    (void)context;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&to.sin_addr, address, 4);
    if (connection < 0) {
        connection = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connection < 0) return -1;
        const int on = 1;
        /* Small packets must not wait for one another's acknowledgement. */
        if (setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return refuse();
    }
    if (connect(connection, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EISCONN) return 1;
    return errno == EINPROGRESS || errno == EALREADY || errno == EINTR ? 0 : refuse();
}

static bool not_now(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int32_t send_some(void *context, const uint8_t *data, uint32_t size) {
    (void)context;
    if (connection < 0) return -1;
    ssize_t done = send(connection, data, size, MSG_NOSIGNAL);
    if (done >= 0) return (int32_t)done;
    return not_now() ? 0 : -1;
}

static int32_t receive_some(void *context, uint8_t *data, uint32_t size) {
    (void)context;
    if (connection < 0) return -1;
    ssize_t done = recv(connection, data, size, 0);
    if (done > 0) return (int32_t)done;
    return done < 0 && not_now() ? 0 : -1;
}

static void wait_for(void *context, uint32_t ms, bool writing) {
    (void)context;
    uint32_t fed_within_ms = posix_watchdog_ms();
    if (ms > fed_within_ms) ms = fed_within_ms;
    struct pollfd entry = {.fd = connection, .events = (short)(POLLIN | (writing ? POLLOUT : 0))};
    int timeout_ms = ms > INT32_MAX ? INT32_MAX : (int)ms;
    (void)poll(&entry, connection < 0 ? 0 : 1, timeout_ms);
}

const tf_socket_port_t *tf_socket_port(void) {
    static const tf_socket_port_t port = {NULL, open_to, send_some, receive_some, end, wait_for};
    return &port;
}
