/* The connection over five functions shaped like sockets (socket_port.h). What the client writes waits here
 * until send() takes it: a packet is queued whole or not at all. */
#include <string.h>

#include "link_upper.h"
#include "tinyfleet/socket_port.h"

#define QUEUE_BYTES 6144u /* a whole message with its packet's head, and acknowledgements */
#define READ_BYTES 1460u
#define READS_A_POLL 16u /* then the rest of the loop has its turn, however much still comes */

enum { STATE_CLOSED, STATE_OPENING, STATE_OPEN };

static struct {
    uint32_t fill;
    uint8_t bytes[QUEUE_BYTES];
} queue;

static uint32_t room(void *context) {
    const tf_link_t *link = context;
    return link->state == STATE_OPEN ? QUEUE_BYTES - queue.fill : 0;
}

static int write(void *context, const uint8_t *data, uint32_t size, bool more) {
    (void)more;
    if (size > room(context)) return -1;
    memcpy(queue.bytes + queue.fill, data, size);
    queue.fill += size;
    return 0;
}

/* False: the connection has ended. */
static bool send_queue(void) {
    const tf_socket_port_t *port = tf_socket_port();
    if (queue.fill == 0) return true;
    int32_t taken = port->send(port->context, queue.bytes, queue.fill);
    if (taken < 0 || (uint32_t)taken > queue.fill) return false;
    queue.fill -= (uint32_t)taken;
    memmove(queue.bytes, queue.bytes + taken, queue.fill);
    return true;
}

/* An end that shows here is told by the next poll: who writes must not be called back. */
static void flush(void *context) {
    const tf_link_t *link = context;
    if (link->state == STATE_OPEN) (void)send_queue();
}

static void end(void *context) {
    tf_link_t *link = context;
    const tf_socket_port_t *port = tf_socket_port();
    if (link->state == STATE_CLOSED) return;
    (void)send_queue();
    link->state = STATE_CLOSED;
    queue.fill = 0;
    port->close(port->context);
}

static void lose(tf_link_t *link) {
    queue.fill = 0;
    link->upper.lost(link->upper.context);
    /* Whoever had begun to open and has not is still in that state. */
    end(link);
}

tf_mqtt_transport_t tf_link_transport(tf_link_t *link, tf_mqtt_t *client, uint32_t (*now_ms)(void)) {
    *link = (tf_link_t){.upper = link_upper_of(client), .now_ms = now_ms};
    return (tf_mqtt_transport_t){.context = link, .room = room, .write = write, .flush = flush, .close = end};
}

const char *tf_link_start(tf_link_t *link, const tf_node_port_t *port, const char *name) {
    (void)name;
    link->port = port;
    return NULL;
}

bool tf_link_connect(tf_link_t *link, const uint8_t host[4], uint16_t port) {
    if (link->state != STATE_CLOSED) return false;
    memcpy(link->host, host, sizeof link->host);
    link->host_port = port;
    link->state = STATE_OPENING;
    queue.fill = 0;
    return true;
}

static void open_further(tf_link_t *link) {
    const tf_socket_port_t *port = tf_socket_port();
    int opened = port->connect(port->context, link->host, link->host_port);
    if (opened < 0) {
        lose(link);
    } else if (opened > 0) {
        link->state = STATE_OPEN;
        link->upper.opened(link->upper.context, link->now_ms());
    }
}

static void take_in(tf_link_t *link) {
    static uint8_t bytes[READ_BYTES];
    const tf_socket_port_t *port = tf_socket_port();
    for (uint32_t i = 0; i < READS_A_POLL && link->state == STATE_OPEN; i++) {
        int32_t size = port->receive(port->context, bytes, sizeof bytes);
        if (size == 0) return;
        if (size < 0 || (uint32_t)size > sizeof bytes) {
            lose(link);
            return;
        }
        link->upper.input(link->upper.context, bytes, (uint32_t)size, link->now_ms());
    }
}

static void send_further(tf_link_t *link) {
    uint32_t before = queue.fill;
    if (!send_queue()) {
        lose(link);
    } else if (queue.fill < before) {
        link->upper.writable(link->upper.context, link->now_ms());
    }
}

bool tf_link_poll(tf_link_t *link) {
    if (link->state == STATE_OPENING) open_further(link);
    if (link->state == STATE_OPEN) take_in(link);
    if (link->state == STATE_OPEN) send_further(link);
    return true;
}

void tf_link_power(tf_link_t *link, bool on) {
    if (link->port->net_power != NULL) link->port->net_power(on);
}

void tf_link_idle(tf_link_t *link, uint32_t ms) {
    const tf_socket_port_t *port = tf_socket_port();
    port->wait(port->context, ms, link->state == STATE_OPENING || queue.fill > 0);
}
