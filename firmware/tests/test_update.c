/* The engine's behaviour, seen from outside. */
#include "check.h"
#include "world.h"

static world_t world;
static made_t first, second, third;

#define STATE() (tf_update_record(&world.update)->state)
#define RESULT() (tf_update_record(&world.update)->result)

/* A node that runs `first`, online. */
static void begin(void) {
    world_open(&world);
    world_install(&world, &first);
    world_boot(&world);
    world_link(&world, true);
    world_run(&world);
    CHECK(world_runs(&world, &first));
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_IDLE);
}

static void end(void) {
    world_close(&world);
}

static void expect(tf_update_state_t state, tf_result_t result, const made_t *runs) {
    CHECK_EQUAL(STATE(), state);
    CHECK_EQUAL(RESULT(), result);
    CHECK(world_runs(&world, runs));
    CHECK_EQUAL(world.subscribed, TF_UPDATE_NO_GROUP);
    CHECK(world_told(&world, state, result) > 0);
}

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

static void chunks_come_twice_and_in_any_order(void) {
    for (uint32_t order = ORDER_UP; order <= ORDER_MIXED; order++) {
        begin();
        world.order = (order_t)order;
        world_offer(&world, &second, 1);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
        end();
    }
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

static void a_damaged_chunk_is_told_and_fetched_again(void) {
    for (uint32_t variant = 0; variant < 4; variant++) {
        begin();
        world.bad_group = variant < 2 ? 2 : 0;
        world.bad_length = variant % 2 != 0;
        world.bad_times = TF_GROUP_ATTEMPTS;
        world.bad_index = variant < 2 ? 5 : 0;
        world_offer(&world, &second, 1);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
        CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_DOWNLOADING, TF_RESULT_INTEGRITY), TF_GROUP_ATTEMPTS);
        /* Pauses of 500 ms, doubling: 15.5 s in all. */
        CHECK_EQUAL(world.now.uptime_ms, 15500);
        end();
    }
}

static void damage_that_stays_ends_the_update(void) {
    for (uint16_t group = 0; group <= 2; group += 2) {
        begin();
        world.bad_group = group;
        world.bad_times = UINT32_MAX;
        world_offer(&world, &second, 1);
        world_run(&world);
        expect(TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY, &first);
        CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_DOWNLOADING, TF_RESULT_INTEGRITY), TF_GROUP_ATTEMPTS);
        /* Nothing of the damaged sector was kept. */
        uint32_t at = WORLD_SLOT_B + (group == 0 ? 0 : TF_GROUP_BYTES);
        CHECK(memcmp(world.flash.bytes + at, second.bytes + at - WORLD_SLOT_B, 64) != 0);
        end();
    }
}

static void silence_pauses_and_the_link_resumes(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    CHECK_EQUAL(world.now.uptime_ms, 20000);
    CHECK_EQUAL(RESULT(), TF_RESULT_CONNECTION_LOST);
    uint32_t chunks = world.chunks;
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_link(&world, false);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    world_link(&world, true);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    /* Group 1 was not fetched twice. */
    CHECK_EQUAL(world.chunks - chunks, (second.size - TF_GROUP_BYTES + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES);
    end();
}

static void a_pause_ends_by_itself_or_by_the_same_want(void) {
    begin();
    world.withdrawn_group = 1;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    world_offer(&world, &second, 1);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    world.withdrawn_group = TF_UPDATE_NO_GROUP;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

/* Birth names the image of a slot only while it is whole. */
static void a_slot_that_is_being_overwritten_says_so(void) {
    begin();
    world_offer(&world, &second, 1);
    world_run(&world);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_CONFIRMED);
    world_offer(&world, &third, 2);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 11);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_FILLING);
    world_boot(&world);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_FILLING);
    end();
}

static void a_newer_want_replaces_a_download(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 11);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    world_offer(&world, &third, 2);
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    /* An older one is not heard. */
    world_offer(&world, &second, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    end();
}

