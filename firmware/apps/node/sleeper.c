#include "sleeper.h"

#define TO(next, action) {true, SLEEPER_##next, SLEEPER_##action}
/* Nothing new here, or it comes too late. */
#define STAY_IN(state) {true, SLEEPER_##state, SLEEPER_NOTHING}

const sleeper_cell_t sleeper_table[SLEEPER_STATES][SLEEPER_EVENTS] = {
    [SLEEPER_STAYS] =
        {
            [SLEEPER_STAY] = STAY_IN(STAYS),
            [SLEEPER_SLEEP] = TO(WAKING, BEGIN),
            [SLEEPER_UP] = STAY_IN(STAYS),
            [SLEEPER_DOWN] = STAY_IN(STAYS),
            [SLEEPER_SPENT] = STAY_IN(STAYS),
            [SLEEPER_IDLE] = STAY_IN(STAYS),
            [SLEEPER_SAID] = STAY_IN(STAYS),
            [SLEEPER_DUE] = STAY_IN(STAYS),
        },
    [SLEEPER_WAKING] =
        {
            [SLEEPER_STAY] = TO(STAYS, NOTHING),
            [SLEEPER_SLEEP] = STAY_IN(WAKING),
            [SLEEPER_UP] = TO(AWAKE, NOTHING),
            [SLEEPER_DOWN] = STAY_IN(WAKING),
            [SLEEPER_SPENT] = TO(ASLEEP, OFF),
            [SLEEPER_IDLE] = STAY_IN(WAKING),
            [SLEEPER_SAID] = STAY_IN(WAKING),
            [SLEEPER_DUE] = STAY_IN(WAKING),
        },
    [SLEEPER_AWAKE] =
        {
            [SLEEPER_STAY] = TO(STAYS, NOTHING),
            [SLEEPER_SLEEP] = STAY_IN(AWAKE),
            [SLEEPER_UP] = STAY_IN(AWAKE),
            [SLEEPER_DOWN] = TO(WAKING, NOTHING),
            [SLEEPER_SPENT] = TO(LEAVING, SAY),
            [SLEEPER_IDLE] = TO(LEAVING, SAY),
            [SLEEPER_SAID] = STAY_IN(AWAKE),
            [SLEEPER_DUE] = STAY_IN(AWAKE),
        },
    /* Once ASLEEP is said it sleeps, whatever comes: the next wake finds it. */
    [SLEEPER_LEAVING] =
        {
            [SLEEPER_STAY] = STAY_IN(LEAVING),
            [SLEEPER_SLEEP] = STAY_IN(LEAVING),
            [SLEEPER_UP] = STAY_IN(LEAVING),
            [SLEEPER_DOWN] = TO(ASLEEP, OFF),
            [SLEEPER_SPENT] = STAY_IN(LEAVING),
            [SLEEPER_IDLE] = STAY_IN(LEAVING),
            [SLEEPER_SAID] = TO(CLOSING, CLOSE),
            [SLEEPER_DUE] = TO(CLOSING, CLOSE),
        },
    [SLEEPER_CLOSING] =
        {
            [SLEEPER_STAY] = STAY_IN(CLOSING),
            [SLEEPER_SLEEP] = STAY_IN(CLOSING),
            [SLEEPER_UP] = STAY_IN(CLOSING),
            [SLEEPER_DOWN] = STAY_IN(CLOSING),
            [SLEEPER_SPENT] = STAY_IN(CLOSING),
            [SLEEPER_IDLE] = STAY_IN(CLOSING),
            [SLEEPER_SAID] = STAY_IN(CLOSING),
            [SLEEPER_DUE] = TO(ASLEEP, OFF),
        },
    [SLEEPER_ASLEEP] =
        {
            [SLEEPER_STAY] = STAY_IN(ASLEEP),
            [SLEEPER_SLEEP] = STAY_IN(ASLEEP),
            [SLEEPER_UP] = STAY_IN(ASLEEP),
            [SLEEPER_DOWN] = STAY_IN(ASLEEP),
            [SLEEPER_SPENT] = STAY_IN(ASLEEP),
            [SLEEPER_IDLE] = STAY_IN(ASLEEP),
            [SLEEPER_SAID] = STAY_IN(ASLEEP),
            [SLEEPER_DUE] = TO(WAKING, ON),
        },
};

static uint64_t end_ms(const sleeper_t *sleeper) {
    const tf_sleep_t *policy = &sleeper->policy;
    uint32_t awake_ms = policy->has_awake_ms ? policy->awake_ms : SLEEPER_AWAKE_MS;
    return sleeper->woke_ms + (awake_ms > SLEEPER_AWAKE_LEAST_MS ? awake_ms : SLEEPER_AWAKE_LEAST_MS);
}

