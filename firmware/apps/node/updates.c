/* Joins the update engine with session and sampler: events in, actions carried out. */
#include <string.h>

#include "layout.h"
#include "node.h"
#include "tinyfleet/runtime.h"

#define RESET_DELAY_MS 300u
/* Who brought a firmware himself asks for the reset, too; should he not, it comes. */
#define LOCAL_RESET_DELAY_MS 30000u
#define ACTIONS_A_POLL 32u /* a bound, not a need: the engine asks for a few at a time */

static tf_update_now_t now(const node_t *node) {
    /* No battery on this board, and perhaps no clock: conditions on them hold nothing back (SPEC section 3).
     */
    tf_update_now_t at = {.uptime_ms = node_uptime_ms(node)};
    at.unix_s = clock_unix_s(&node->clock, at.uptime_ms);
    at.has_unix_s = at.unix_s != 0;
    radio_budget(node, &at);
    return at;
}

void updates_meet_bootloader(node_t *node) {
    const tf_node_port_t *port = node->port;
    node->handoff = port->handoff();
    if (node->handoff == NULL) return;
    tf_boot_open(&node->boot, port->boot_layout());
    const tf_boot_layout_t *layout = node->boot.layout;
    const uint8_t *slot = tf_boot_slot(layout, (uint8_t)node->handoff->slot);
    (void)tf_image_read(slot, layout->slot_bytes, &node->firmware);
}

/* By the bitmap in the firmware's image and the ops of the model's plan. */
static bool has_ops(const tf_image_t *firmware, const tf_image_t *image) {
    static tf_model_t model;
    uint8_t ops[TF_MCUBOOT_OPS_MAX];
    if (tf_model_load(&model, image->payload, image->payload_bytes) != TF_MODEL_OK) return true;
    tf_model_ops(&model, ops);
    for (uint32_t i = 0; i < sizeof ops; i++) {
        uint8_t there = i < firmware->ops.length ? firmware->ops.data[i] : 0;
        if ((ops[i] & ~there) != 0) return false;
    }
    return true;
}

bool updates_start(node_t *node) {
    const tf_image_version_t built = {TINYFLEET_VERSION_MAJOR, TINYFLEET_VERSION_MINOR,
                                      TINYFLEET_VERSION_PATCH, 0};
    bool boot = node->handoff != NULL;
    const tf_update_config_t config = {
        .layout = {.flash = node->port->flash(),
                   .state_offset = {LAYOUT_STATE_A, LAYOUT_STATE_B},
                   .slot_offset = {LAYOUT_MODEL_A, LAYOUT_MODEL_B},
                   .slot_bytes = LAYOUT_MODEL_BYTES,
                   .staging_offset = LAYOUT_STAGING,
                   .staging_bytes = LAYOUT_STAGING_BYTES},
        .policy = {.kind = TF_ARTIFACT_KIND_MODEL,
                   .device_type = tf_text(node->port->device_type),
                   .cores = tf_runtime_cores(),
                   .abi = TF_RUNTIME_ABI,
                   .trust = &node->settings.trust,
                   .firmware = boot ? node->firmware.version : built},
        .firmware_image = boot ? node->firmware.image : NULL,
        .boot = boot ? &node->boot : NULL,
        .crashed = node->has_crash,
        .booted = boot ? (uint8_t)node->handoff->slot : TF_BOOT_NO_SLOT,
        .has_ops = has_ops,
    };
    /* A download that goes on after a reset is counted from the reset. */
    node->transfer.open = true;
    const tf_update_now_t at = now(node);
    return tf_update_start(&node->update, &config, &at);
}

