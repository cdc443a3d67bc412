/* What a `want` may ask for: sizes, generations, firmware, and wants that come while another is under way. */
#include "update_case.h"

static void generations_wrap(void) {
    begin();
    /* A node that acted on none takes any. */
    world_offer(&world, &second, 0xFFFFFFFFu);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    world_offer(&world, &first, 0xFFFFFFFEu);
    CHECK(world_runs(&world, &second));
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 0xFFFFFFFFu);
    world_offer(&world, &first, 0);
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 0xFFFFFFFFu);
    world_offer(&world, &third, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 1);
    end();
}

/* The record of it must be one that the next start can read. */
static void a_want_for_what_runs_may_lie_about_its_size(void) {
    static const uint32_t sizes[] = {0, 1, 600u * TF_SECTOR_BYTES, UINT32_MAX};
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        begin();
        tf_want_t want = world_want(&first, 7);
        want.model.size_bytes = sizes[i];
        tf_update_want(&world.update, &want, &world.now);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
        world_boot(&world);
        CHECK_EQUAL(tf_update_record(&world.update)->boot, 2);
        CHECK_EQUAL(tf_update_record(&world.update)->generation, 7);
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_CONFIRMED);
        end();
    }
}

static void a_size_is_checked_before_anything_is_erased(void) {
    static const struct {
        uint32_t size;
        tf_update_state_t state;
        tf_result_t result;
    } cases[] = {
        {0, TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY},
        {1, TF_UPDATE_STATE_DOWNLOADING, TF_RESULT_INITIAL},
        {WORLD_SLOT_BYTES, TF_UPDATE_STATE_DOWNLOADING, TF_RESULT_INITIAL},
        {WORLD_SLOT_BYTES + 1u, TF_UPDATE_STATE_FAILED, TF_RESULT_NO_FLASH},
        {UINT32_MAX, TF_UPDATE_STATE_FAILED, TF_RESULT_NO_FLASH},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        flash_sim_program(&world.flash, WORLD_SLOT_B, second.bytes, second.size);
        tf_want_t want = world_want(&second, 1);
        want.model.size_bytes = cases[i].size;
        world.blob = &second;
        tf_update_want(&world.update, &want, &world.now);
        CHECK_EQUAL(STATE(), cases[i].state);
        CHECK_EQUAL(RESULT(), cases[i].result);
        /* The manifest says another size: nothing is written either. */
        world_run(&world);
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
        CHECK(world_runs(&world, &first));
        CHECK(memcmp(world.flash.bytes + WORLD_SLOT_B, second.bytes, second.size) == 0);
        end();
    }
}

/* One byte, whose manifest is right: all of it comes, and it is no image. */
static void one_byte_is_no_model(void) {
    static made_t byte;
    byte.bytes[0] = 0x3D;
    byte.size = 1;
    maker_manifest(&byte);
    begin();
    world_offer(&world, &byte, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY, &first);
    CHECK_EQUAL(world.trials, 0);
    end();
}

/* How many groups there are follows from the size; the want's figure is for others. */
static void the_count_of_groups_decides_nothing(void) {
    static const uint16_t groups[] = {0, 1, 0xFFFF};
    for (uint32_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        begin();
        tf_want_t want = world_want(&second, 1);
        want.model.groups = groups[i];
        world.blob = &second;
        tf_update_want(&world.update, &want, &world.now);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
        end();
    }
}

/* The answer of a trial that a newer want ended says nothing about the one that follows. */
static void an_answer_to_an_older_trial_does_not_count(void) {
    static const tf_result_t answers[] = {TF_RESULT_SUCCESS, TF_RESULT_LATENCY_LIMIT};
    for (uint32_t i = 0; i < 2; i++) {
        begin();
        world.trial_hangs = true;
        world_offer(&world, &second, 1);
        world_run_until(&world, TF_UPDATE_STATE_TRIAL, 1000);
        tf_update_action_t action = {0};
        while (tf_update_next(&world.update, &action)) {
        }
        CHECK_EQUAL(action.kind, 0);
        world.subscribed = TF_UPDATE_NO_GROUP; /* one of the actions said so */
        /* The same image, under other conditions. */
        tf_want_t want = world_want(&second, 2);
        want.has_trial = true;
        want.trial = (tf_trial_t){.inferences = 9};
        tf_update_want(&world.update, &want, &world.now);
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_TRIAL);
        tf_update_trial(&world.update, answers[i], NULL, &world.now);
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_TRIAL);
        while (tf_update_next(&world.update, &action) && action.kind != TF_UPDATE_TRIAL) {
        }
        CHECK_EQUAL(action.kind, TF_UPDATE_TRIAL);
        CHECK_EQUAL(action.trial.inferences, 9);
        tf_update_trial(&world.update, TF_RESULT_SUCCESS, NULL, &world.now);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
        end();
    }
}

static void two_wants_during_a_trial(void) {
    begin();
    world.trial_hangs = true;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_TRIAL, 1000);
    world_offer(&world, &third, 2);
    world_offer(&world, &second, 3);
    world.trial_hangs = false;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 3);
    end();
    /* Back to what runs: the candidate is dropped, and nothing is fetched. */
    begin();
    world.trial_hangs = true;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_TRIAL, 1000);
    uint32_t runs = world.runs;
    world_offer(&world, &first, 2);
    tf_update_trial(&world.update, TF_RESULT_SUCCESS, NULL, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
    CHECK_EQUAL(world.runs, runs + 1u);
    end();
}

