/* A firmware's update through engine and bootloader: what ends confirmed, what goes back, and what is
 * refused. */
#include "check.h"
#include "machine.h"

static machine_t machine;
static made_t factory, better, hanging, crashing, failing, fix, foreign, newer_abi, model, second,
    model_of_new;

static const tf_update_record_t *record(void) {
    return tf_update_record(&machine.world.update);
}

static void make(made_t *made, uint8_t build, const firmware_recipe_t *changes, uint8_t slot) {
    firmware_recipe_t recipe = *changes;
    recipe.payload_bytes = 17000;
    recipe.build = build;
    recipe.start = machine.layout.start;
    recipe.address = machine_address(&machine, slot);
    if (recipe.abi == 0) recipe.abi = 1;
    maker_firmware(made, &recipe);
}

/* A node that runs `factory` and `model`, settled; the others are linked for its free slot. */
static void begin(tf_image_start_t start) {
    machine_open(&machine, start);
    make(&factory, 1, &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 1}, 0);
    make(&better, 2, &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 1}, 1);
    make(&hanging, 3, &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 2, .behaviour = HANGS},
         1);
    make(&crashing, 4,
         &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 2, .behaviour = CRASHES}, 1);
    make(&failing, 5,
         &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 2, .behaviour = FAILS_SELF_TEST}, 1);
    make(&fix, 6, &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 2}, 1);
    make(&foreign, 7, &(firmware_recipe_t){.signer = SIGNER_FOREIGN, .security_counter = 1}, 1);
    make(&newer_abi, 8, &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 1, .abi = 2}, 1);
    machine_install(&machine, &factory, &model);
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
    machine.world.log_count = 0;
}

static void end(void) {
    machine_close(&machine);
}

static void expect(tf_update_state_t state, tf_result_t result, const made_t *firmware, const made_t *runs) {
    CHECK_EQUAL(record()->state, state);
    CHECK_EQUAL(record()->result, result);
    CHECK(machine_runs(&machine, firmware, runs));
    /* And it stays so. */
    uint32_t starts = machine.starts;
    machine_live(&machine, TF_RESET_POWER);
    CHECK_EQUAL(machine.starts, starts + 1);
    CHECK_EQUAL(record()->state, state);
    CHECK(machine_runs(&machine, firmware, runs));
}

static void wanted(const made_t *firmware, const made_t *with, uint32_t generation) {
    machine_offer(&machine, firmware, with, generation);
    machine_live(&machine, TF_RESET_POWER);
}

static void a_firmware_is_fetched_tried_and_confirmed(void) {
    static const uint8_t states[] = {TF_UPDATE_STATE_OFFERED,  TF_UPDATE_STATE_DOWNLOADING,
                                     TF_UPDATE_STATE_VERIFIED, TF_UPDATE_STATE_STAGED,
                                     TF_UPDATE_STATE_TRIAL,    TF_UPDATE_STATE_CONFIRMED};
    for (tf_image_start_t start = TF_IMAGE_START_RAM_LOAD; start <= TF_IMAGE_START_XIP; start++) {
        begin(start);
        wanted(&better, NULL, 1);
        uint32_t next = 0;
        for (uint32_t i = 0; i < machine.world.log_count && next < sizeof states; i++) {
            const tf_status_t *told = &machine.world.log[i];
            CHECK(told->has_kind && told->kind == TF_ARTIFACT_KIND_FIRMWARE);
            if (told->state == states[next]) next++;
        }
        CHECK_EQUAL(next, sizeof states);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &better, &model);
        CHECK_EQUAL(machine.choice.slot, 1);
        /* And a model after it. */
        wanted(NULL, &second, 2);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &better, &second);
        if (start == TF_IMAGE_START_RAM_LOAD) {
            /* The one before is still there: going back costs no byte on air. */
            uint32_t chunks = machine.world.chunks;
            wanted(&factory, NULL, 3);
            expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &factory, &second);
            CHECK_EQUAL(machine.world.chunks, chunks);
        }
        end();
    }
}

