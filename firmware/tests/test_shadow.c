/* A challenger beside the active model: how it comes, what it may not do, and what ends it. */
#include "update_case.h"

/* A want for `model` (NULL: not named) with a challenger (NULL: none). */
static void ask(const made_t *model, const made_t *challenger, uint32_t generation) {
    tf_want_t want = {.generation = generation};
    if (model != NULL) want = world_want(model, generation);
    if (challenger != NULL) world_challenge(&want, challenger);
    world.blob = model;
    world.other = challenger;
    if (model == NULL) world.blob = challenger;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
}

static void expect_pair(const made_t *runs, const made_t *challenger, tf_result_t result) {
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_SHADOW);
    CHECK_EQUAL(RESULT(), result);
    CHECK(world_runs(&world, runs));
    CHECK(world_shadows(&world, challenger));
}

static void begin_with_challenger(void) {
    begin();
    ask(&first, &second, 1);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
}

static bool told_detail(const char *detail) {
    for (uint32_t i = 0; i < world.log_count; i++) {
        tf_text_t said = world.log[i].detail;
        if (said.length == strlen(detail) && memcmp(said.text, detail, said.length) == 0) return true;
    }
    return false;
}

static void a_challenger_is_fetched_and_runs_beside(void) {
    begin();
    uint32_t runs = world.runs;
    ask(&first, &second, 1);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    CHECK_EQUAL(world.trials, 0);
    CHECK_EQUAL(world.runs, runs); /* the active model did not even begin anew */
    CHECK(world_told(&world, TF_UPDATE_STATE_DOWNLOADING, TF_RESULT_INITIAL) > 0);
    CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_SHADOW, TF_RESULT_INITIAL), 1);
    CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_SHADOW, TF_RESULT_SUCCESS), 1);
    CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS), 0);
    const tf_update_record_t *record = tf_update_record(&world.update);
    CHECK_EQUAL(record->active, 0);
    CHECK_EQUAL(record->slots[1], TF_UPDATE_SLOT_CANDIDATE);
    CHECK_EQUAL(tf_update_due(&world.update), TF_UPDATE_NEVER);
    end();
    /* The want need not name the model that runs. */
    begin();
    ask(NULL, &second, 1);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    end();
}

static void it_survives_resets_and_is_tested_after_each(void) {
    begin_with_challenger();
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t before = world.shadows, chunks = world.chunks;
        world_boot(&world);
        CHECK_EQUAL(RESULT(), TF_RESULT_INITIAL); /* not before its vectors have passed again */
        world_run(&world);
        expect_pair(&first, &second, TF_RESULT_SUCCESS);
        CHECK_EQUAL(world.shadows, before + 1u);
        CHECK_EQUAL(world.chunks, chunks);
    }
    world.shadow_result = TF_RESULT_GOLDEN_FAILED;
    world_boot(&world);
    world_link(&world, true);
    world_run(&world);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_GOLDEN_FAILED, &first);
    CHECK(world_shadows(&world, NULL));
    end();
}

static void one_that_does_not_fit_leaves_the_active_model_alone(void) {
    static const tf_result_t reasons[] = {TF_RESULT_ARENA_TOO_SMALL, TF_RESULT_INPUT_MISMATCH,
                                          TF_RESULT_GOLDEN_FAILED};
    for (uint32_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        begin();
        uint32_t runs = world.runs;
        world.shadow_result = reasons[i];
        ask(&first, &second, 1);
        expect(TF_UPDATE_STATE_REVERTED, reasons[i], &first);
        CHECK(world_shadows(&world, NULL));
        CHECK_EQUAL(world.runs, runs);
        CHECK_EQUAL(tf_update_record(&world.update)->slots[1], TF_UPDATE_SLOT_EMPTY);
        /* It stays so. */
        world_boot(&world);
        world_run(&world);
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_REVERTED);
        CHECK(world_shadows(&world, NULL));
        end();
    }
}

static void one_that_stops_later_is_ended(void) {
    begin_with_challenger();
    tf_update_trial(&world.update, TF_RESULT_UPDATE_FAILED, "the challenger stopped on a window", &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_UPDATE_FAILED, &first);
    CHECK(world_shadows(&world, NULL));
    CHECK(told_detail("the challenger stopped on a window"));
    end();
}

