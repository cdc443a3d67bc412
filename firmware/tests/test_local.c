/* Images that an SMP client brings, by SMP's own packets, on a node with its bootloader: they go the way of
 * an update, or not at all. */
#include "local_case.h"

static void expect(int64_t group, int64_t rc) {
    CHECK_EQUAL(reply.group, group);
    CHECK_EQUAL(reply.rc, rc);
}

static void a_model_is_tried_and_confirmed(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    upload(&second, 1);
    expect(-1, -1);
    CHECK_EQUAL(reply.match, 1);
    CHECK(machine_runs(&machine, &factory, &model));
    test(&second);
    CHECK_EQUAL(reply.images, 3);
    go_on();
    CHECK(machine_runs(&machine, &factory, &second));
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_CONFIRMED);
    CHECK_EQUAL(tf_update_record(&machine.world.update)->generation, 0);
    /* The one before is still there, and can be gone back to. */
    test(&model);
    go_on();
    CHECK(machine_runs(&machine, &factory, &model));
    /* A trial that does not pass goes back. */
    upload(&third, 1);
    test(&third);
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_TRIAL);
    machine.world.trial = NULL;
    machine.world.trial_result = TF_RESULT_GOLDEN_FAILED;
    go_on();
    CHECK(machine_runs(&machine, &factory, &model));
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_REVERTED);
    end();
}

static void expect_flags(uint32_t index, bool active, bool confirmed, bool pending) {
    tf_smp_image_t image;
    CHECK(images_get(&images, index, &image));
    CHECK_EQUAL(image.active, active);
    CHECK_EQUAL(image.confirmed, confirmed);
    CHECK_EQUAL(image.pending, pending);
}

static void a_firmware_is_tried_by_the_bootloader(void) {
    for (int start = TF_IMAGE_START_RAM_LOAD; start <= TF_IMAGE_START_XIP; start++) {
        begin((tf_image_start_t)start);
        upload(&better, 0);
        expect(-1, -1);
        test(&better);
        expect(-1, -1);
        /* Until the reset the old one runs, and nothing confirms the new one. */
        expect_flags(0, true, true, false);
        expect_flags(1, false, false, true);
        CHECK_EQUAL(machine.boot.record.active, 0);
        set_state(&better, true);
        expect(1, 32);
        test(&better);
        expect(-1, TF_SMP_BUSY);
        go_on();
        CHECK(machine_runs(&machine, &better, &model));
        expect_flags(0, false, false, false);
        expect_flags(1, true, true, false);
        test(&better);
        expect(1, 33);
        set_state(&better, true);
        expect(-1, -1);
        upload(&best, 0);
        test(&best);
        go_on();
        CHECK(machine_runs(&machine, &best, &model));
        upload(&failing, 0);
        test(&failing);
        go_on();
        CHECK(machine_runs(&machine, &best, &model));
        CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_REVERTED);
        upload(&hanging, 0);
        test(&hanging);
        go_on();
        CHECK(machine_runs(&machine, &best, &model));
        CHECK_EQUAL(machine.boot.record.security_counter, 1);
        end();
    }
}

/* The node's golden vectors have passed; then whoever hears it may stand for the broker. */
static bool passed;
static uint32_t asked;

static bool heard(void *context) {
    world_t *world = context;
    asked++;
    if (passed) tf_update_trial(&world->update, TF_RESULT_SUCCESS, NULL, &world->now);
    return passed;
}

static void hear_it_out(void) {
    const uint8_t *state = &tf_update_record(&machine.world.update)->state;
    expect_flags(1, true, false, false);
    set_state(&better, true);
    expect(1, 32); /* its vectors have not passed yet */
    CHECK_EQUAL(asked, 1);
    passed = true;
    set_state(&factory, true); /* another one */
    expect(1, 32);
    CHECK_EQUAL(asked, 1);
    CHECK_EQUAL(*state, TF_UPDATE_STATE_TRIAL);
    set_state(&better, true);
    expect(-1, -1);
    CHECK_EQUAL(*state, TF_UPDATE_STATE_CONFIRMED);
    expect_flags(1, true, true, false);
}

