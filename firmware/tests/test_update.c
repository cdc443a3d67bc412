/* The engine's behaviour, seen from outside: what is installed, tried, confirmed or refused. */
#include "update_case.h"

static void a_model_is_fetched_tried_and_confirmed(void) {
    static const uint8_t states[] = {TF_UPDATE_STATE_OFFERED,  TF_UPDATE_STATE_DOWNLOADING,
                                     TF_UPDATE_STATE_VERIFIED, TF_UPDATE_STATE_STAGED,
                                     TF_UPDATE_STATE_TRIAL,    TF_UPDATE_STATE_CONFIRMED};
    begin();
    world_offer(&world, &second, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    uint32_t next = 0;
    for (uint32_t i = 0; i < world.log_count && next < sizeof states; i++) {
        if (world.log[i].state == states[next]) next++;
    }
    CHECK_EQUAL(next, sizeof states);
    const tf_status_t *last = &world.log[world.log_count - 1u];
    CHECK_EQUAL(last->generation, 1);
    CHECK_EQUAL(last->offset_bytes, second.size);
    CHECK_EQUAL(last->size_bytes, second.size);
    CHECK_EQUAL(world.trials, 1);
    CHECK_EQUAL(tf_update_record(&world.update)->active, 1);
    /* And again, into the other slot. */
    world_offer(&world, &third, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    CHECK_EQUAL(tf_update_record(&world.update)->active, 0);
    world_boot(&world);
    world_run(&world);
    CHECK(world_runs(&world, &third));
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_CONFIRMED);
    CHECK_EQUAL(tf_update_record(&world.update)->boot, 2);
    end();
}

static void a_node_without_a_model_gets_one(void) {
    world_open(&world);
    world_boot(&world);
    CHECK(tf_update_active(&world.update) == NULL);
    world_offer(&world, &first, 1);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_OFFERED);
    world_link(&world, true);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
    end();
}

static void what_runs_already_is_not_fetched(void) {
    begin();
    world_offer(&world, &first, 3);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
    CHECK_EQUAL(world.subscriptions, 0);
    end();
}

static void what_the_other_slot_holds_is_not_fetched(void) {
    begin();
    world_offer(&world, &second, 1);
    world_run(&world);
    uint32_t subscriptions = world.subscriptions;
    world_offer(&world, &first, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
    CHECK_EQUAL(world.subscriptions, subscriptions);
    CHECK_EQUAL(world.trials, 2);
    end();
}

static void a_foreign_signature_is_refused(void) {
    static made_t foreign;
    maker_image(&foreign, 20000, 9, 0, SIGNER_FOREIGN);
    begin();
    world_offer(&world, &foreign, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_SIGNATURE, &first);
    CHECK_EQUAL(world.trials, 0);
    /* It is not tried again by itself, not after a reset either. */
    uint32_t chunks = world.chunks;
    world_boot(&world);
    world_link(&world, true);
    world_offer(&world, &foreign, 1);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(world.chunks, chunks);
    CHECK(world_runs(&world, &first));
    end();
}

static void the_counter_rises_only_with_a_confirmation(void) {
    static made_t fix;
    maker_image(&fix, 6000, 9, 4, SIGNER_OURS);
    begin();
    world.trial_result = TF_RESULT_GOLDEN_FAILED;
    world_offer(&world, &fix, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_GOLDEN_FAILED, &first);
    CHECK_EQUAL(tf_update_record(&world.update)->security_counter, 0);
    world.trial_result = TF_RESULT_SUCCESS;
    world_offer(&world, &fix, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &fix);
    CHECK_EQUAL(tf_update_record(&world.update)->security_counter, 4);
    world_offer(&world, &second, 3);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_DOWNGRADE, &fix);
    end();
}

static void a_trial_decides(void) {
    static const tf_result_t reasons[] = {TF_RESULT_GOLDEN_FAILED, TF_RESULT_LATENCY_LIMIT,
                                          TF_RESULT_ARENA_TOO_SMALL};
    for (uint32_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        begin();
        world.trial_result = reasons[i];
        world_offer(&world, &second, 1);
        world_run(&world);
        expect(TF_UPDATE_STATE_REVERTED, reasons[i], &first);
        end();
    }
    begin();
    world.trial_hangs = true;
    tf_want_t want = world_want(&second, 1);
    want.has_trial = true;
    want.trial.inferences = 20;
    world.blob = &second;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_UPDATE_FAILED, &first);
    CHECK_EQUAL(world.now.uptime_ms, 600000 + 20 * 60000);
    end();
}

static void trial_conditions_reach_the_node_even_after_a_reset(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.has_trial = true;
    want.trial = (tf_trial_t){.inferences = 20, .has_latency_us = true, .latency_us = 50000};
    world.blob = &second;
    tf_update_want(&world.update, &want, &world.now);
    world.trial_hangs = true;
    world_run_until(&world, TF_UPDATE_STATE_TRIAL, 1000);
    world_boot(&world);
    tf_update_action_t action = {0};
    while (tf_update_next(&world.update, &action) && action.kind != TF_UPDATE_TRIAL) {
    }
    CHECK_EQUAL(action.kind, TF_UPDATE_TRIAL);
    CHECK_EQUAL(action.trial.inferences, 20);
    CHECK(action.trial.has_latency_us && !action.trial.has_energy_uj);
    CHECK_EQUAL(action.trial.latency_us, 50000);
    end();
}

