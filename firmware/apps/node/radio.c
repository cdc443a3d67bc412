/* Carries the sleeper's actions out: session, link and the port's radio. Inference goes on while it is off.
 */
#include <stddef.h>

#include "entropy.h"
#include "node.h"

#define LINGER_MS 2000u /* for a retained want, where none may be */

static uint32_t bytes_on_air(const node_t *node) {
    uint32_t rx = node->session.client.counters.rx_bytes, tx = node->session.client.counters.tx_bytes;
    if (node->port->net_bytes != NULL) node->port->net_bytes(&rx, &tx);
    return rx + tx;
}

void radio_init(node_t *node) {
    const tf_config_t *config = &node->settings.config;
    const tf_sleep_t stay = {0};
    sleeper_init(&node->sleeper, config->has_sleep ? &config->sleep : &stay, node_uptime_ms(node),
                 bytes_on_air(node));
}

void radio_policy(node_t *node, const tf_want_t *want) {
    const tf_config_t *config = &node->settings.config;
    tf_sleep_t policy = {0};
    if (config->has_sleep) policy = config->sleep;
    if (want->has_sleep) policy = want->sleep;
    const tf_sleep_t *now = &node->sleeper.policy;
    bool same = policy.wake_s == now->wake_s && policy.has_budget_bytes == now->has_budget_bytes &&
                policy.budget_bytes == now->budget_bytes && policy.has_awake_ms == now->has_awake_ms &&
                policy.awake_ms == now->awake_ms;
    if (same) return;
    node->sleeper.policy = policy;
    node->birth_due = true;
}

void radio_budget(const node_t *node, tf_update_now_t *now) {
    const tf_sleep_t *policy = &node->sleeper.policy;
    if (policy->wake_s == 0) return;
    now->has_budget = true;
    now->budget_bytes = policy->has_budget_bytes ? policy->budget_bytes : UINT32_MAX;
    now->left_bytes = sleeper_left_bytes(&node->sleeper, now->uptime_ms, bytes_on_air(node));
}

bool radio_may_send(const node_t *node) {
    uint8_t state = tf_update_record(&node->update)->state;
    tf_update_now_t now = {.uptime_ms = node_uptime_ms(node)};
    radio_budget(node, &now);
    bool open = state >= TF_UPDATE_STATE_OFFERED && state <= TF_UPDATE_STATE_PAUSED;
    if (!now.has_budget) return true;
    return now.left_bytes > (open ? now.budget_bytes / 2u : 0);
}

bool radio_on(const node_t *node) {
    return sleeper_radio(&node->sleeper);
}

/* A download, or what follows from it, is worth staying awake for as long as the wake's budgets last. */
static bool updates(const node_t *node) {
    uint8_t state = tf_update_record(&node->update)->state;
    return state == TF_UPDATE_STATE_DOWNLOADING ||
           (state >= TF_UPDATE_STATE_VERIFIED && state <= TF_UPDATE_STATE_TRIAL);
}

/* A firmware that tests itself waits for the broker: asleep it would only wait for the end of its trial, and
 * be taken back for nothing. That end is bounded; so is what this costs. */
static bool tests_itself(const node_t *node) {
    const tf_update_record_t *record = tf_update_record(&node->update);
    return node->self_test.open && record->firmware && record->state == TF_UPDATE_STATE_TRIAL;
}

static sleeper_facts_t facts(const node_t *node) {
    const session_t *session = &node->session;
    uint64_t now_ms = node_uptime_ms(node);
    bool heard = session->up && (session->heard_want || (uint32_t)now_ms - session->up_ms >= LINGER_MS);
    bool said = session->up && !session->says_asleep && tf_mqtt_settled(&session->client);
    return (sleeper_facts_t){.now_ms = now_ms,
                             .bytes = bytes_on_air(node),
                             .up = session->up,
                             .heard = heard,
                             .idle = heard && said && !updates(node) && rotation_is_settled(node) &&
                                     report_is_done(node) && live_is_done(node),
                             .said = said,
                             .held = tests_itself(node),
                             .random = entropy_next};
}

bool radio_poll(node_t *node) {
    for (bool changed = false;; changed = true) {
        const sleeper_facts_t now = facts(node);
        switch (sleeper_poll(&node->sleeper, &now)) {
            case SLEEPER_NOTHING:
                if (node->session.says_asleep) session_say_asleep(&node->session);
                return changed;
            case SLEEPER_BEGIN:
                break;
            case SLEEPER_SAY:
                node->session.next_wake_s = sleeper_next_wake_s(&node->sleeper, now.now_ms);
                node->session.says_asleep = true;
                break;
            case SLEEPER_CLOSE:
                session_close(&node->session);
                break;
            case SLEEPER_OFF:
                session_close(&node->session);
                tf_link_power(&node->session.link, false);
                tf_console("radio: off for %lu s",
                           (unsigned long)sleeper_next_wake_s(&node->sleeper, now.now_ms));
                break;
            case SLEEPER_ON:
                tf_console("radio: on");
                tf_link_power(&node->session.link, true);
                session_wake(&node->session);
                break;
        }
    }
}

uint32_t radio_wait_ms(const node_t *node) {
    uint64_t due_ms = sleeper_due_ms(&node->sleeper), now_ms = node_uptime_ms(node);
    if (node->sleeper.policy.wake_s == 0 && node->sleeper.state == SLEEPER_STAYS) return UINT32_MAX;
    if (due_ms <= now_ms) return tests_itself(node) ? UINT32_MAX : 0;
    /* For a want that may not be there. */
    uint64_t wait_ms = due_ms - now_ms;
    bool lingers = node->sleeper.state == SLEEPER_AWAKE && !node->session.heard_want;
    if (lingers && wait_ms > LINGER_MS) wait_ms = LINGER_MS;
    return wait_ms < UINT32_MAX ? (uint32_t)wait_ms : UINT32_MAX;
}