static void confirm_whatever_runs(void) {
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 0, 1);
    smp_key(&request, "confirm");
    tf_write_bool(&request.body, true);
    ask();
}

static void hear_what_runs(void) {
    confirm_whatever_runs();
    expect(-1, -1);
}

static void hear_in_vain(void) {
    confirm_whatever_runs();
    expect(1, 32);
    set_state(&better, true);
    expect(1, 32);
}

static void who_brought_a_firmware_may_be_all_that_hears_it(void) {
    for (int start = TF_IMAGE_START_RAM_LOAD; start <= TF_IMAGE_START_XIP; start++) {
        begin((tf_image_start_t)start);
        images.context = &machine.world;
        images.heard = heard;
        passed = false;
        asked = 0;
        machine.world.trial_hangs = true; /* no broker ever answers */
        upload(&better, 0);
        test(&better);
        set_state(&better, true);
        expect(1, 32); /* it does not run yet */
        CHECK_EQUAL(asked, 0);
        machine.on_trial = hear_it_out;
        go_on();
        CHECK(machine_runs(&machine, &better, &model));
        CHECK_EQUAL(machine.boot.record.security_counter, 1);
        machine_live(&machine, TF_RESET_POWER);
        CHECK(machine_runs(&machine, &better, &model));
        /* Without a digest it is what runs. */
        machine.on_trial = hear_what_runs;
        upload(&best, 0);
        test(&best);
        go_on();
        CHECK(machine_runs(&machine, &best, &model));
        CHECK_EQUAL(asked, 3);
        /* Nobody hears this one. */
        machine.on_trial = NULL;
        upload(&better, 0);
        test(&better);
        go_on();
        CHECK(machine_runs(&machine, &best, &model));
        CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_REVERTED);
        /* Nor does SMP stand for the broker where the manager wants it. */
        machine.on_trial = hear_in_vain;
        machine_offer(&machine, &better, NULL, 7);
        machine_live(&machine, TF_RESET_POWER);
        CHECK(machine_runs(&machine, &best, &model));
        CHECK_EQUAL(asked, 3);
        end();
    }
}

static void what_may_not_run_is_refused_and_gone(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    upload(&foreign, 0);
    expect(-1, TF_SMP_DENIED);
    CHECK(strcmp(reply.reason, "signed by a key that is not in the trust record") == 0);
    test(&foreign);
    expect(1, 3);
    upload(&stranger, 1);
    expect(-1, TF_SMP_DENIED);
    test(&stranger);
    expect(1, 3);
    upload(&second, 0); /* a model is no firmware */
    expect(-1, TF_SMP_UNSUPPORTED);
    /* A firmware that drops what the model needs is found out when it shall be tried. */
    upload(&newer_abi, 0);
    expect(-1, -1);
    test(&newer_abi);
    expect(-1, TF_SMP_UNSUPPORTED);
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_IDLE);
    /* Other bytes than announced. */
    made_t *other = malloc(sizeof *other);
    CHECK(other != NULL);
    *other = second;
    upload_until(&second, 1, CHUNK_BYTES, true);
    other->bytes[second.size - 1u] ^= 1;
    for (uint32_t at = CHUNK_BYTES; at < second.size; at += CHUNK_BYTES) {
        send(other, 1, at, second.size - at < CHUNK_BYTES ? second.size - at : CHUNK_BYTES, true);
    }
    CHECK_EQUAL(reply.match, 0);
    test(&second);
    expect(1, 3);
    free(other);
    CHECK(machine_runs(&machine, &factory, &model));
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
    end();
}