static void three_interrupted_trials_revert(void) {
    begin();
    world.trial_hangs = true;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_TRIAL, 1000);
    for (uint32_t boots = 1; boots < TF_UPDATE_TRIES; boots++) {
        world_boot(&world);
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_TRIAL);
    }
    world_boot(&world);
    world_link(&world, true);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(RESULT(), TF_RESULT_BOOT_FAILED);
    world_run(&world);
    CHECK(world_runs(&world, &first));
    end();
}

static void conditions_hold_a_download_back(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.has_min_battery_pct = true;
    want.min_battery_pct = 40;
    want.has_not_before = true;
    want.not_before = 1000500;
    world.blob = &second;
    world.now.has_unix_s = world.now.has_battery_pct = true;
    world.now.unix_s = 1000000;
    world.now.battery_pct = 39;
    tf_update_want(&world.update, &want, &world.now);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DEFERRED);
    CHECK_EQUAL(RESULT(), TF_RESULT_INITIAL);
    world_run_until(&world, TF_UPDATE_STATE_DOWNLOADING, 30);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DEFERRED);
    CHECK(world.now.unix_s > 1000500);
    world.now.battery_pct = 40;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
    /* Without clock and battery there is nothing to hold against it. */
    begin();
    world.blob = &second;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

static void a_low_battery_says_so(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.has_min_battery_pct = true;
    want.min_battery_pct = 40;
    world.now.has_battery_pct = true;
    tf_update_want(&world.update, &want, &world.now);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DEFERRED);
    CHECK_EQUAL(RESULT(), TF_RESULT_BATTERY);
    end();
}

static void a_deadline_ends_a_download(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.has_deadline = true;
    want.deadline = 1000100;
    world.blob = &second;
    world.silent_group = 2;
    world.now.has_unix_s = true;
    world.now.unix_s = 1000000;
    tf_update_want(&world.update, &want, &world.now);
    /* It holds without a clock too, once one was known. */
    world.now.has_unix_s = false;
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_EXPIRED, &first);
    CHECK_EQUAL(world.now.uptime_ms, 100000);
    end();
}

static void a_flash_that_fails_ends_the_update_not_the_node(void) {
    /* Every operation in turn, then a flash that keeps nothing of what it takes. */
    for (uint32_t operation = 1; operation < 40; operation++) {
        begin();
        world.flash.fail_at = world.flash.operations + operation;
        world_offer(&world, &second, 1);
        world_run(&world);
        CHECK(STATE() == TF_UPDATE_STATE_CONFIRMED || RESULT() == TF_RESULT_UPDATE_FAILED);
        CHECK(world_runs(&world, STATE() == TF_UPDATE_STATE_CONFIRMED ? &second : &first));
        world.flash.fail_at = 0;
        world_boot(&world);
        world_run(&world);
        CHECK(tf_update_active(&world.update) != NULL);
        end();
    }
    begin();
    world.flash.lose_from = WORLD_SLOT_B;
    world_offer(&world, &second, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UPDATE_FAILED, &first);
    end();
    begin();
    world.flash.lose_from = 0;
    world_offer(&world, &second, 1);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
    CHECK(world_runs(&world, &first));
    /* It cannot even count the boot, and still runs. */
    CHECK(!tf_update_start(&world.update, &world.config, &world.now));
    memset(world.running, 0, sizeof world.running);
    world_run(&world);
    CHECK(world_runs(&world, &first));
    end();
}

static void a_slot_that_rots_falls_back_to_the_other(void) {
    begin();
    world_offer(&world, &second, 1);
    world_run(&world);
    world.flash.bytes[WORLD_SLOT_B + 700] ^= 4u;
    world_boot(&world);
    world_run(&world);
    CHECK(world_runs(&world, &first));
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(RESULT(), TF_RESULT_INTEGRITY);
    /* The manager asks again, under a newer generation. */
    world_link(&world, true);
    world_offer(&world, &second, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

int main(void) {
    make_models();
    RUN(a_model_is_fetched_tried_and_confirmed);
    RUN(a_node_without_a_model_gets_one);
    RUN(what_runs_already_is_not_fetched);
    RUN(what_the_other_slot_holds_is_not_fetched);
    RUN(a_foreign_signature_is_refused);
    RUN(the_counter_rises_only_with_a_confirmation);
    RUN(a_trial_decides);
    RUN(trial_conditions_reach_the_node_even_after_a_reset);
    RUN(three_interrupted_trials_revert);
    RUN(conditions_hold_a_download_back);
    RUN(a_low_battery_says_so);
    RUN(a_deadline_ends_a_download);
    RUN(a_flash_that_fails_ends_the_update_not_the_node);
    RUN(a_slot_that_rots_falls_back_to_the_other);
    return 0;
}