static void count_bytes(const node_t *node, tf_transfer_t *bytes) {
    if (node->port->net_bytes == NULL) return;
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
    /* Where nobody counts IP bytes, nothing is told of the transfer. */
    if (node->port->net_bytes == NULL) status->has_transfer = false;
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
    live_model(node);
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

void updates_give_up(node_t *node) {
    if (node->handoff == NULL || node->boot.record.pending != node->handoff->slot) return;
    tf_console("update: this firmware cannot work here");
    (void)tf_boot_reject(&node->boot, TF_RESULT_UPDATE_FAILED);
    node->port->reset();
}

/* On the one that runs, though it runs already: its vectors are what a firmware must still get right. */
static void begin_self_test(node_t *node) {
    const tf_image_t *active = tf_update_active(&node->update);
    const tf_update_record_t *record = tf_update_record(&node->update);
    const tf_trial_t limits = {0};
    node->self_test = (self_test_t){.open = true, .online = node->session.up};
    tf_console("update: this firmware is on trial");
    if (active == NULL) {
        /* With a model to come, the old one need not run here. */
        node->self_test.vectors = record->active == TF_UPDATE_NO_SLOT || record->has_next;
        if (!node->self_test.vectors) {
            updates_trial_ended(node, TF_RESULT_UNSUPPORTED_TYPE, "the model does not run on this firmware");
        }
        return;
    }
    tf_result_t result = sampler_try(&node->sampler, active, &limits);
    /* One that could not run before either says nothing about the firmware. */
    if (result == TF_RESULT_INPUT_MISMATCH) node->self_test.vectors = true;
    if (result == TF_RESULT_SUCCESS || node->self_test.vectors) return;
    updates_trial_ended(node, result, "the model does not run on this firmware");
}

static void poll_self_test(node_t *node) {
    const self_test_t *test = &node->self_test;
    if (!test->open || !test->vectors || !test->online) return;
    tf_console("update: this firmware passed");
    updates_trial_ended(node, TF_RESULT_SUCCESS, NULL);
}

bool updates_heard(node_t *node) {
    self_test_t *test = &node->self_test;
    if (!test->open || !test->vectors) return false;
    tf_console("update: heard by SMP");
    test->online = true;
    poll_self_test(node);
    return true;
}

static void begin_trial(node_t *node, const tf_update_action_t *action) {
    if (action->firmware) {
        begin_self_test(node);
        return;
    }
    tf_result_t result = sampler_try(&node->sampler, &action->image, &action->trial);
    if (result != TF_RESULT_SUCCESS) updates_trial_ended(node, result, "the model does not fit this node");
}

/* The engine has moved on: by the state it is in, a newer want stopped the challenger, it failed by itself
 * (which a status tells), or an update needs its slot or its time. */
static void end_challenger(node_t *node) {
    const uint8_t state = tf_update_record(&node->update)->state;
    bool asked = state == TF_UPDATE_STATE_IDLE || state == TF_UPDATE_STATE_CONFIRMED;
    if (!node->shadow.counting) return;
    report_last_tele(node);
    if (!asked && state != TF_UPDATE_STATE_REVERTED) {
        node->ended_due = true;
        node->ended = node->shadow.counts;
    }
    shadow_stop(&node->shadow);
    node->birth_due = true;
    tf_console("shadow: ended");
}

static void begin_challenger(node_t *node, const tf_update_action_t *action) {
    const char *detail;
    tf_result_t result = shadow_start(&node->shadow, &action->image, &detail);
    if (result != TF_RESULT_SUCCESS) {
        updates_challenger(node, (shadow_outcome_t){true, result, detail});
        return;
    }
    node->birth_due = true;
    tf_console("shadow: slot %u, arena %lu bytes", action->slot,
               (unsigned long)node->shadow.model.arena_bytes);
}

void updates_challenger(node_t *node, shadow_outcome_t outcome) {
    if (!outcome.answered) return;
    const tf_update_now_t at = now(node);
    tf_update_trial(&node->update, outcome.result, outcome.detail, &at);
}

/* What was published is given a moment to leave: the manager shall know why the node goes. */
static void reset_soon(node_t *node) {
    uint64_t now_ms = node_uptime_ms(node);
    const tf_update_record_t *record = tf_update_record(&node->update);
    bool local = record->generation == 0 && record->state == TF_UPDATE_STATE_TRIAL;
    if (!node->resetting) {
        node->resetting = true;
        node->reset_ms = now_ms + (local ? LOCAL_RESET_DELAY_MS : RESET_DELAY_MS);
    }
    if ((node->session.up || local) && now_ms < node->reset_ms) return;
    tf_console("update: reset");
    report_before_reset(node);
    node->port->reset();
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
        case TF_UPDATE_SHADOW:
            end_challenger(node);
            if (action->slot != TF_UPDATE_NO_SLOT) begin_challenger(node, action);
            return true;
        case TF_UPDATE_RESET:
            reset_soon(node);
            return false;
    }
    return true;
}

void updates_reset(node_t *node, uint32_t after_ms) {
    node->reset_asked = true;
    node->asked_ms = node_uptime_ms(node) + after_ms;
}

void updates_poll(node_t *node) {
    if (node->reset_asked && node_uptime_ms(node) >= node->asked_ms) {
        report_before_reset(node);
        node->port->reset();
    }
    poll_self_test(node);
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
    if (node->resetting) due_ms = node->reset_ms;
    if (node->reset_asked && node->asked_ms < due_ms) due_ms = node->asked_ms;
    if (due_ms == TF_UPDATE_NEVER) return UINT32_MAX;
    if (due_ms <= now_ms) return 0;
    return due_ms - now_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)(due_ms - now_ms);
}

void updates_link(node_t *node, bool up) {
    if (up) node->birth_due = node->self_test.online = true;
    if (!up) outbox_link_down(&node->outbox);
    /* One report a wake. */
    if (up && node->sleeper.policy.wake_s > 0) node->tele_due_ms = 0;
    /* Subscriptions end with the connection, and the birth tells what a status would have told; neither may
     * keep the actions behind it from being carried out. */
    if (node->action.kind < TF_UPDATE_TRIAL) node->has_action = false;
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
    if (want.has_config) rotation_want(node, &want.config);
    bool newer = tf_update_is_newer(&node->update, want.generation);
    if (!newer && want.generation != tf_update_record(&node->update)->generation) return;
    if (want.has_period_s && want.period_s > 0 && want.period_s != node->period_s) {
        node->period_s = want.period_s;
        node->tele_due_ms = at.uptime_ms + (uint64_t)want.period_s * 1000;
        node->birth_due = true;
    }
    live_want(node, &want);
    radio_policy(node, &want);
    if (newer) begin_transfer(node);
    tf_update_want(&node->update, &want, &at);
}

void updates_chunk(node_t *node, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t size) {
    const tf_update_now_t at = now(node);
    tf_update_chunk(&node->update, topic, data, size, &at);
}

void updates_trial_ended(node_t *node, tf_result_t result, const char *detail) {
    const tf_update_now_t at = now(node);
    self_test_t *test = &node->self_test;
    if (test->open && result == TF_RESULT_SUCCESS && !(test->vectors && test->online)) {
        test->vectors = true;
        return;
    }
    test->open = false;
    tf_update_trial(&node->update, result, detail, &at);
}