static void offsets_and_sizes_are_held_to(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    send(&second, 1, 3000, 100, false); /* nothing was begun */
    CHECK_EQUAL(reply.off, 0);
    upload_until(&second, 1, 3000, true);
    const int64_t at = reply.off;
    send(&second, 1, 500, 100, false); /* once more, or too early */
    CHECK_EQUAL(reply.off, at);
    send(&second, 1, (uint32_t)at + 500, 100, false);
    CHECK_EQUAL(reply.off, at);
    /* The same file goes on; another size, another file, or none known starts anew. */
    send(&second, 1, 0, 64, true);
    CHECK_EQUAL(reply.off, at);
    send(&third, 1, 0, 64, true);
    CHECK_EQUAL(reply.off, 64);
    send(&third, 1, 0, 64, false);
    CHECK_EQUAL(reply.off, 64);
    send(&third, 1, 0, 64, false);
    CHECK_EQUAL(reply.off, 64);
    upload_until(&third, 1, third.size, false);
    expect(-1, -1);
    CHECK_EQUAL(reply.match, -1);
    /* More than announced. */
    upload_until(&second, 1, 5000, true);
    static uint8_t many[1400];
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 2);
    smp_number(&request, "off", 5000);
    smp_bytes(&request, "data", many, sizeof many);
    CHECK(second.size < 5000 + sizeof many);
    ask();
    expect(1, 31);
    /* No header, no magic, no length, no such image, no room; older where it must be newer. */
    send(&second, 1, 0, 31, true);
    expect(1, 22);
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 3);
    smp_number(&request, "off", 0);
    smp_number(&request, "len", 4000);
    smp_bytes(&request, "data", many, 64);
    ask();
    expect(1, 23);
    send(&second, 2, 0, 64, true);
    expect(1, 14);
    for (uint32_t i = 0; i < 2; i++) {
        smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 4);
        smp_number(&request, "off", 0);
        smp_number(&request, "len", i == 0 ? 0 : MACHINE_FIRMWARE_BYTES + 1);
        smp_bytes(&request, "data", second.bytes, 64);
        smp_number(&request, "image", 0);
        ask();
        expect(1, 30);
    }
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 5);
    smp_number(&request, "off", 0);
    smp_number(&request, "len", model.size);
    smp_bytes(&request, "data", model.bytes, 64);
    smp_number(&request, "image", 1);
    smp_key(&request, "upgrade");
    tf_write_bool(&request.body, true);
    ask();
    expect(1, 27);
    end();
}

static void erase(uint32_t slot) {
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 5, 1);
    smp_number(&request, "slot", slot);
    ask();
}

static void only_what_does_not_run_is_erased(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    erase(0);
    expect(1, 9);
    erase(2);
    expect(1, 9);
    erase(4);
    expect(1, 14);
    upload(&better, 0);
    upload(&second, 1);
    erase(1);
    expect(-1, -1);
    erase(3);
    expect(-1, -1);
    test(&better);
    expect(1, 3);
    test(&second);
    expect(1, 3);
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 5, 0);
    ask();
    expect(-1, -1);
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
    end();
}

/* What the manager wants comes first, and takes the slot over. */
static void a_want_comes_before_it(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    upload_until(&second, 1, 2000, true);
    machine_offer(&machine, NULL, &third, 7);
    tf_update_want(&machine.world.update, &machine.want, &machine.world.now);
    const int64_t at = reply.off;
    send(&second, 1, 0, 64, true);
    expect(-1, TF_SMP_BUSY);
    erase(3);
    expect(-1, TF_SMP_BUSY);
    world_run(&machine.world);
    CHECK(machine_runs(&machine, &factory, &third));
    send(&second, 1, (uint32_t)at, 100, true);
    CHECK_EQUAL(reply.off, 0); /* the slot was another's since */
    /* What somebody brought runs until the node hears again what is wanted of it. */
    upload(&second, 1);
    test(&second);
    go_on();
    CHECK(machine_runs(&machine, &factory, &second));
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &third));
    CHECK_EQUAL(tf_update_record(&machine.world.update)->generation, 7);
    end();
}

/* Its slot is free as soon as it is asked to run alone: that ends it. */
static void a_challenger_that_runs_is_not_written_over(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    machine_offer(&machine, NULL, &model, 7);
    world_challenge(&machine.want, &second);
    machine.world.other = &second;
    tf_update_want(&machine.world.update, &machine.want, &machine.world.now);
    world_run(&machine.world);
    CHECK(world_shadows(&machine.world, &second));
    send(&third, 1, 0, 64, true);
    expect(-1, TF_SMP_BUSY);
    erase(3);
    expect(-1, TF_SMP_BUSY);
    CHECK(world_shadows(&machine.world, &second));
    test(&second);
    go_on();
    CHECK(world_shadows(&machine.world, NULL));
    CHECK(machine_runs(&machine, &factory, &second));
    end();
}

