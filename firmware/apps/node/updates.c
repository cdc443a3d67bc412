/* Joins the update engine with session and sampler: events in, actions carried out. */
#include <string.h>

#include "layout.h"
#include "node.h"
#include "tinyfleet/runtime.h"

#define ACTIONS_A_POLL 32u /* a bound, not a need: the engine asks for a few at a time */

static tf_update_now_t now(const node_t *node) {
    /* No clock and no battery on this board: conditions on them hold nothing back (SPEC section 3). */
    return (tf_update_now_t){.uptime_ms = node_uptime_ms(node)};
}

bool updates_start(node_t *node) {
    const tf_update_config_t config = {
        .layout = {.flash = node->port->flash(),
                   .state_offset = {LAYOUT_STATE_A, LAYOUT_STATE_B},
                   .slot_offset = {LAYOUT_MODEL_A, LAYOUT_MODEL_B},
                   .slot_bytes = LAYOUT_MODEL_BYTES},
        .policy = {.kind = TF_ARTIFACT_KIND_MODEL,
                   .device_type = tf_text(node->port->device_type),
                   .cores = tf_runtime_cores(),
                   .abi = TF_RUNTIME_ABI,
                   .trust = &node->settings.trust,
                   .firmware = {TINYFLEET_VERSION_MAJOR, TINYFLEET_VERSION_MINOR, TINYFLEET_VERSION_PATCH,
                                0}},
    };
    /* A download that goes on after a reset is counted from the reset. */
    node->transfer.open = true;
    const tf_update_now_t at = now(node);
    return tf_update_start(&node->update, &config, &at);
}

static void count_bytes(const node_t *node, tf_transfer_t *bytes) {
    bytes->mqtt_rx_bytes = node->session.client.counters.rx_bytes;
    bytes->mqtt_tx_bytes = node->session.client.counters.tx_bytes;
    node->port->net_bytes(&bytes->ip_rx_bytes, &bytes->ip_tx_bytes);
}

static void measure(const node_t *node, transfer_t *transfer) {
    tf_transfer_t bytes;
    count_bytes(node, &bytes);
    transfer->total.mqtt_rx_bytes = bytes.mqtt_rx_bytes - transfer->base.mqtt_rx_bytes;
    transfer->total.mqtt_tx_bytes = bytes.mqtt_tx_bytes - transfer->base.mqtt_tx_bytes;
    transfer->total.ip_rx_bytes = bytes.ip_rx_bytes - transfer->base.ip_rx_bytes;
    transfer->total.ip_tx_bytes = bytes.ip_tx_bytes - transfer->base.ip_tx_bytes;
}

/* The engine says how long; the bytes are ours. After VERIFIED both stand still. */
static void add_transfer(node_t *node, tf_status_t *status) {
    transfer_t *transfer = &node->transfer;
    if (!status->has_transfer) return;
    if (transfer->open) {
        measure(node, transfer);
        transfer->total.elapsed_ms = status->transfer.elapsed_ms;
    }
    if (status->state >= TF_UPDATE_STATE_VERIFIED) transfer->open = false;
    status->transfer = transfer->total;
}

static void run(node_t *node, const tf_update_action_t *action) {
    report_last_tele(node);
    const tf_image_t *image = action->slot == TF_UPDATE_NO_SLOT ? NULL : &action->image;
    tf_result_t result = sampler_run(&node->sampler, image);
    node->tele_due_ms = node_uptime_ms(node) + (uint64_t)node->period_s * 1000;
    node->birth_due = true;
    if (image == NULL) {
        tf_console("model: none");
        return;
    }
    char version[TF_IMAGE_VERSION_MAX];
    (void)tf_image_version_text(&image->version, version);
    if (result != TF_RESULT_SUCCESS) {
        tf_console("model: %s in slot %u cannot run: result %d", version, action->slot, result);
        return;
    }
    tf_console("model: running %s from slot %u, arena %lu bytes", version, action->slot,
               (unsigned long)node->sampler.model.arena_bytes);
}

