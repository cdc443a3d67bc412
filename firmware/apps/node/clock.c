#include "clock.h"

#include <string.h>

#include "entropy.h"
#include "tinyfleet/node_port.h"

static uint64_t now(void) {
    return tf_node_port()->now_us() / 1000u;
}

static void on_packet(void *context, const uint8_t *data, uint32_t size) {
    node_clock_t *clock = context;
    uint64_t unix_ms, at_ms = now();
    if (!tf_sntp_answer(&clock->sntp, data, size, (uint32_t)at_ms, &unix_ms)) return;
    if (clock->source != TF_CLOCK_SOURCE_SNTP) {
        tf_console("clock: %lu s since 1970, by SNTP", (unsigned long)(unix_ms / 1000u));
    }
    clock->source = TF_CLOCK_SOURCE_SNTP;
    clock->unix_ms = unix_ms;
    clock->at_ms = at_ms;
}

void clock_server(node_clock_t *clock, const tf_config_t *config) {
    tf_server_t server = {{0}, 0};
    if (config->has_sntp) server = config->sntp;
    if (server.port == 0) server.port = TF_SNTP_PORT;
    if (clock->sntp.state != TF_SNTP_OFF && memcmp(&server, &clock->server, sizeof server) == 0) return;
    clock->server = server;
    clock->link.context = clock;
    clock->link.on_packet = on_packet;
    tf_query_close(&clock->link);
    tf_sntp_start(&clock->sntp, config->has_sntp && tf_node_port()->unix_ms == NULL);
}

/* A computer without a battery starts in 1970: that is no time. */
static void take_systems(node_clock_t *clock, uint64_t now_ms) {
    uint64_t unix_ms = tf_node_port()->unix_ms();
    if (unix_ms / 1000u < TF_SNTP_EARLIEST_S) return;
    clock->source = TF_CLOCK_SOURCE_SYSTEM;
    clock->unix_ms = unix_ms;
    clock->at_ms = now_ms;
}

void clock_poll(node_clock_t *clock, bool network, uint64_t now_ms) {
    if (tf_node_port()->unix_ms != NULL) take_systems(clock, now_ms);
    uint8_t nonce[TF_SNTP_NONCE_BYTES], request[TF_SNTP_BYTES];
    if (!network || clock_wait_ms(clock, network, now_ms) > 0) return;
    for (uint32_t i = 0; i < sizeof nonce; i += 4) {
        uint32_t value = entropy_next();
        memcpy(nonce + i, &value, sizeof value);
    }
    if (!tf_sntp_poll(&clock->sntp, (uint32_t)now_ms, nonce, request)) {
        if (clock->sntp.state == TF_SNTP_RESTING) tf_console("clock: the SNTP server does not answer");
        return;
    }
    /* What cannot be sent is as good as lost on the way. A port of its own for each request: who wants to
     * forge an answer has to guess that, too. */
    if (tf_query_open(&clock->link, clock->server.host, clock->server.port)) {
        (void)tf_query_send(&clock->link, request, sizeof request);
    }
}

uint32_t clock_wait_ms(const node_clock_t *clock, bool network, uint64_t now_ms) {
    return network ? tf_sntp_wait_ms(&clock->sntp, (uint32_t)now_ms) : UINT32_MAX;
}

uint64_t clock_unix_s(const node_clock_t *clock, uint64_t now_ms) {
    if (clock->source == TF_CLOCK_SOURCE_NONE) return 0;
    return (clock->unix_ms + (now_ms - clock->at_ms)) / 1000u;
}

tf_clock_report_t clock_report(const node_clock_t *clock, uint64_t now_ms) {
    uint64_t unix_s = clock_unix_s(clock, now_ms);
    return (tf_clock_report_t){.source = clock->source, .has_unix_s = unix_s != 0, .unix_s = unix_s};
}