static void one_that_gives_no_answer_is_ended(void) {
    begin();
    world.shadow_hangs = true;
    ask(&first, &second, 1);
    expect_pair(&first, &second, TF_RESULT_INITIAL);
    uint64_t due_ms = tf_update_due(&world.update);
    CHECK(due_ms != TF_UPDATE_NEVER);
    world.now.uptime_ms = due_ms;
    tf_update_tick(&world.update, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_UPDATE_FAILED, &first);
    CHECK(world_shadows(&world, NULL));
    end();
}

static void an_update_ends_it_and_says_so(void) {
    begin_with_challenger();
    ask(&third, NULL, 2);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    CHECK(world_shadows(&world, NULL));
    CHECK(told_detail("this update ended the shadow challenger"));
    CHECK(!told_detail("the shadow challenger was stopped"));
    end();
}

static void its_promotion_fetches_nothing(void) {
    begin_with_challenger();
    uint32_t subscriptions = world.subscriptions;
    ask(&second, NULL, 2);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK(world_shadows(&world, NULL));
    CHECK_EQUAL(world.subscriptions, subscriptions);
    CHECK_EQUAL(world.trials, 1); /* it had none before, so it has one now */
    CHECK_EQUAL(tf_update_record(&world.update)->active, 1);
    end();
}

static void it_can_be_stopped_and_started_again(void) {
    begin_with_challenger();
    uint32_t subscriptions = world.subscriptions;
    ask(&first, NULL, 2);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
    CHECK(world_shadows(&world, NULL));
    CHECK(told_detail("the shadow challenger was stopped"));
    ask(&first, &second, 3);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    ask(NULL, NULL, 4);
    expect(TF_UPDATE_STATE_IDLE, TF_RESULT_INITIAL, &first);
    CHECK(world_shadows(&world, NULL));
    CHECK_EQUAL(world.subscriptions, subscriptions);
    /* Stopped by a want that names nothing, it is gone from the slot. */
    ask(&first, &second, 5);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    CHECK(world.subscriptions > subscriptions);
    end();
}

static void an_empty_want_and_the_same_one_again_change_nothing(void) {
    begin_with_challenger();
    uint32_t starts = world.shadows;
    tf_update_want(&world.update, NULL, &world.now);
    ask(&first, &second, 1);
    /* Newer, with nothing new in it. */
    ask(&first, &second, 2);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    ask(NULL, &second, 3);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 3);
    CHECK_EQUAL(world.shadows, starts);
    world_boot(&world);
    CHECK_EQUAL(RESULT(), TF_RESULT_INITIAL);
    world_run(&world);
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 3);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    end();
}

static void another_challenger_takes_its_place(void) {
    begin_with_challenger();
    ask(&first, &third, 2);
    expect_pair(&first, &third, TF_RESULT_SUCCESS);
    end();
}

static void a_model_comes_before_its_challenger(void) {
    begin();
    ask(&second, &third, 1);
    expect_pair(&second, &third, TF_RESULT_SUCCESS);
    CHECK_EQUAL(world.trials, 1);
    CHECK_EQUAL(tf_update_record(&world.update)->active, 1);
    end();
    /* The model that ran before stands in the free slot: it may challenge the new one, and is not fetched. */
    begin();
    uint32_t subscriptions = world.subscriptions;
    ask(&second, &first, 1);
    expect_pair(&second, &first, TF_RESULT_SUCCESS);
    CHECK(world.subscriptions > subscriptions);
    CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_OFFERED, TF_RESULT_SUCCESS), 1);
    end();
    /* A model that fails its trial brings no challenger. */
    begin();
    world.trial_result = TF_RESULT_GOLDEN_FAILED;
    ask(&second, &third, 1);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_GOLDEN_FAILED, &first);
    CHECK(world_shadows(&world, NULL));
    end();
}

static void there_must_be_something_to_compare_it_with(void) {
    world_open(&world);
    world_boot(&world);
    world_link(&world, true);
    ask(NULL, &second, 1);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(RESULT(), TF_RESULT_UPDATE_FAILED);
    CHECK_EQUAL(world.subscriptions, 0);
    CHECK(told_detail("no model runs that a challenger could be compared with"));
    world_close(&world);
    begin();
    ask(&first, &first, 1);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UPDATE_FAILED, &first);
    CHECK(told_detail("the challenger is the model that runs"));
    CHECK_EQUAL(world.subscriptions, 0);
    end();
}

