/* Events and samples: what follows from a window that the running model saw. */
#include <string.h>

#include "node.h"

static uint8_t message[1024];

void live_init(node_t *node) {
    tf_rule_set(&node->rule, &tf_rule_default);
}

void live_model(node_t *node) {
    tf_rule_forget(&node->rule);
}

void live_link(node_t *node, bool up) {
    if (up) tf_collector_again(&node->collector, TF_MQTT_INFLIGHT);
}

bool live_is_done(const node_t *node) {
    const tf_collector_t *collector = &node->collector;
    const uint32_t since_ms = (uint32_t)collector->sample.uptime_ms - node->session.up_ms;
    return !collector->pending || since_ms < 1u << 31 || !radio_may_send(node);
}

/* Settings, not an update: taken from every want that is not older than what the node acted on. */
void live_want(node_t *node, const tf_want_t *want) {
    if (want->has_event_rule) tf_rule_set(&node->rule, &want->event_rule);
    if (!want->has_capture) return;
    const tf_capture_t *capture = &want->capture;
    if (capture->per_day != node->collector.limits.per_day) {
        tf_console("capture: %lu windows a day", (unsigned long)capture->per_day);
    }
    tf_collector_set(&node->collector, capture);
}

static void tell(node_t *node) {
    uint64_t now_ms = node_uptime_ms(node);
    if (!tf_rule_due(&node->rule, now_ms)) return;
    tf_event_t event = {
        .kind = TF_EVENT_KIND_INFERENCE,
        .has_class = true,
        .class_index = (uint8_t)node->rule.on,
        .has_score = true,
        .score = node->rule.score,
        .has_model = true,
    };
    memcpy(event.model, node->sampler.telemetry.model, sizeof event.model);
    report_event(node, &event);
    tf_rule_told(&node->rule, now_ms);
}

void live_verdict(node_t *node, const sampler_outcome_t *outcome) {
    const sampler_t *sampler = &node->sampler;
    tf_rule_add(&node->rule, outcome->verdict);
    tell(node);
    const tf_candidate_t candidate = {
        .source = sampler->source,
        .values = outcome->values,
        .model = sampler->telemetry.model,
        .verdict = outcome->verdict,
        .scores = sampler->scores,
        .score_count = sampler->telemetry.class_count,
    };
    if (tf_collector_offer(&node->collector, &candidate, node_uptime_ms(node)) == TF_COLLECTOR_SKIPPED) {
        node->sampler.telemetry.skipped++;
    }
}

/* A part a call: what the node owes the manager otherwise goes first. */
void live_poll(node_t *node) {
    tf_sample_t sample;
    if (!tf_collector_next(&node->collector, &sample)) return;
    if (!radio_may_send(node) || !session_ready(&node->session, sizeof message)) return;
    sample.boot = tf_update_record(&node->update)->boot;
    uint32_t size = tf_encode_sample(&sample, message, sizeof message);
    if (size == 0) tf_console("capture: window %lu cannot be encoded", (unsigned long)sample.seq);
    if (size > 0 && !session_publish(&node->session, "sample", message, size, false)) return;
    if (tf_collector_sent(&node->collector)) node->sampler.telemetry.captured++;
}
