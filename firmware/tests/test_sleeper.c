/* When the radio is on: every (state, event) pair of the table, and the budgets of a wake. */
#include "../apps/node/sleeper.h"
#include "check.h"

static sleeper_t sleeper;
static sleeper_facts_t facts;
static uint32_t number;

static uint32_t chosen(void) {
    return number;
}

static void begin(tf_sleep_t policy) {
    facts = (sleeper_facts_t){.now_ms = 1000, .bytes = UINT32_MAX - 100, .random = chosen};
    number = 0;
    sleeper_init(&sleeper, &policy, facts.now_ms, facts.bytes);
}

static sleeper_action_t poll(void) {
    return sleeper_poll(&sleeper, &facts);
}

/* Whether the event holds in `state` whatever the facts say is not asked: each pair is walked as it stands.
 */
static void every_cell_was_written(void) {
    for (uint32_t state = 0; state < SLEEPER_STATES; state++) {
        for (uint32_t event = 0; event < SLEEPER_EVENTS; event++) {
            const sleeper_cell_t *cell = &sleeper_table[state][event];
            CHECK(cell->known);
            CHECK(cell->next < SLEEPER_STATES);
            CHECK(cell->action <= SLEEPER_ON);
            /* An action belongs to a step: an event that holds on would repeat it for ever. */
            if (cell->next == state) CHECK_EQUAL(cell->action, SLEEPER_NOTHING);
            /* The radio goes off on the way to ASLEEP and on the way out, and nowhere else. */
            CHECK_EQUAL(cell->next == SLEEPER_ASLEEP && state != SLEEPER_ASLEEP, cell->action == SLEEPER_OFF);
            CHECK_EQUAL(cell->next != SLEEPER_ASLEEP && state == SLEEPER_ASLEEP, cell->action == SLEEPER_ON);
            /* ASLEEP is said before it disconnects. */
            CHECK_EQUAL(cell->next == SLEEPER_LEAVING && state != SLEEPER_LEAVING,
                        cell->action == SLEEPER_SAY);
            if (cell->next == SLEEPER_CLOSING && state != SLEEPER_CLOSING) {
                CHECK_EQUAL(state, SLEEPER_LEAVING);
            }
        }
    }
}

/* From each state some events lead to sleep, and from there to a wake. */
static void every_state_sleeps_and_wakes(void) {
    bool sleeps[SLEEPER_STATES] = {[SLEEPER_ASLEEP] = true};
    for (uint32_t round = 0; round < SLEEPER_STATES; round++) {
        for (uint32_t state = 0; state < SLEEPER_STATES; state++) {
            for (uint32_t event = 0; event < SLEEPER_EVENTS; event++) {
                if (sleeps[sleeper_table[state][event].next]) sleeps[state] = true;
            }
        }
    }
    for (uint32_t state = 0; state < SLEEPER_STATES; state++) CHECK(sleeps[state]);
    CHECK_EQUAL(sleeper_table[SLEEPER_ASLEEP][SLEEPER_DUE].next, SLEEPER_WAKING);
}

static void without_a_policy_it_stays(void) {
    begin((tf_sleep_t){.wake_s = 0, .has_budget_bytes = true, .budget_bytes = 0});
    facts.up = facts.heard = facts.idle = facts.said = true;
    facts.now_ms += 1000000000;
    facts.bytes += 1000000;
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    CHECK_EQUAL(sleeper.state, SLEEPER_STAYS);
    CHECK_EQUAL(sleeper_left_bytes(&sleeper, facts.now_ms, facts.bytes), UINT32_MAX);
    CHECK_EQUAL(sleeper_due_ms(&sleeper), SLEEPER_NEVER);
}

/* STAYS, or a wake that has begun, into sleep. */
static void fall_asleep(void) {
    facts.up = facts.heard = facts.idle = facts.said = true;
    CHECK_EQUAL(poll(), SLEEPER_SAY);
    facts.said = false;
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    facts.said = true;
    CHECK_EQUAL(poll(), SLEEPER_CLOSE);
    facts.up = facts.heard = facts.idle = facts.said = false;
    CHECK(sleeper_radio(&sleeper));
    facts.now_ms = sleeper_due_ms(&sleeper);
    CHECK_EQUAL(poll(), SLEEPER_OFF);
    CHECK(!sleeper_radio(&sleeper));
}

static void a_wake_ends_once_all_is_said(void) {
    begin((tf_sleep_t){.wake_s = 60});
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    facts.now_ms += 400;
    uint64_t said_ms = facts.now_ms;
    fall_asleep();
    CHECK_EQUAL(sleeper_due_ms(&sleeper), said_ms + 60000);
    CHECK_EQUAL(sleeper_next_wake_s(&sleeper, said_ms), 60);
    CHECK_EQUAL(sleeper_next_wake_s(&sleeper, said_ms + 1), 60);
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    facts.now_ms = said_ms + 60000;
    CHECK_EQUAL(poll(), SLEEPER_ON);
    CHECK_EQUAL(sleeper.state, SLEEPER_WAKING);
    /* By a random part, at most a sixteenth, later the next time. */
    number = UINT32_MAX;
    said_ms = facts.now_ms;
    fall_asleep();
    CHECK(sleeper_due_ms(&sleeper) > said_ms + 60000 && sleeper_due_ms(&sleeper) <= said_ms + 63750);
}

