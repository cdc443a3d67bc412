/* The time of day: the system's, where there is one; else asked for by SNTP where the configuration names a
 * server; else nobody's. */
#ifndef TINYFLEET_NODE_CLOCK_H
#define TINYFLEET_NODE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/sntp.h"
#include "tinyfleet/query.h"
#include "tinyfleet/wire.h"

typedef struct {
    tf_sntp_t sntp;
    tf_query_t link;
    tf_server_t server;
    tf_clock_source_t source;
    uint64_t unix_ms; /* at `at_ms` of the uptime */
    uint64_t at_ms;
} node_clock_t;

/* Takes up the configuration's server, at the start and whenever it may be another one. */
void clock_server(node_clock_t *clock, const tf_config_t *config);
/* Asks when it is time (`network`: there is an address). */
void clock_poll(node_clock_t *clock, bool network, uint64_t now_ms);
uint32_t clock_wait_ms(const node_clock_t *clock, bool network, uint64_t now_ms);

/* 0: not known. */
uint64_t clock_unix_s(const node_clock_t *clock, uint64_t now_ms);
tf_clock_report_t clock_report(const node_clock_t *clock, uint64_t now_ms);

#endif
