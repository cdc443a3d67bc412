/* Walks every (state, event) pair of the update's table. */
#include "../ota/table.h"
#include "check.h"
#include "tinyfleet/wire.h"

#define AT(state, event) (&tf_update_table[TF_UPDATE_STATE_##state][EVENT_##event])

static bool is_settled(uint32_t state) {
    return state == TF_UPDATE_STATE_IDLE || state == TF_UPDATE_STATE_CONFIRMED ||
           state == TF_UPDATE_STATE_REVERTED || state == TF_UPDATE_STATE_FAILED;
}

static bool is_new_want(uint32_t event) {
    return event == EVENT_OFFER || event == EVENT_CURRENT || event == EVENT_FIRMWARE || event == EVENT_STAY;
}

static void every_cell_was_written(void) {
    for (uint32_t state = 0; state < STATE_COUNT; state++) {
        for (uint32_t event = 0; event < EVENT_COUNT; event++) {
            const cell_t *cell = &tf_update_table[state][event];
            if ((cell->flags & CELL_KNOWN) == 0) fprintf(stderr, "state %u, event %u\n", state, event);
            CHECK((cell->flags & CELL_KNOWN) != 0);
            CHECK(cell->next < STATE_COUNT);
            CHECK(cell->action <= ACTION_KEEP);
        }
    }
}

static void an_ignored_event_changes_nothing(void) {
    for (uint32_t state = 0; state < STATE_COUNT; state++) {
        for (uint32_t event = 0; event < EVENT_COUNT; event++) {
            const cell_t *cell = &tf_update_table[state][event];
            if (cell->action == ACTION_NONE) {
                CHECK_EQUAL(cell->next, state);
                CHECK_EQUAL(cell->flags, CELL_KNOWN);
            }
        }
    }
}

/* What the manager waits for must be told, and what survives a reset must be on record first. */
static void settling_is_recorded_and_told(void) {
    for (uint32_t state = 0; state < STATE_COUNT; state++) {
        for (uint32_t event = 0; event < EVENT_COUNT; event++) {
            const cell_t *cell = &tf_update_table[state][event];
            if (cell->next == state) continue;
            bool pause = cell->next == TF_UPDATE_STATE_PAUSED;
            if (!pause) CHECK((cell->flags & CELL_RECORD) != 0);
            if (is_settled(cell->next) || cell->next == TF_UPDATE_STATE_SHADOW)
                CHECK((cell->flags & CELL_TELL) != 0);
        }
    }
}

static void a_newer_want_is_heard_everywhere(void) {
    for (uint32_t state = 0; state < STATE_COUNT; state++) {
        CHECK_EQUAL(tf_update_table[state][EVENT_OFFER].next, TF_UPDATE_STATE_OFFERED);
        CHECK_EQUAL(tf_update_table[state][EVENT_CURRENT].next, TF_UPDATE_STATE_CONFIRMED);
        CHECK_EQUAL(tf_update_table[state][EVENT_FIRMWARE].next, TF_UPDATE_STATE_FAILED);
        CHECK_EQUAL(tf_update_table[state][EVENT_STAY].next, TF_UPDATE_STATE_IDLE);
    }
}

static void a_settled_update_moves_only_for_a_newer_want(void) {
    for (uint32_t state = 0; state < STATE_COUNT; state++) {
        for (uint32_t event = 0; is_settled(state) && event < EVENT_COUNT; event++) {
            CHECK_EQUAL(tf_update_table[state][event].action == ACTION_NONE, !is_new_want(event));
        }
    }
}

/* The one way to CONFIRMED by a download, and to a trial. */
static void nothing_is_confirmed_without_a_trial(void) {
    for (uint32_t state = 0; state < STATE_COUNT; state++) {
        for (uint32_t event = 0; event < EVENT_COUNT; event++) {
            const cell_t *cell = &tf_update_table[state][event];
            if (cell->action == ACTION_CONFIRM) CHECK(state == TF_UPDATE_STATE_TRIAL && event == EVENT_PASS);
            if (cell->action == ACTION_ADVANCE)
                CHECK(state == TF_UPDATE_STATE_TRIAL && event == EVENT_HALFWAY);
            if (cell->next == TF_UPDATE_STATE_CONFIRMED && event != EVENT_CURRENT && !is_settled(state)) {
                CHECK(cell->action == ACTION_CONFIRM);
            }
            if (cell->next == TF_UPDATE_STATE_TRIAL && state != TF_UPDATE_STATE_TRIAL) {
                CHECK(state == TF_UPDATE_STATE_STAGED && event == EVENT_PROCEED);
            }
            if (cell->next == TF_UPDATE_STATE_STAGED && state != TF_UPDATE_STATE_STAGED) {
                CHECK(state == TF_UPDATE_STATE_VERIFIED && event == EVENT_PROCEED);
            }
            if (cell->next == TF_UPDATE_STATE_VERIFIED && state != TF_UPDATE_STATE_VERIFIED) {
                CHECK(event == EVENT_VERIFIED || event == EVENT_PRESENT);
            }
        }
    }
}