static void what_no_model_may_be_no_challenger_may(void) {
    static made_t foreign, old, fix;
    maker_image(&foreign, 20000, 9, 0, SIGNER_FOREIGN);
    maker_image(&fix, 6000, 10, 4, SIGNER_OURS);
    maker_image(&old, 6000, 11, 3, SIGNER_OURS);
    begin();
    ask(&first, &foreign, 1);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_SIGNATURE, &first);
    CHECK_EQUAL(world.shadows, 0);
    /* A challenger raises no counter. */
    ask(&first, &fix, 2);
    expect_pair(&first, &fix, TF_RESULT_SUCCESS);
    CHECK_EQUAL(tf_update_record(&world.update)->security_counter, 0);
    ask(&fix, NULL, 3);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &fix);
    ask(&fix, &old, 4);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_DOWNGRADE, &fix);
    end();
}

static void crashes_end_it_and_power_cuts_do_not(void) {
    begin_with_challenger();
    for (uint32_t i = 0; i < 2u * TF_UPDATE_TRIES; i++) {
        world_boot(&world);
        world_run(&world);
    }
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    world.config.crashed = true;
    for (uint32_t i = 1; i < TF_UPDATE_TRIES; i++) {
        world_boot(&world);
        world_run(&world);
        expect_pair(&first, &second, TF_RESULT_SUCCESS);
    }
    uint32_t starts = world.shadows;
    world_boot(&world);
    world_link(&world, true);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(RESULT(), TF_RESULT_BOOT_FAILED);
    CHECK(world_runs(&world, &first));
    CHECK(world_shadows(&world, NULL));
    CHECK_EQUAL(world.shadows, starts);
    end();
}

static void a_damaged_challenger_is_not_run(void) {
    begin_with_challenger();
    uint32_t starts = world.shadows;
    world.flash.bytes[WORLD_SLOT_B + 4000] ^= 1u;
    world_boot(&world);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(RESULT(), TF_RESULT_INTEGRITY);
    CHECK(world_runs(&world, &first));
    CHECK_EQUAL(world.shadows, starts);
    end();
}

/* Never confirmed by itself: not even where nothing else is left to run. */
static void it_does_not_take_the_place_of_a_damaged_model(void) {
    begin_with_challenger();
    uint32_t starts = world.shadows;
    world.flash.bytes[WORLD_SLOT_A + 4000] ^= 1u;
    world_boot(&world);
    world_run(&world);
    CHECK(tf_update_active(&world.update) == NULL);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(RESULT(), TF_RESULT_INTEGRITY);
    CHECK_EQUAL(world.shadows, starts);
    /* It can be had without a byte on air. */
    uint32_t subscriptions = world.subscriptions;
    world_link(&world, true);
    ask(&second, NULL, 2);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK_EQUAL(world.subscriptions, subscriptions);
    end();
}

static void a_record_that_cannot_be_written_stops_it(void) {
    begin_with_challenger();
    world.flash.fail_at = world.flash.operations + 1u;
    tf_want_t want = world_want(&third, 2);
    world.blob = &third;
    tf_update_want(&world.update, &want, &world.now);
    world.flash.fail_at = 0;
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UPDATE_FAILED, &first);
    CHECK(world_shadows(&world, NULL));
    /* Nothing was written to it: the record that is in flash still says that it runs. */
    world_boot(&world);
    world_run(&world);
    expect_pair(&first, &second, TF_RESULT_SUCCESS);
    end();
}

int main(void) {
    make_models();
    RUN(a_challenger_is_fetched_and_runs_beside);
    RUN(it_survives_resets_and_is_tested_after_each);
    RUN(one_that_does_not_fit_leaves_the_active_model_alone);
    RUN(one_that_stops_later_is_ended);
    RUN(one_that_gives_no_answer_is_ended);
    RUN(an_update_ends_it_and_says_so);
    RUN(its_promotion_fetches_nothing);
    RUN(it_can_be_stopped_and_started_again);
    RUN(an_empty_want_and_the_same_one_again_change_nothing);
    RUN(another_challenger_takes_its_place);
    RUN(a_model_comes_before_its_challenger);
    RUN(there_must_be_something_to_compare_it_with);
    RUN(what_no_model_may_be_no_challenger_may);
    RUN(crashes_end_it_and_power_cuts_do_not);
    RUN(a_damaged_challenger_is_not_run);
    RUN(it_does_not_take_the_place_of_a_damaged_model);
    RUN(a_record_that_cannot_be_written_stops_it);
    return 0;
}