/* The engine has moved on, but a status keeps it from telling: the model in the slot still runs. */
static void what_has_not_yet_ended_is_not_written_over(void) {
    tf_update_t *update = &machine.world.update;
    begin(TF_IMAGE_START_RAM_LOAD);
    machine_offer(&machine, NULL, &model, 7);
    world_challenge(&machine.want, &second);
    machine.world.other = &second;
    tf_update_want(update, &machine.want, &machine.world.now);
    world_run(&machine.world);
    CHECK(world_shadows(&machine.world, &second));
    machine_offer(&machine, NULL, &model, 8);
    machine.want.has_shadow = false;
    tf_update_want(update, &machine.want, &machine.world.now);
    CHECK_EQUAL(tf_update_record(update)->state, TF_UPDATE_STATE_CONFIRMED);
    send(&third, 1, 0, 64, true);
    expect(-1, TF_SMP_BUSY);
    erase(3);
    expect(-1, TF_SMP_BUSY);
    world_run(&machine.world);
    CHECK(world_shadows(&machine.world, NULL));
    send(&third, 1, 0, 64, true);
    CHECK_EQUAL(reply.off, 64);
    /* A model on trial, likewise. */
    machine_offer(&machine, NULL, &third, 9);
    tf_update_want(update, &machine.want, &machine.world.now);
    world_run_until(&machine.world, TF_UPDATE_STATE_TRIAL, 3000);
    tf_update_action_t action = {0};
    while (tf_update_next(update, &action) && action.kind != TF_UPDATE_TRIAL) {
    }
    CHECK_EQUAL(action.kind, TF_UPDATE_TRIAL);
    machine_offer(&machine, NULL, &model, 10);
    tf_update_want(update, &machine.want, &machine.world.now);
    CHECK_EQUAL(tf_update_record(update)->state, TF_UPDATE_STATE_CONFIRMED);
    send(&second, 1, 0, 64, true);
    expect(-1, TF_SMP_BUSY);
    world_run(&machine.world);
    send(&second, 1, 0, 64, true);
    CHECK_EQUAL(reply.off, 64);
    end();
}

static void without_a_bootloader_there_are_models_only(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    machine.world.config.boot = machine.world.update.config.boot = NULL;
    upload(&better, 0);
    expect(1, 14);
    erase(1);
    expect(1, 14);
    upload(&second, 1);
    test(&second);
    CHECK_EQUAL(reply.images, 2);
    world_run(&machine.world);
    CHECK(world_runs(&machine.world, &second));
    end();
}

static void begin_trial(const void *made) {
    test(made);
}

/* There is nowhere to fetch it from, and the node does not wait for that. */
static void what_is_gone_by_the_next_start_fails(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    upload(&second, 1);
    /* OFFERED is on record, and nothing behind it. */
    CHECK(flash_sim_cut(&machine.world.flash, 2, CUT_BEFORE, 1, begin_trial, &second));
    machine.world.flash.bytes[WORLD_SLOT_B + 100] ^= 1;
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_FAILED);
    end();
}

int main(void) {
    make_models();
    RUN(a_model_is_tried_and_confirmed);
    RUN(a_firmware_is_tried_by_the_bootloader);
    RUN(who_brought_a_firmware_may_be_all_that_hears_it);
    RUN(what_may_not_run_is_refused_and_gone);
    RUN(offsets_and_sizes_are_held_to);
    RUN(only_what_does_not_run_is_erased);
    RUN(a_want_comes_before_it);
    RUN(a_challenger_that_runs_is_not_written_over);
    RUN(what_has_not_yet_ended_is_not_written_over);
    RUN(without_a_bootloader_there_are_models_only);
    RUN(what_is_gone_by_the_next_start_fails);
    return 0;
}