static void an_older_deadline_is_forgotten(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.has_deadline = true;
    want.deadline = 1000100;
    world.blob = &second;
    world.now.has_unix_s = true;
    world.now.unix_s = 1000000;
    world.silent_group = 2;
    tf_update_want(&world.update, &want, &world.now);
    /* A newer want comes when the clock is gone: its own deadline cannot be known, the old one is not its. */
    world.now.has_unix_s = false;
    want.generation = 2;
    want.deadline = 9000000;
    tf_update_want(&world.update, &want, &world.now);
    world.now.uptime_ms += 200000;
    tf_update_tick(&world.update, &world.now);
    CHECK(STATE() != TF_UPDATE_STATE_FAILED);
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

/* In every state that a want can reach. */
static void an_empty_want_stops_what_is_under_way(void) {
    static const struct {
        tf_update_state_t from, to;
        uint16_t silent_group;
    } cases[] = {
        {TF_UPDATE_STATE_IDLE, TF_UPDATE_STATE_IDLE, TF_UPDATE_NO_GROUP},
        {TF_UPDATE_STATE_DOWNLOADING, TF_UPDATE_STATE_IDLE, TF_UPDATE_NO_GROUP},
        {TF_UPDATE_STATE_PAUSED, TF_UPDATE_STATE_IDLE, 2},
        {TF_UPDATE_STATE_TRIAL, TF_UPDATE_STATE_CONFIRMED, TF_UPDATE_NO_GROUP},
        {TF_UPDATE_STATE_CONFIRMED, TF_UPDATE_STATE_CONFIRMED, TF_UPDATE_NO_GROUP},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        world.silent_group = cases[i].silent_group;
        if (cases[i].from != TF_UPDATE_STATE_IDLE) world_offer(&world, &second, 1);
        world_run_until(&world, cases[i].from, 1000);
        CHECK_EQUAL(STATE(), cases[i].from);
        tf_update_want(&world.update, NULL, &world.now);
        world_run(&world);
        CHECK_EQUAL(STATE(), cases[i].to);
        CHECK(world_runs(&world, cases[i].to == TF_UPDATE_STATE_IDLE ? &first : &second));
        CHECK_EQUAL(world.subscribed, TF_UPDATE_NO_GROUP);
        end();
    }
}

static tf_want_t with_firmware(tf_want_t want, const uint8_t image[32]) {
    want.has_firmware = true;
    memcpy(want.firmware.image, image, 32);
    want.firmware.size_bytes = 50000;
    return want;
}

/* There is no bootloader that could start another firmware: it says so, and what runs goes on. */
static void a_firmware_is_refused_whole(void) {
    static const uint8_t image[32] = {9};
    static const tf_update_state_t states[] = {TF_UPDATE_STATE_IDLE, TF_UPDATE_STATE_DOWNLOADING,
                                               TF_UPDATE_STATE_TRIAL};
    for (uint32_t i = 0; i < 2 * sizeof states / sizeof *states; i++) {
        begin();
        world.trial_hangs = true;
        tf_update_state_t state = states[i / 2];
        if (state != TF_UPDATE_STATE_IDLE) world_offer(&world, &second, 1);
        world_run_until(&world, state, 1000);
        CHECK_EQUAL(STATE(), state);
        tf_want_t want = with_firmware(world_want(&third, 2), image);
        want.has_model = i % 2 != 0;
        world.blob = &third;
        uint32_t trials = world.trials;
        world.now.uptime_ms += 5000;
        tf_update_want(&world.update, &want, &world.now);
        world_run(&world);
        expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UNSUPPORTED_TYPE, &first);
        CHECK_EQUAL(world.trials, trials);
        const tf_status_t *told = &world.log[world.log_count - 1u];
        CHECK(told->detail.length > 0);
        CHECK_EQUAL(told->generation, 2);
        CHECK_EQUAL(told->offset_bytes, 0);
        CHECK_EQUAL(told->size_bytes, 50000);
        CHECK_EQUAL(told->transfer.elapsed_ms, 0);
        /* It stays so, and the next want is heard. */
        world_boot(&world);
        world_link(&world, true);
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
        world.trial_hangs = false;
        world_offer(&world, &second, 3);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
        end();
    }
}

static void the_firmware_that_runs_is_no_hindrance(void) {
    static const uint8_t image[32] = {9};
    world_open(&world);
    world.config.firmware_image = image;
    world_install(&world, &first);
    world_boot(&world);
    world_link(&world, true);
    tf_want_t want = with_firmware(world_want(&second, 1), image);
    world.blob = &second;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    /* Alone, it is what was wanted. */
    want.generation = 2;
    want.has_model = false;
    world.log_count = 0;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

int main(void) {
    make_models();
    RUN(generations_wrap);
    RUN(a_want_for_what_runs_may_lie_about_its_size);
    RUN(a_size_is_checked_before_anything_is_erased);
    RUN(one_byte_is_no_model);
    RUN(the_count_of_groups_decides_nothing);
    RUN(an_answer_to_an_older_trial_does_not_count);
    RUN(two_wants_during_a_trial);
    RUN(an_older_deadline_is_forgotten);
    RUN(an_empty_want_stops_what_is_under_way);
    RUN(a_firmware_is_refused_whole);
    RUN(the_firmware_that_runs_is_no_hindrance);
    return 0;
}