static void what_does_not_confirm_goes_back(void) {
    struct {
        const made_t *firmware;
        tf_result_t result;
    } cases[] = {{&hanging, TF_RESULT_BOOT_FAILED},
                 {&crashing, TF_RESULT_BOOT_FAILED},
                 {&failing, TF_RESULT_GOLDEN_FAILED}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(TF_IMAGE_START_RAM_LOAD);
        wanted(cases[i].firmware, &second, 1);
        /* Its model is not fetched. */
        expect(TF_UPDATE_STATE_REVERTED, cases[i].result, &factory, &model);
        CHECK_EQUAL(machine.boot.record.result, cases[i].result);
        /* A trial raises no counter, so what is below the failed one can still come. */
        CHECK_EQUAL(machine.boot.record.security_counter, 1);
        wanted(&better, NULL, 2);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &better, &model);
        end();
    }
}

static void a_counter_below_the_confirmed_one_is_refused(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    wanted(&fix, NULL, 1);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &fix, &model);
    CHECK_EQUAL(machine.boot.record.security_counter, 2);
    wanted(&better, NULL, 2);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_DOWNGRADE, &fix, &model);
    end();
}

static void a_foreign_firmware_is_refused_before_any_reset(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    uint32_t starts = machine.starts;
    wanted(&foreign, NULL, 1);
    CHECK_EQUAL(machine.starts, starts + 1);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_SIGNATURE, &factory, &model);
    end();
}

static void a_firmware_linked_for_the_other_slot_is_refused(void) {
    begin(TF_IMAGE_START_XIP);
    static made_t misplaced;
    make(&misplaced, 9, &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 1}, 0);
    wanted(&misplaced, NULL, 1);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UNSUPPORTED_TYPE, &factory, &model);
    end();
}

static void firmware_comes_before_the_model_that_needs_it(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    /* Alone, neither is taken: the model is of another ABI, the firmware would drop the running model. */
    wanted(NULL, &model_of_new, 1);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UNSUPPORTED_TYPE, &factory, &model);
    wanted(&newer_abi, NULL, 2);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UNSUPPORTED_TYPE, &factory, &model);
    machine.world.log_count = 0;
    wanted(&newer_abi, &model_of_new, 3);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &newer_abi, &model_of_new);
    CHECK_EQUAL(record()->generation, 3);
    /* One stream: firmware first, and nothing says CONFIRMED before the model is. */
    bool models = false;
    for (uint32_t i = 0; i < machine.world.log_count; i++) {
        const tf_status_t *told = &machine.world.log[i];
        CHECK_EQUAL(told->generation, 3);
        if (told->kind == TF_ARTIFACT_KIND_MODEL) models = true;
        CHECK_EQUAL(told->kind, models ? TF_ARTIFACT_KIND_MODEL : TF_ARTIFACT_KIND_FIRMWARE);
        if (told->state == TF_UPDATE_STATE_CONFIRMED) CHECK(models);
    }
    CHECK(models);
    end();
}

/* The firmware on trial cannot run it, and yet it must be there when that firmware goes. */
static void the_model_outlives_a_firmware_that_cannot_run_it(void) {
    static made_t failing_new;
    begin(TF_IMAGE_START_RAM_LOAD);
    const firmware_recipe_t changes = {
        .signer = SIGNER_OURS, .security_counter = 1, .abi = 2, .behaviour = FAILS_SELF_TEST};
    make(&failing_new, 9, &changes, 1);
    wanted(&failing_new, &model_of_new, 1);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_GOLDEN_FAILED, &factory, &model);
    end();
}

static void a_firmware_older_than_the_model_needs_is_refused(void) {
    static made_t needy;
    begin(TF_IMAGE_START_RAM_LOAD);
    wanted(&fix, NULL, 1);
    maker_model(&needy,
                &(model_recipe_t){
                    .payload_bytes = 5000, .build = 30, .signer = SIGNER_OURS, .abi = 1, .needs_build = 6});
    wanted(NULL, &needy, 2);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &fix, &needy);
    static made_t older;
    make(&older, 5, &(firmware_recipe_t){.signer = SIGNER_OURS, .security_counter = 2}, 0);
    wanted(&older, NULL, 3);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UNSUPPORTED_TYPE, &fix, &needy);
    /* The other way round: a model that needs a newer firmware. */
    maker_model(&needy,
                &(model_recipe_t){
                    .payload_bytes = 5000, .build = 31, .signer = SIGNER_OURS, .abi = 1, .needs_build = 7});
    uint32_t trials = machine.world.trials;
    wanted(NULL, &needy, 4);
    CHECK_EQUAL(record()->result, TF_RESULT_UNSUPPORTED_TYPE);
    CHECK_EQUAL(machine.world.trials, trials);
    end();
}