static void a_wake_that_reaches_nobody_ends_by_its_time(void) {
    begin((tf_sleep_t){.wake_s = 60, .has_awake_ms = true, .awake_ms = 7000});
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    CHECK_EQUAL(sleeper_due_ms(&sleeper), 8000);
    facts.now_ms = 7999;
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    facts.now_ms = 8000;
    CHECK_EQUAL(poll(), SLEEPER_OFF);
    CHECK_EQUAL(sleeper_due_ms(&sleeper), 68000);
    /* And again, without ever having said when. */
    facts.now_ms = 68000;
    CHECK_EQUAL(poll(), SLEEPER_ON);
    facts.now_ms = 75000;
    CHECK_EQUAL(poll(), SLEEPER_OFF);
    CHECK_EQUAL(sleeper_due_ms(&sleeper), 135000);
}

static void bytes_end_a_wake_once_the_want_was_heard(void) {
    begin((tf_sleep_t){.wake_s = 60, .has_budget_bytes = true, .budget_bytes = 1000});
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    facts.up = true;
    facts.bytes += 999; /* and wraps */
    CHECK_EQUAL(sleeper_left_bytes(&sleeper, facts.now_ms, facts.bytes), 1);
    facts.bytes += 5000;
    CHECK_EQUAL(sleeper_left_bytes(&sleeper, facts.now_ms, facts.bytes), 0);
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    facts.heard = true;
    CHECK_EQUAL(poll(), SLEEPER_SAY);
}

/* A policy by mistake leaves the node time to read the want that mends it. */
static void no_wake_is_too_short_for_a_want(void) {
    begin((tf_sleep_t){
        .wake_s = 1, .has_budget_bytes = true, .budget_bytes = 0, .has_awake_ms = true, .awake_ms = 0});
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    facts.now_ms += SLEEPER_AWAKE_LEAST_MS - 1;
    facts.up = true;
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    sleeper.policy = (tf_sleep_t){0};
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    CHECK_EQUAL(sleeper.state, SLEEPER_STAYS);
}

static void a_cut_link_is_tried_again_within_the_wake(void) {
    begin((tf_sleep_t){.wake_s = 60});
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    facts.up = true;
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    CHECK_EQUAL(sleeper.state, SLEEPER_AWAKE);
    facts.up = false;
    CHECK_EQUAL(poll(), SLEEPER_NOTHING);
    CHECK_EQUAL(sleeper.state, SLEEPER_WAKING);
    CHECK_EQUAL(sleeper_due_ms(&sleeper), 1000 + SLEEPER_AWAKE_MS);
    fall_asleep();
}

static void what_is_not_acknowledged_does_not_keep_it_awake(void) {
    begin((tf_sleep_t){.wake_s = 60});
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    facts.up = facts.heard = facts.idle = true;
    CHECK_EQUAL(poll(), SLEEPER_SAY);
    facts.now_ms += SLEEPER_SAY_MS;
    CHECK_EQUAL(poll(), SLEEPER_CLOSE);
    begin((tf_sleep_t){.wake_s = 60});
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    facts.up = facts.heard = facts.idle = true;
    CHECK_EQUAL(poll(), SLEEPER_SAY);
    facts.up = false;
    CHECK_EQUAL(poll(), SLEEPER_OFF);
    CHECK_EQUAL(sleeper_due_ms(&sleeper), 61000);
}

static void the_longest_sleep_is_no_overflow(void) {
    begin((tf_sleep_t){.wake_s = UINT32_MAX});
    number = UINT32_MAX;
    CHECK_EQUAL(poll(), SLEEPER_BEGIN);
    fall_asleep();
    CHECK(sleeper_due_ms(&sleeper) >= (uint64_t)UINT32_MAX * 1000u);
    CHECK_EQUAL(sleeper_next_wake_s(&sleeper, 0), UINT32_MAX);
}

int main(void) {
    RUN(every_cell_was_written);
    RUN(every_state_sleeps_and_wakes);
    RUN(without_a_policy_it_stays);
    RUN(a_wake_ends_once_all_is_said);
    RUN(a_wake_that_reaches_nobody_ends_by_its_time);
    RUN(bytes_end_a_wake_once_the_want_was_heard);
    RUN(no_wake_is_too_short_for_a_want);
    RUN(a_cut_link_is_tried_again_within_the_wake);
    RUN(what_is_not_acknowledged_does_not_keep_it_awake);
    RUN(the_longest_sleep_is_no_overflow);
    printf("%d pairs\n", SLEEPER_STATES * SLEEPER_EVENTS);
    return 0;
}