uint32_t sleeper_left_bytes(const sleeper_t *sleeper, uint64_t now_ms, uint32_t bytes) {
    const tf_sleep_t *policy = &sleeper->policy;
    if (policy->wake_s == 0) return UINT32_MAX;
    if (now_ms >= end_ms(sleeper)) return 0;
    if (!policy->has_budget_bytes) return UINT32_MAX;
    uint32_t used = bytes - sleeper->woke_bytes;
    return used < policy->budget_bytes ? policy->budget_bytes - used : 0;
}

uint32_t sleeper_next_wake_s(const sleeper_t *sleeper, uint64_t now_ms) {
    uint64_t left_s = sleeper->wake_ms > now_ms ? (sleeper->wake_ms - now_ms + 999u) / 1000u : 0;
    return left_s < UINT32_MAX ? (uint32_t)left_s : UINT32_MAX;
}

bool sleeper_radio(const sleeper_t *sleeper) {
    return sleeper->state != SLEEPER_ASLEEP;
}

uint64_t sleeper_due_ms(const sleeper_t *sleeper) {
    bool works = sleeper->state == SLEEPER_WAKING || sleeper->state == SLEEPER_AWAKE;
    return works ? end_ms(sleeper) : sleeper->due_ms;
}

static void begin(sleeper_t *sleeper, uint64_t now_ms, uint32_t bytes) {
    sleeper->woke_ms = now_ms;
    sleeper->woke_bytes = bytes;
}

void sleeper_init(sleeper_t *sleeper, const tf_sleep_t *policy, uint64_t now_ms, uint32_t bytes) {
    *sleeper = (sleeper_t){.policy = *policy, .state = SLEEPER_STAYS, .due_ms = SLEEPER_NEVER};
    begin(sleeper, now_ms, bytes);
}

static bool holds(const sleeper_t *sleeper, sleeper_event_t event, const sleeper_facts_t *facts) {
    switch (event) {
        case SLEEPER_STAY:
            return sleeper->policy.wake_s == 0;
        case SLEEPER_SLEEP:
            return sleeper->policy.wake_s != 0;
        case SLEEPER_UP:
            return facts->up;
        case SLEEPER_DOWN:
            return !facts->up;
        case SLEEPER_SPENT:
            if (facts->held) return false;
            return facts->now_ms >= end_ms(sleeper) ||
                   (facts->heard && sleeper_left_bytes(sleeper, facts->now_ms, facts->bytes) == 0);
        case SLEEPER_IDLE:
            return facts->idle;
        case SLEEPER_SAID:
            return facts->said;
        default:
            return facts->now_ms >= sleeper->due_ms;
    }
}

/* Times of the state that was entered by `action`. */
static void enter(sleeper_t *sleeper, sleeper_action_t action, const sleeper_facts_t *facts) {
    bool plans = action == SLEEPER_SAY || (action == SLEEPER_OFF && sleeper->wake_ms <= facts->now_ms);
    if (plans) {
        uint64_t ms = (uint64_t)sleeper->policy.wake_s * 1000u;
        sleeper->wake_ms = facts->now_ms + ms + facts->random() % (ms / 16u + 1u);
    }
    sleeper->due_ms = SLEEPER_NEVER;
    if (action == SLEEPER_SAY) sleeper->due_ms = facts->now_ms + SLEEPER_SAY_MS;
    if (action == SLEEPER_CLOSE) sleeper->due_ms = facts->now_ms + SLEEPER_CLOSE_MS;
    if (action == SLEEPER_OFF) sleeper->due_ms = sleeper->wake_ms;
    if (action == SLEEPER_ON || action == SLEEPER_BEGIN) begin(sleeper, facts->now_ms, facts->bytes);
}

sleeper_action_t sleeper_poll(sleeper_t *sleeper, const sleeper_facts_t *facts) {
    for (uint32_t event = 0; event < SLEEPER_EVENTS; event++) {
        const sleeper_cell_t *cell = &sleeper_table[sleeper->state][event];
        if (cell->next == sleeper->state || !holds(sleeper, (sleeper_event_t)event, facts)) continue;
        sleeper->state = (sleeper_state_t)cell->next;
        if (cell->action == SLEEPER_NOTHING) {
            event = UINT32_MAX; /* from the first again, in the new state */
            continue;
        }
        enter(sleeper, (sleeper_action_t)cell->action, facts);
        return (sleeper_action_t)cell->action;
    }
    return SLEEPER_NOTHING;
}