static bool no_ops(const tf_image_t *firmware, const tf_image_t *active) {
    CHECK(firmware->ops.length == 1 && active->payload_bytes > 0);
    return false;
}

static void a_firmware_that_lacks_an_op_is_refused(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    machine.world.config.has_ops = no_ops;
    wanted(&better, NULL, 1);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UNSUPPORTED_TYPE, &factory, &model);
    end();
}

/* A broker that does not answer is no reason to keep a firmware that may not reach any. */
static void a_firmware_that_gives_no_answer_goes_back(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    machine.world.trial_hangs = true;
    wanted(&better, NULL, 1);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_UPDATE_FAILED, &factory, &model);
    end();
}

static void a_newer_want_waits_for_the_end_of_a_trial(void) {
    for (uint32_t fails = 0; fails < 2; fails++) {
        begin(TF_IMAGE_START_RAM_LOAD);
        machine.has_newer = true;
        machine.newer = machine_want(NULL, &second, 2);
        machine_offer(&machine, fails ? &failing : &better, NULL, 1);
        machine.world.other = &second;
        machine_live(&machine, TF_RESET_POWER);
        CHECK(!machine.has_newer);
        CHECK_EQUAL(record()->generation, 2);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, fails ? &factory : &better, &second);
        end();
    }
}

/* A board that is started past its bootloader, while its record is about a firmware. */
static void without_a_bootloader_no_firmware_is_under_way(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    world_t *world = &machine.world;
    tf_want_t want = machine_want(&better, &second, 1);
    tf_update_want(&world->update, &want, &world->now);
    CHECK_EQUAL(record()->state, TF_UPDATE_STATE_DOWNLOADING);
    world->config.boot = NULL;
    world->config.booted = TF_BOOT_NO_SLOT;
    world->config.firmware_image = NULL;
    world_boot(world);
    CHECK_EQUAL(record()->state, TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(record()->result, TF_RESULT_UNSUPPORTED_TYPE);
    CHECK(!record()->firmware && !record()->has_next);
    world_link(world, true);
    world_offer(world, &second, 2);
    world_run(world);
    CHECK(world_runs(world, &second));
    end();
}

/* The active slot breaks and the boot record cannot be written any more: the slot beside the active one is
 * the one that runs, and nothing is fetched to it. */
static void the_slot_that_runs_is_never_the_free_one(void) {
    static const uint8_t noise[64] = {1};
    begin(TF_IMAGE_START_XIP);
    wanted(&better, NULL, 1);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &better, &model);
    flash_sim_program(&machine.world.flash, MACHINE_FIRMWARE_B, noise, sizeof noise);
    machine.world.flash.lose_from = MACHINE_BOOT_STATE;
    wanted(&fix, NULL, 2);
    CHECK_EQUAL(machine.choice.slot, 0);
    CHECK_EQUAL(machine.boot.record.active, 1);
    CHECK_EQUAL(record()->state, TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(record()->result, TF_RESULT_UNSUPPORTED_TYPE);
    machine_live(&machine, TF_RESET_POWER);
    CHECK_EQUAL(machine.choice.slot, 0);
    end();
}

int main(void) {
    maker_image(&model, 6000, 20, 0, SIGNER_OURS);
    maker_image(&second, 9000, 21, 0, SIGNER_OURS);
    maker_model(&model_of_new,
                &(model_recipe_t){.payload_bytes = 7000, .build = 22, .signer = SIGNER_OURS, .abi = 2});
    RUN(a_firmware_is_fetched_tried_and_confirmed);
    RUN(what_does_not_confirm_goes_back);
    RUN(a_counter_below_the_confirmed_one_is_refused);
    RUN(a_foreign_firmware_is_refused_before_any_reset);
    RUN(a_firmware_linked_for_the_other_slot_is_refused);
    RUN(firmware_comes_before_the_model_that_needs_it);
    RUN(the_model_outlives_a_firmware_that_cannot_run_it);
    RUN(a_firmware_older_than_the_model_needs_is_refused);
    RUN(a_firmware_that_lacks_an_op_is_refused);
    RUN(a_firmware_that_gives_no_answer_goes_back);
    RUN(a_newer_want_waits_for_the_end_of_a_trial);
    RUN(without_a_bootloader_no_firmware_is_under_way);
    RUN(the_slot_that_runs_is_never_the_free_one);
    return 0;
}