static void the_same_bytes_under_a_newer_want_are_not_fetched_again(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    uint32_t chunks = world.chunks;
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_offer(&world, &second, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK_EQUAL(world.chunks - chunks,
                1 + (second.size - TF_GROUP_BYTES + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES);
    end();
}

static void an_emptied_want_stops_a_download(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 11);
    tf_update_want(&world.update, NULL, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_IDLE, TF_RESULT_INITIAL, &first);
    tf_want_t nothing = {.generation = 2};
    tf_update_want(&world.update, &nothing, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_IDLE, TF_RESULT_INITIAL, &first);
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 2);
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

static void what_cannot_fit_is_refused_at_once(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.model.size_bytes = WORLD_SLOT_BYTES + 1u;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_NO_FLASH, &first);
    CHECK_EQUAL(world.subscriptions, 0);
    end();
}

static void a_want_that_lies_is_refused(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.model.size_bytes -= 1u;
    world.blob = &second;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY, &first);
    want = world_want(&second, 2);
    want.model.image[0] ^= 1u;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY, &first);
    CHECK_EQUAL(world.trials, 0);
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

static void strange_chunks_do_no_harm(void) {
    static uint8_t bytes[5000];
    begin();
    world.silent_group = 1;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 8);
    tf_blob_topic_t topic = {.group = 1};
    tf_update_chunk(&world.update, &topic, bytes, 1024, &world.now); /* another blob */
    memcpy(topic.manifest, second.manifest_digest, sizeof topic.manifest);
    for (uint32_t group = 0; group < 5; group++) {
        for (uint32_t index = 0; index < 70; index += 23) {
            topic.group = (uint16_t)(group == 1 ? 4000 : group);
            topic.index = (uint16_t)(index + 16u);
            tf_update_chunk(&world.update, &topic, bytes, sizeof bytes, &world.now);
        }
    }
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    tf_update_chunk(&world.update, &topic, bytes, sizeof bytes, &world.now);
    tf_update_trial(&world.update, TF_RESULT_GOLDEN_FAILED, NULL, &world.now);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

int main(void) {
    maker_image(&first, 9000, 1, 0, SIGNER_OURS);
    maker_image(&second, 37000, 2, 0, SIGNER_OURS);
    /* 100 KiB and more: the manifest takes two chunks. */
    maker_image(&third, 140000, 3, 0, SIGNER_OURS);
    RUN(a_model_is_fetched_tried_and_confirmed);
    RUN(chunks_come_twice_and_in_any_order);
    RUN(a_node_without_a_model_gets_one);
    RUN(what_runs_already_is_not_fetched);
    RUN(what_the_other_slot_holds_is_not_fetched);
    RUN(a_foreign_signature_is_refused);
    RUN(the_counter_rises_only_with_a_confirmation);
    RUN(a_damaged_chunk_is_told_and_fetched_again);
    RUN(damage_that_stays_ends_the_update);
    RUN(silence_pauses_and_the_link_resumes);
    RUN(a_pause_ends_by_itself_or_by_the_same_want);
    RUN(a_slot_that_is_being_overwritten_says_so);
    RUN(a_newer_want_replaces_a_download);
    RUN(the_same_bytes_under_a_newer_want_are_not_fetched_again);
    RUN(an_emptied_want_stops_a_download);
    RUN(a_trial_decides);
    RUN(trial_conditions_reach_the_node_even_after_a_reset);
    RUN(three_interrupted_trials_revert);
    RUN(conditions_hold_a_download_back);
    RUN(a_low_battery_says_so);
    RUN(a_deadline_ends_a_download);
    RUN(what_cannot_fit_is_refused_at_once);
    RUN(a_want_that_lies_is_refused);
    RUN(a_flash_that_fails_ends_the_update_not_the_node);
    RUN(a_slot_that_rots_falls_back_to_the_other);
    RUN(strange_chunks_do_no_harm);
    return 0;
}
