/* An update of a node that is online for so many bytes at a time: it goes on from wake to wake, at the last
 * committed sector, and says why it waits. */
#include "update_case.h"

enum { GROUP_COST = TF_GROUP_BYTES * 5 / 4, LEAST_BUDGET = GROUP_COST + 6144, WAKES_MOST = 40 };

/* From link to link: what comes of the want in one wake. */
static void wake(uint32_t budget) {
    tf_want_t want = world_want(world.blob, 1);
    world_wake(&world, &want, budget);
}

static uint32_t wakes_of(const made_t *made, uint32_t budget, bool resets) {
    begin();
    world.blob = made;
    uint32_t wakes = 0, committed = 0;
    do {
        wake(budget);
        CHECK(++wakes < WAKES_MOST);
        const tf_update_record_t *record = tf_update_record(&world.update);
        CHECK(record->committed >= committed);
        committed = record->committed;
        if (STATE() == TF_UPDATE_STATE_DEFERRED) CHECK_EQUAL(RESULT(), TF_RESULT_BUDGET);
        if (resets) world_boot(&world);
    } while (STATE() != TF_UPDATE_STATE_CONFIRMED);
    CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_DEFERRED, TF_RESULT_BUDGET), wakes - 1);
    CHECK(memcmp(world.flash.bytes + WORLD_SLOT_B, made->bytes, made->size) == 0);
    end();
    return wakes;
}

static void a_download_takes_as_many_wakes_as_its_budget_asks_for(void) {
    uint32_t groups = (third.size + TF_GROUP_BYTES - 1u) / TF_GROUP_BYTES + 1u;
    CHECK_EQUAL(wakes_of(&third, UINT32_MAX, false), 1);
    uint32_t most = wakes_of(&third, LEAST_BUDGET, false);
    CHECK(most >= groups - 1u && most <= groups + 1u);
    uint32_t half = wakes_of(&third, 2 * LEAST_BUDGET, false);
    CHECK(half > 2 && half < most);
    /* After a reset the manifest is fetched once more, and no group twice. */
    CHECK(wakes_of(&third, LEAST_BUDGET, true) <= 2 * groups);
}

static void a_budget_that_holds_no_group_is_refused(void) {
    begin();
    world.blob = &third;
    wake(LEAST_BUDGET - 1);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_BUDGET, &first);
    CHECK_EQUAL(world.chunks, 0);
    end();
}

/* Time is up in midst of a group: what is committed stays, the rest waits. */
static void a_wake_may_end_at_any_time(void) {
    begin();
    world.blob = &third;
    world.silent_group = 3;
    world.now.has_budget = true;
    world.now.budget_bytes = world.now.left_bytes = UINT32_MAX;
    world_link(&world, true);
    tf_want_t want = world_want(&third, 1);
    tf_update_want(&world.update, &want, &world.now);
    for (uint32_t i = 0; i < 300 && world.subscribed != 3; i++) world_run_until(&world, 0xFF, 1);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    uint32_t committed = tf_update_record(&world.update)->committed;
    CHECK_EQUAL(committed, 2 * TF_GROUP_BYTES / TF_SECTOR_BYTES);
    world.now.left_bytes = 0;
    tf_update_tick(&world.update, &world.now);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DEFERRED);
    CHECK_EQUAL(RESULT(), TF_RESULT_BUDGET);
    CHECK_EQUAL(tf_update_record(&world.update)->committed, committed);
    world_link(&world, false);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DEFERRED);
    world.silent_group = TF_UPDATE_NO_GROUP;
    world.subscribed = TF_UPDATE_NO_GROUP;
    wake(UINT32_MAX);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    end();
}

/* The birth of each wake says what it waits for now. */
static void why_it_waits_may_change(void) {
    begin();
    world.blob = &third;
    tf_want_t want = world_want(&third, 1);
    want.has_min_battery_pct = want.has_not_before = want.has_deadline = true;
    want.min_battery_pct = 50;
    want.not_before = 2000;
    want.deadline = 5000;
    world.now.has_unix_s = world.now.has_battery_pct = world.now.has_budget = true;
    world.now.budget_bytes = world.now.left_bytes = LEAST_BUDGET;
    world.now.unix_s = 1000;
    world.now.battery_pct = 20;
    tf_update_want(&world.update, &want, &world.now);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DEFERRED);
    CHECK_EQUAL(RESULT(), TF_RESULT_INITIAL);
    world.now.unix_s = 2000;
    world_link(&world, false);
    world_link(&world, true);
    CHECK_EQUAL(RESULT(), TF_RESULT_BATTERY);
    world.now.battery_pct = 50;
    world.now.left_bytes = 100;
    world_link(&world, false);
    world_link(&world, true);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DEFERRED);
    CHECK_EQUAL(RESULT(), TF_RESULT_BUDGET);
    /* It slept over its deadline. */
    world_link(&world, false);
    world.now.uptime_ms += 4000000;
    world.now.unix_s = 6000;
    world.now.left_bytes = LEAST_BUDGET;
    world_link(&world, true);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_EXPIRED, &first);
    end();
}

int main(void) {
    make_models();
    RUN(a_download_takes_as_many_wakes_as_its_budget_asks_for);
    RUN(a_budget_that_holds_no_group_is_refused);
    RUN(a_wake_may_end_at_any_time);
    RUN(why_it_waits_may_change);
    return 0;
}
