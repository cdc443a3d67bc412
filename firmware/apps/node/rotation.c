/* Another configuration: staged by a want, tried while nothing else is, kept when the broker was reached. */
#include "node.h"

/* A firmware that tests itself shall not be judged by a broker that only a new configuration names. */
static bool may_begin(const node_t *node) {
    const tf_update_record_t *update = tf_update_record(&node->update);
    bool firmware_trial = update->firmware && update->state == TF_UPDATE_STATE_TRIAL;
    return node->session.up && !firmware_trial && !node->resetting;
}

static void begin_attempts(node_t *node) {
    node->rotation.failures = node->session.failures;
    node->rotation.late_ms = node_uptime_ms(node) + TF_CONFIG_TRIAL_MS;
    node->rotation.slept = false;
}

static void take_up(node_t *node) {
    settings_t *settings = &node->settings;
    node->rotation.switched = false;
    if (!settings_take_up(settings, &node->rotation.store, node->port->flash())) {
        tf_console("config: %lu cannot be read back", (unsigned long)settings->config.sequence);
        node->port->reset();
    }
    if (settings->config.period_s > 0) node->period_s = settings->config.period_s;
    tf_console("config: using %lu, broker %s:%u", (unsigned long)settings->config.sequence, settings->host,
               settings->config.port);
    clock_server(&node->clock, &settings->config);
    (void)session_renew(&node->session);
    begin_attempts(node);
}

void rotation_start(node_t *node) {
    const tf_config_record_t *record = &node->rotation.store.record;
    begin_attempts(node);
    if (record->state == TF_CONFIG_TRIAL) {
        tf_console("config: %lu is on trial, attempt %u", (unsigned long)node->settings.config.sequence,
                   record->tries);
    }
}

void rotation_want(node_t *node, const tf_config_change_t *change) {
    tf_config_store_t *store = &node->rotation.store;
    if (!tf_config_is_newer(store, change->sequence)) return;
    tf_config_offer(store, change);
    if (store->record.refused != change->sequence) return;
    tf_console("config: %lu refused: %s", (unsigned long)change->sequence, store->detail);
    node->birth_due = true;
}

void rotation_link(node_t *node, bool up) {
    tf_config_store_t *store = &node->rotation.store;
    if (!up || store->record.state != TF_CONFIG_TRIAL) return;
    node->rotation.switched = tf_config_reached(store);
    if (!node->rotation.switched) {
        tf_console("config: %lu is kept", (unsigned long)node->settings.config.sequence);
    }
}

/* Asleep. A wake that ended before the broker answered was an attempt, unless one was counted in it: with
 * a wake shorter than what a broker may take to answer no connection would ever fail. */
static bool wake_ended(node_t *node) {
    rotation_t *rotation = &node->rotation;
    const bool counted = rotation->slept || rotation->failures > 0;
    rotation->slept = true;
    return !counted && tf_config_missed(&rotation->store, TF_RESULT_CONNECTION_LOST,
                                        "the wake was over before the broker answered");
}

/* True: the configuration before is in use again. */
static bool attempt_ended(node_t *node) {
    rotation_t *rotation = &node->rotation;
    if (!radio_on(node)) return wake_ended(node);
    /* It goes on with this wake, whose time and failures are counted anew. */
    if (rotation->slept) begin_attempts(node);
    if (rotation->failures != node->session.failures) {
        rotation->failures = node->session.failures;
        return tf_config_missed(&rotation->store, TF_RESULT_CONNECTION_LOST, node->session.trouble);
    }
    return node_uptime_ms(node) >= rotation->late_ms && tf_config_late(&rotation->store);
}

void rotation_poll(node_t *node) {
    rotation_t *rotation = &node->rotation;
    if (rotation->store.record.state == TF_CONFIG_STAGED && may_begin(node)) {
        rotation->switched = tf_config_begin(&rotation->store);
        if (!rotation->switched) node->birth_due = true; /* flash does not take it */
    } else if (rotation->store.record.state == TF_CONFIG_TRIAL && attempt_ended(node)) {
        tf_console("config: %lu is not kept: %s", (unsigned long)node->settings.config.sequence,
                   rotation->store.detail);
        rotation->switched = true;
    }
    if (rotation->switched) take_up(node);
}

bool rotation_is_settled(const node_t *node) {
    return node->rotation.store.record.state == TF_CONFIG_SETTLED;
}

uint32_t rotation_wait_ms(const node_t *node) {
    if (node->rotation.store.record.state != TF_CONFIG_TRIAL || !radio_on(node)) return UINT32_MAX;
    uint64_t now_ms = node_uptime_ms(node);
    return node->rotation.late_ms <= now_ms ? 0 : (uint32_t)(node->rotation.late_ms - now_ms);
}

tf_config_report_t rotation_report(const node_t *node) {
    const tf_config_store_t *store = &node->rotation.store;
    return (tf_config_report_t){.sequence = node->settings.config.sequence,
                                .has_refused = store->record.refused != 0,
                                .refused = store->record.refused,
                                .result = (tf_result_t)store->record.result,
                                .detail = tf_text(store->detail)};
}