static void begin_trial(node_t *node, const tf_update_action_t *action) {
    tf_result_t result = sampler_try(&node->sampler, &action->image, &action->trial);
    if (result != TF_RESULT_SUCCESS) updates_trial_ended(node, result, "the model does not fit this node");
}

/* False: cannot be done now. */
static bool carry_out(node_t *node, tf_update_action_t *action) {
    switch (action->kind) {
        case TF_UPDATE_SUBSCRIBE:
            return session_subscribe(&node->session, action->manifest, action->group);
        case TF_UPDATE_UNSUBSCRIBE:
            return session_unsubscribe(&node->session, action->manifest, action->group);
        case TF_UPDATE_STATUS:
            add_transfer(node, &action->status);
            if (!report_status(node, &action->status)) return false;
            tf_console("update: %s, result %d, %lu of %lu bytes", tf_update_state_name(action->status.state),
                       action->status.result, (unsigned long)action->status.offset_bytes,
                       (unsigned long)action->status.size_bytes);
            return true;
        case TF_UPDATE_TRIAL:
            begin_trial(node, action);
            return true;
        case TF_UPDATE_RUN:
            run(node, action);
            return true;
    }
    return true;
}

void updates_poll(node_t *node) {
    const tf_update_now_t at = now(node);
    tf_update_tick(&node->update, &at);
    for (uint32_t i = 0; i < ACTIONS_A_POLL; i++) {
        if (!node->has_action) node->has_action = tf_update_next(&node->update, &node->action);
        if (!node->has_action || !carry_out(node, &node->action)) return;
        node->has_action = false;
    }
}

uint32_t updates_wait_ms(const node_t *node) {
    uint64_t due_ms = tf_update_due(&node->update), now_ms = node_uptime_ms(node);
    if (due_ms == TF_UPDATE_NEVER) return UINT32_MAX;
    if (due_ms <= now_ms) return 0;
    return due_ms - now_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)(due_ms - now_ms);
}

void updates_link(node_t *node, bool up) {
    if (up) node->birth_due = true;
    /* Subscriptions end with the connection, and the birth tells what a status would have told; neither may
     * keep the actions behind it from being carried out. */
    if (node->action.kind != TF_UPDATE_RUN && node->action.kind != TF_UPDATE_TRIAL) node->has_action = false;
    const tf_update_now_t at = now(node);
    tf_update_link(&node->update, up, &at);
}

static void begin_transfer(node_t *node) {
    node->transfer.open = true;
    memset(&node->transfer.total, 0, sizeof node->transfer.total);
    count_bytes(node, &node->transfer.base);
}

void updates_want(node_t *node, const uint8_t *data, uint32_t size) {
    const tf_update_now_t at = now(node);
    if (size == 0) {
        tf_update_want(&node->update, NULL, &at);
        return;
    }
    tf_want_t want;
    tf_wire_status_t status = tf_decode_want(data, size, &want);
    if (status != TF_WIRE_OK) {
        tf_console("want: refused (%d), %lu bytes", status, (unsigned long)size);
        return;
    }
    bool newer = tf_update_is_newer(&node->update, want.generation);
    if (!newer && want.generation != tf_update_record(&node->update)->generation) return;
    if (want.has_period_s && want.period_s > 0 && want.period_s != node->period_s) {
        node->period_s = want.period_s;
        node->tele_due_ms = at.uptime_ms + (uint64_t)want.period_s * 1000;
        node->birth_due = true;
    }
    if (newer) begin_transfer(node);
    tf_update_want(&node->update, &want, &at);
}

void updates_chunk(node_t *node, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t size) {
    const tf_update_now_t at = now(node);
    tf_update_chunk(&node->update, topic, data, size, &at);
}

void updates_trial_ended(node_t *node, tf_result_t result, const char *detail) {
    const tf_update_now_t at = now(node);
    tf_update_trial(&node->update, result, detail, &at);
}