static void a_trial_that_fails_reverts_and_a_download_fails(void) {
    CHECK_EQUAL(AT(TRIAL, REJECT)->next, TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(AT(TRIAL, DUE)->next, TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(AT(TRIAL, REFUSE)->next, TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(AT(DOWNLOADING, REFUSE)->next, TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(AT(VERIFIED, REFUSE)->next, TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(AT(STAGED, REFUSE)->next, TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(AT(DOWNLOADING, DAMAGED)->next, TF_UPDATE_STATE_DOWNLOADING);
    CHECK((AT(DOWNLOADING, DAMAGED)->flags & CELL_TELL) != 0);
}

/* It comes by way of a staged candidate only, and nothing but a newer want or its own failure ends it. */
static void a_challenger_is_never_confirmed_by_itself(void) {
    for (uint32_t state = 0; state < STATE_COUNT; state++) {
        for (uint32_t event = 0; event < EVENT_COUNT; event++) {
            const cell_t *cell = &tf_update_table[state][event];
            bool shadow = state == TF_UPDATE_STATE_SHADOW;
            if (cell->next == TF_UPDATE_STATE_SHADOW && !shadow) {
                CHECK(state == TF_UPDATE_STATE_STAGED && event == EVENT_CHALLENGE);
            }
            if (event == EVENT_KEEP || event == EVENT_CHALLENGE) {
                bool does = (shadow && event == EVENT_KEEP) || cell->next != state;
                CHECK_EQUAL(cell->action != ACTION_NONE, does);
            }
            if (shadow && cell->next != state && !is_new_want(event)) {
                CHECK_EQUAL(cell->next, TF_UPDATE_STATE_REVERTED);
                CHECK_EQUAL(cell->action, ACTION_FAIL);
            }
        }
    }
    CHECK_EQUAL(AT(SHADOW, RESTART)->action, ACTION_RESUME);
    CHECK((AT(SHADOW, RESTART)->flags & CELL_RECORD) != 0); /* a crash counts before it can come again */
    CHECK_EQUAL(AT(SHADOW, REJECT)->next, TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(AT(SHADOW, REFUSE)->next, TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(AT(SHADOW, DUE)->next, TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(AT(SHADOW, PASS)->next, TF_UPDATE_STATE_SHADOW);
    CHECK((AT(SHADOW, PASS)->flags & CELL_TELL) != 0);
    CHECK_EQUAL(AT(SHADOW, KEEP)->next, TF_UPDATE_STATE_SHADOW);
}

/* From every state a restart leads on: some event that can still come reaches a settled state. */
static void every_state_can_settle(void) {
    bool settles[STATE_COUNT];
    for (uint32_t state = 0; state < STATE_COUNT; state++) settles[state] = is_settled(state);
    for (uint32_t round = 0; round < STATE_COUNT; round++) {
        for (uint32_t state = 0; state < STATE_COUNT; state++) {
            for (uint32_t event = 0; event < EVENT_COUNT; event++) {
                if (!is_new_want(event) && settles[tf_update_table[state][event].next]) settles[state] = true;
            }
        }
    }
    for (uint32_t state = 0; state < STATE_COUNT; state++) CHECK(settles[state]);
}

int main(void) {
    RUN(every_cell_was_written);
    RUN(an_ignored_event_changes_nothing);
    RUN(settling_is_recorded_and_told);
    RUN(a_newer_want_is_heard_everywhere);
    RUN(a_settled_update_moves_only_for_a_newer_want);
    RUN(nothing_is_confirmed_without_a_trial);
    RUN(a_trial_that_fails_reverts_and_a_download_fails);
    RUN(a_challenger_is_never_confirmed_by_itself);
    RUN(every_state_can_settle);
    printf("%d pairs\n", STATE_COUNT * EVENT_COUNT);
    return 0;
}
