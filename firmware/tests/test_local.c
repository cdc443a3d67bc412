/* Images that an SMP client brings, by SMP's own packets, on a node with its bootloader: they go the way of
 * an update, or not at all; and power is cut everywhere on that way. */
#include "../apps/node/images.h"
#include "check.h"
#include "machine.h"
#include "smp_client.h"

enum { CHUNK_BYTES = 1000, FIRMWARE_BYTES = 6000 };

static machine_t machine;
static flash_sim_t before; /* the flash a scenario begins with */
static images_t images;
static smp_request_t request;
static smp_reply_t reply;
static made_t factory, better, best, failing, hanging, foreign, newer_abi, model, second, third, stranger;

static uint64_t now_us(void) {
    return machine.world.now.uptime_ms * 1000u;
}

static const tf_smp_device_t device = {
    .images = &images,
    .image = images_get,
    .image_count = IMAGES_MOST,
    .upload = images_upload,
    .test = images_test,
    .confirm = images_confirm,
    .erase = images_erase,
};

static void ask(void) {
    images.update = &machine.world.update;
    images.now_us = now_us;
    smp_end(&request);
    CHECK(smp_ask(&device, TF_SMP_DOOR_FULL, &request, &reply));
}

static void send(const made_t *made, uint32_t number, uint32_t offset, uint32_t length, bool sha) {
    uint8_t digest[32];
    const bool begins = offset == 0;
    tf_sha256(made->bytes, made->size, digest);
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, begins ? (sha ? 5 : 4) : 2);
    smp_number(&request, "off", offset);
    smp_bytes(&request, "data", made->bytes + offset, length);
    if (begins) smp_number(&request, "len", made->size);
    if (begins) smp_number(&request, "image", number);
    if (begins && sha) smp_bytes(&request, "sha", digest, 32);
    ask();
}

/* As a client does: from where the node says it is, to the end or to a refusal. */
static void upload_until(const made_t *made, uint32_t number, uint32_t end, bool sha) {
    uint32_t offset = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        const uint32_t left = made->size - offset;
        send(made, number, offset, left < CHUNK_BYTES ? left : CHUNK_BYTES, sha);
        if (reply.rc >= 0 || reply.off >= end) return;
        offset = (uint32_t)reply.off;
    }
    CHECK(!"an upload ends");
}

static void upload(const made_t *made, uint32_t number) {
    upload_until(made, number, made->size, true);
}

static void set_state(const made_t *made, bool confirm) {
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 0, confirm ? 2 : 1);
    smp_bytes(&request, "hash", made->digest, 32);
    if (confirm) smp_key(&request, "confirm");
    if (confirm) tf_write_bool(&request.body, true);
    ask();
}

static void test(const made_t *made) {
    set_state(made, false);
}

static void expect(int64_t group, int64_t rc) {
    CHECK_EQUAL(reply.group, group);
    CHECK_EQUAL(reply.rc, rc);
}

static void make(made_t *made, uint8_t build, uint8_t slot, behaviour_t behaviour, signer_t signer,
                 uint16_t abi) {
    const firmware_recipe_t recipe = {.payload_bytes = FIRMWARE_BYTES,
                                      .build = build,
                                      .security_counter = 1,
                                      .signer = signer,
                                      .abi = abi,
                                      .start = machine.layout.start,
                                      .address = machine_address(&machine, slot),
                                      .behaviour = behaviour};
    maker_firmware(made, &recipe);
}

static void begin(tf_image_start_t start) {
    machine_open(&machine, start);
    make(&factory, 1, 0, BEHAVES, SIGNER_OURS, 1);
    make(&better, 2, 1, BEHAVES, SIGNER_OURS, 1);
    make(&best, 3, 0, BEHAVES, SIGNER_OURS, 1);
    make(&failing, 4, 1, FAILS_SELF_TEST, SIGNER_OURS, 1);
    make(&hanging, 5, 1, HANGS, SIGNER_OURS, 1);
    make(&foreign, 6, 1, BEHAVES, SIGNER_FOREIGN, 1);
    make(&newer_abi, 7, 1, BEHAVES, SIGNER_OURS, 2);
    machine_install(&machine, &factory, &model);
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
}

static void end(void) {
    machine_close(&machine);
}

/* What the node does after a client's last word. */
static void go_on(void) {
    world_run(&machine.world);
    if (machine.world.reset_wanted) machine_live(&machine, TF_RESET_REQUEST);
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

/* There is nowhere to fetch it from, and the node does not wait for that. */
static void what_is_gone_by_the_next_start_fails(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    upload(&second, 1);
    flash_sim_t *flash = &machine.world.flash;
    flash->cut_at = flash->operations + 2; /* OFFERED is on record, and nothing behind it */
    flash->cut = CUT_BEFORE;
    if (setjmp(flash->out) == 0) {
        test(&second);
        CHECK(!"cut off");
    }
    flash->cut_at = 0;
    flash->bytes[WORLD_SLOT_B + 100] ^= 1;
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_FAILED);
    end();
}

