/* The connection over sockets, on a network made here: it takes as much as it likes, brings bytes in pieces,
 * refuses, and ends at any moment; whoever hears of it writes and closes whenever it is called. */
#include "check.h"
#include "random.h"
#include "tinyfleet/link.h"
#include "tinyfleet/socket_port.h"

enum { ROUNDS = 3000, TURNS = 60, PIECE = 1500, STREAM_BYTES = 1 << 18 };

typedef enum { ABSENT, OPENING, OPEN, ENDED } network_t;

static uint32_t seed = 7;
static tf_link_t link;
static tf_mqtt_transport_t transport;
static tf_node_port_t node_port;

/* The network. */
static network_t network;
static uint32_t closes, waits_writing, waits_reading;
static uint8_t to_peer[STREAM_BYTES], from_peer[STREAM_BYTES];
static uint32_t sent, brought;

/* Who hears of it. */
static uint8_t written[STREAM_BYTES];
static uint32_t accepted, heard, opens, losses, writables;
static bool open_here;

static uint32_t below(uint32_t bound) {
    return random_next(&seed) % bound;
}

static int net_connect(void *context, const uint8_t address[4], uint16_t port) {
    (void)context;
    CHECK(memcmp(address, (const uint8_t[]){192, 0, 2, 1}, 4) == 0 && port == 1883);
    CHECK(network == ABSENT || network == OPENING);
    network = OPENING;
    if (below(4) > 0) return 0;
    network = below(5) == 0 ? ENDED : OPEN;
    return network == OPEN ? 1 : -1;
}

static int32_t net_send(void *context, const uint8_t *data, uint32_t size) {
    (void)context;
    CHECK(size > 0 && (network == OPEN || network == ENDED));
    if (network == ENDED) return -1;
    uint32_t taken = below(3) == 0 ? 0 : 1 + below(size);
    memcpy(to_peer + sent, data, taken);
    sent += taken;
    return (int32_t)taken;
}

static int32_t net_receive(void *context, uint8_t *data, uint32_t size) {
    (void)context;
    CHECK(network == OPEN || network == ENDED);
    if (network == OPEN && below(60) == 0) network = ENDED;
    if (network == ENDED) return -1;
    uint32_t come = below(2) == 0 ? 0 : 1 + below(size);
    for (uint32_t i = 0; i < come; i++) data[i] = from_peer[brought + i] = (uint8_t)random_next(&seed);
    brought += come;
    return (int32_t)come;
}

static void net_close(void *context) {
    (void)context;
    network = ABSENT;
    closes++;
}

static void net_wait(void *context, uint32_t ms, bool writing) {
    (void)context, (void)ms;
    if (writing) waits_writing++;
    if (!writing) waits_reading++;
}

const tf_socket_port_t *tf_socket_port(void) {
    static const tf_socket_port_t port = {NULL, net_connect, net_send, net_receive, net_close, net_wait};
    return &port;
}

static void close_here(void) {
    transport.close(transport.context);
    CHECK_EQUAL(transport.room(transport.context), 0);
    open_here = false;
}

/* Some bytes, or more than there is room for: those are refused whole. */
static void write_some(void) {
    static uint8_t bytes[16384];
    uint32_t room = transport.room(transport.context), size = 1 + below(PIECE);
    for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)random_next(&seed);
    CHECK(room < sizeof bytes);
    CHECK(transport.write(transport.context, bytes, room + 1, false) != 0);
    if (size > room) return;
    CHECK(transport.write(transport.context, bytes, size, below(2) == 0) == 0);
    memcpy(written + accepted, bytes, size);
    accepted += size;
    if (below(2) == 0) transport.flush(transport.context);
}

static void on_opened(void *context, uint32_t now_ms) {
    (void)context, (void)now_ms;
    CHECK(!open_here && network == OPEN);
    open_here = true;
    opens++;
    write_some();
    if (below(30) == 0) close_here();
}

static void on_writable(void *context, uint32_t now_ms) {
    (void)context, (void)now_ms;
    CHECK(open_here);
    writables++;
    write_some();
}

static void on_input(void *context, const uint8_t *data, uint32_t size, uint32_t now_ms) {
    (void)context, (void)now_ms;
    CHECK(open_here && size > 0);
    CHECK(memcmp(data, from_peer + heard, size) == 0);
    heard += size;
    if (below(4) == 0) write_some();
    if (below(40) == 0) close_here();
}

/* The client closes what it is told is lost; what stands between may not. */
static void on_lost(void *context) {
    (void)context;
    losses++;
    open_here = false;
    if (below(2) == 0) close_here();
}

static uint32_t now_ms(void) {
    return 0;
}

static void one_connection(void) {
    static const uint8_t host[4] = {192, 0, 2, 1};
    sent = brought = accepted = heard = 0;
    uint32_t closed_before = closes, lost_before = losses;
    CHECK_EQUAL(transport.room(transport.context), 0);
    CHECK(tf_link_connect(&link, host, 1883));
    CHECK(!tf_link_connect(&link, host, 1883));
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        CHECK(tf_link_poll(&link));
        if (open_here && below(3) == 0) write_some();
        tf_link_idle(&link, 10);
        CHECK(sent <= accepted && memcmp(to_peer, written, sent) == 0);
        CHECK(heard <= brought);
    }
    if (network != ABSENT) close_here();
    CHECK_EQUAL(closes, closed_before + 1);
    CHECK(losses <= lost_before + 1);
    CHECK(tf_link_poll(&link));
    CHECK_EQUAL(closes, closed_before + 1);
}

static void bytes_go_both_ways_in_order_until_it_ends(void) {
    const tf_link_upper_t upper = {NULL, on_opened, on_writable, on_input, on_lost};
    tf_mqtt_t client;
    transport = tf_link_transport(&link, &client, now_ms);
    tf_link_hand_to(&link, &upper);
    CHECK(tf_link_start(&link, &node_port, "node") == NULL);
    for (uint32_t round = 0; round < ROUNDS; round++) one_connection();
    CHECK(opens > ROUNDS / 2 && losses > ROUNDS / 10 && writables > ROUNDS);
    CHECK(waits_writing > 0 && waits_reading > 0);
    printf("%u connections opened, %u lost\n", opens, losses);
}

int main(void) {
    RUN(bytes_go_both_ways_in_order_until_it_ends);
    return 0;
}
