/* Starts the node and turns its one loop. */
#include <string.h>

#include "entropy.h"
#include "feed.h"
#include "layout.h"
#include "node.h"
#include "secure.h"

#define DEFAULT_PERIOD_S 60u

static node_t node;

static void on_link(void *context, bool up) {
    rotation_link(context, up);
    updates_link(context, up);
    live_link(context, up);
    if (up) tf_console("mqtt: connected, subscribed");
}

static void on_want(void *context, const uint8_t *data, uint32_t size) {
    updates_want(context, data, size);
}

static void on_chunk(void *context, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t size) {
    updates_chunk(context, topic, data, size);
}

static void on_published(void *context, uint16_t id, bool taken) {
    node_t *self = context;
    outbox_acknowledged(&self->outbox, id, taken);
}

static uint32_t now_ms(void) {
    return (uint32_t)(tf_node_port()->now_us() / 1000);
}

/* For a node that cannot work: alive, quiet, and without an endless reset. */
static void rest(const tf_node_port_t *port, const char *why) __attribute__((noreturn));

static void rest(const tf_node_port_t *port, const char *why) {
    tf_console("stopped: %s", why);
    updates_give_up(&node);
    for (;;) {
        port->watchdog_feed();
        port->idle(UINT32_MAX);
    }
}

static void start(const tf_node_port_t *port) {
    node.port = port;
    tf_console("tinyfleet node %s on %s", TINYFLEET_VERSION, port->device_type);
    node.has_crash = port->take_crash(&node.crash);
    if (node.has_crash) tf_console("last run ended by %.11s", node.crash.cause);
    updates_meet_bootloader(&node);
    if (!settings_read(&node.settings, &node.rotation.store, port->flash())) rest(port, "not provisioned");
    node.period_s = node.settings.config.period_s;
    if (node.period_s == 0) node.period_s = DEFAULT_PERIOD_S;
    sampler_init(&node.sampler, feed_source(&node.settings, port), port->now_us, port->energy_uj);
    live_init(&node);
    radio_init(&node);
    shadow_init(&node.shadow, &node.sampler);
    const tf_ring_place_t ring = {port->flash(), LAYOUT_RING, LAYOUT_RING_BYTES};
    outbox_init(&node.outbox, &node.session, &ring);
    if (node.outbox.ring.held > 0)
        tf_console("report: %lu messages wait", (unsigned long)node.outbox.ring.held);
    if (!updates_start(&node)) tf_console("update: state cannot be written; no updates until the next start");
    const tf_update_record_t *record = tf_update_record(&node.update);
    tf_console("device %s, boot %lu, broker %s:%u", node.settings.device, (unsigned long)record->boot,
               node.settings.host, node.settings.config.port);
    entropy_start(node.settings.config.seed, record->boot);
    const session_events_t events = {&node, on_link, on_want, on_chunk, on_published};
    switch (session_init(&node.session, &node.settings, record->boot, &events, now_ms)) {
        case SESSION_OK:
            break;
        case SESSION_TOPIC:
            rest(port, "config record: topic prefix or device is too long");
        case SESSION_NO_TLS:
            rest(port, "config record: asks for TLS, which this firmware was built without");
    }
    const char *why = tf_link_start(&node.session.link, port, node.settings.device);
    if (why != NULL) rest(port, why);
    smp_start(&node);
    rotation_start(&node);
    clock_server(&node.clock, &node.settings.config);
}

static uint32_t least(uint32_t left, uint32_t right) {
    return left < right ? left : right;
}

/* Milliseconds until it is to be polled again. */
static uint32_t poll_network(void) {
    if (!radio_on(&node)) return UINT32_MAX;
    bool has_address = tf_link_poll(&node.session.link);
    clock_poll(&node.clock, has_address, node_uptime_ms(&node));
    secure_time(clock_unix_s(&node.clock, node_uptime_ms(&node)));
    uint32_t wait_ms = session_poll(&node.session, has_address, now_ms());
    return least(wait_ms, clock_wait_ms(&node.clock, has_address, node_uptime_ms(&node)));
}

void tf_node_run(void) {
    tf_node_port_start();
    const tf_node_port_t *port = tf_node_port();
    start(port);
    for (;;) {
        port->watchdog_feed();
        rotation_poll(&node);
        uint32_t wait_ms = poll_network();
        sampler_outcome_t outcome = sampler_poll(&node.sampler);
        if (outcome.has_verdict) {
            live_verdict(&node, &outcome);
            shadow_offer(&node.shadow, &outcome);
        }
        updates_challenger(&node, shadow_poll(&node.shadow));
        if (outcome.trial_ended) updates_trial_ended(&node, outcome.result, outcome.detail);
        smp_poll(&node);
        updates_poll(&node);
        report_poll(&node);
        live_poll(&node);
        if (radio_poll(&node)) wait_ms = 0;
        wait_ms = least(wait_ms, radio_wait_ms(&node));
        wait_ms = least(wait_ms, updates_wait_ms(&node));
        wait_ms = least(wait_ms, sampler_wait_ms(&node.sampler));
        wait_ms = least(wait_ms, shadow_wait_ms(&node.shadow));
        wait_ms = least(wait_ms, report_wait_ms(&node));
        wait_ms = least(wait_ms, rotation_wait_ms(&node));
        tf_link_idle(&node.session.link, wait_ms);
    }
}