/* A client's whole work, and what the node does of it. */
static void work(const made_t *made, uint32_t number) {
    machine_live(&machine, TF_RESET_POWER);
    if (machine_runs(&machine, number == 0 ? made : &better, number == 0 ? &model : made)) return;
    upload(made, number);
    CHECK(reply.rc == -1);
    test(made);
    CHECK(reply.rc == -1);
    go_on();
}

static bool work_until_cut(const made_t *made, uint32_t number, uint32_t cut_at, flash_cut_t cut) {
    flash_sim_t *flash = &machine.world.flash;
    flash->operations = 0;
    flash->cut_at = cut_at;
    flash->cut = cut;
    flash->random = cut_at * 2654435761u + 1u;
    machine.world.log_count = 0;
    if (setjmp(flash->out) != 0) {
        flash->cut_at = 0;
        return true;
    }
    work(made, number);
    flash->cut_at = 0;
    return false;
}

/* Whatever the records say was confirmed runs, and nothing runs that was not tried. */
static void expect_truth(const made_t *made, uint32_t number) {
    const tf_update_record_t *record = tf_update_record(&machine.world.update);
    const bool there = machine_runs(&machine, number == 0 ? made : &better, number == 0 ? &model : made);
    CHECK(there || machine_runs(&machine, &better, &model));
    if (record->generation == 0 && record->state == TF_UPDATE_STATE_CONFIRMED &&
        memcmp(record->image, made->digest, 32) == 0) {
        CHECK(there);
    }
    uint8_t slot = machine.boot.record.active;
    CHECK(flash_sim_is_sound(&machine.world.flash, machine.layout.slot_offset[slot], FIRMWARE_BYTES));
}

/* Only what was whole before the cut may be tried without another upload. */
static void try_what_is_there(const made_t *made, uint32_t number) {
    test(made);
    if (reply.rc >= 0) return;
    const uint32_t at = number == 0 ? MACHINE_FIRMWARE_A : WORLD_SLOT_B;
    CHECK(flash_sim_is_sound(&machine.world.flash, at, made->size));
    go_on();
    expect_truth(made, number);
}

/* The firmware that runs came the same way: its token in the boot record, and SUCCESS, are not the next
 * one's. */
static uint32_t cut_everywhere(const made_t *made, uint32_t number, tf_image_start_t start) {
    uint32_t points = 0;
    begin(start);
    upload(&better, 0);
    test(&better);
    go_on();
    CHECK(machine_runs(&machine, &better, &model));
    flash_sim_open(&before, machine.world.flash.port.size_bytes, machine.world.flash.port.write_bytes);
    flash_sim_copy(&before, &machine.world.flash);
    for (uint32_t cut = 0; cut < CUT_KINDS; cut++) {
        for (uint32_t operation = 1;; operation++) {
            flash_sim_copy(&machine.world.flash, &before);
            if (!work_until_cut(made, number, operation, (flash_cut_t)cut)) break;
            points++;
            machine.world.log_count = 0;
            machine_live(&machine, TF_RESET_POWER);
            expect_truth(made, number);
            try_what_is_there(made, number);
            machine.world.log_count = 0;
            work(made, number);
            CHECK(machine_runs(&machine, number == 0 ? made : &better, number == 0 ? &model : made));
        }
    }
    flash_sim_close(&before);
    end();
    return points;
}

static void power_may_fail_at_any_operation(void) {
    for (int start = TF_IMAGE_START_RAM_LOAD; start <= TF_IMAGE_START_XIP; start++) {
        const uint32_t firmware = cut_everywhere(&best, 0, (tf_image_start_t)start);
        const uint32_t models = cut_everywhere(&second, 1, (tf_image_start_t)start);
        printf("%s: %u cuts in an uploaded firmware, %u in a model, 0 bricks\n",
               start == TF_IMAGE_START_XIP ? "xip" : "ram_load", firmware, models);
        CHECK(firmware >= 12u * CUT_KINDS && models >= 12u * CUT_KINDS);
    }
}

int main(void) {
    maker_image(&model, 3000, 20, 0, SIGNER_OURS);
    maker_image(&second, 5500, 21, 0, SIGNER_OURS);
    maker_image(&third, 9000, 22, 0, SIGNER_OURS);
    maker_image(&stranger, 5000, 23, 0, SIGNER_FOREIGN);
    RUN(a_model_is_tried_and_confirmed);
    RUN(a_firmware_is_tried_by_the_bootloader);
    RUN(what_may_not_run_is_refused_and_gone);
    RUN(offsets_and_sizes_are_held_to);
    RUN(only_what_does_not_run_is_erased);
    RUN(a_want_comes_before_it);
    RUN(a_challenger_that_runs_is_not_written_over);
    RUN(what_has_not_yet_ended_is_not_written_over);
    RUN(without_a_bootloader_there_are_models_only);
    RUN(what_is_gone_by_the_next_start_fails);
    RUN(power_may_fail_at_any_operation);
    return 0;
}
