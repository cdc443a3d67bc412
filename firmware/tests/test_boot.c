/* The bootloader's decision: every row of its table, and what it does with images and records in flash. */
#include "../boot/decide.h"
#include "check.h"
#include "flash_sim.h"
#include "image_maker.h"
#include "tinyfleet/boot.h"

enum {
    SLOT_A = 0x10000,
    SLOT_B = 0x20000,
    SLOT_BYTES = 0x10000,
    FLASH_BYTES = 0x40000,
    FLASH_AT = 0x21000000
};
enum { EXECUTION = 0x10000 };

static flash_sim_t flash;
static tf_trust_t trust;
static tf_boot_layout_t layout;
static tf_boot_t boot;
static tf_boot_choice_t choice;
static made_t made;

static firmware_recipe_t recipe(uint8_t build, uint8_t slot) {
    bool xip = layout.start == TF_IMAGE_START_XIP;
    return (firmware_recipe_t){.payload_bytes = 3000,
                               .build = build,
                               .security_counter = 1,
                               .signer = SIGNER_OURS,
                               .abi = 1,
                               .start = layout.start,
                               .address = xip ? layout.address + layout.slot_offset[slot] : layout.address};
}

static void put(uint8_t slot, const firmware_recipe_t *what) {
    maker_firmware(&made, what);
    flash_sim_program(&flash, layout.slot_offset[slot], made.bytes, made.size);
}

static void begin(tf_image_start_t start) {
    flash_sim_open(&flash, FLASH_BYTES, 4);
    bool xip = start == TF_IMAGE_START_XIP;
    layout = (tf_boot_layout_t){.flash = &flash.port,
                                .state_offset = {0x3000, 0x4000},
                                .slot_offset = {SLOT_A, SLOT_B},
                                .slot_bytes = SLOT_BYTES,
                                .start = start,
                                .address = xip ? FLASH_AT : EXECUTION,
                                .room_bytes = 0x8000};
    for (uint8_t slot = 0; slot < 2; slot++) {
        firmware_recipe_t what = recipe((uint8_t)(slot + 1u), slot);
        put(slot, &what);
    }
}

static void end(void) {
    flash_sim_close(&flash);
}

static void power_on(tf_reset_t reset) {
    const tf_image_policy_t base = {.device_type = tf_text(MAKER_DEVICE_TYPE), .trust = &trust};
    tf_boot_open(&boot, &layout);
    tf_boot_choose(&boot, &base, reset, &choice);
}

static void expect(uint8_t slot, bool trial) {
    CHECK_EQUAL(choice.slot, slot);
    CHECK_EQUAL(choice.trial, trial);
}

static void every_row_was_written_and_starts_what_verifies(void) {
    uint32_t rows = 0;
    for (uint32_t view = 0; view < VIEW_COUNT; view++) {
        for (uint32_t first = 0; first < 2; first++) {
            for (uint32_t second = 0; second < 2; second++, rows++) {
                const boot_row_t *row = &tf_boot_table[view][first][second];
                CHECK_EQUAL(row->known, 1);
                /* What verifies starts; nothing starts only when neither does. */
                uint32_t expected = first ? START_FIRST : second ? START_SECOND : START_NONE;
                CHECK_EQUAL(row->start, expected);
                if (row->start == START_NONE) CHECK_EQUAL(row->write, WRITE_NOTHING);
                /* Only a slot on trial is counted, and each of its starts is. */
                CHECK_EQUAL(row->write == WRITE_COUNT, view == VIEW_TRIAL && first);
                /* A trial ends only when the other slot starts. */
                bool ends = row->write == WRITE_FAILED || row->write == WRITE_REFUSED;
                bool leaves =
                    view >= VIEW_TRIAL && row->start == (view == VIEW_TRIAL ? START_SECOND : START_FIRST);
                CHECK_EQUAL(ends, leaves);
            }
        }
    }
    for (uint32_t view = 0; view < VIEW_COUNT; view++) {
        /* The second is not looked at when the first is good. */
        CHECK(memcmp(&tf_boot_table[view][1][0], &tf_boot_table[view][1][1], sizeof(boot_row_t)) == 0);
    }
    printf("%u rows\n", rows);
}

static void a_provisioned_board_starts_a_and_keeps_it(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    power_on(TF_RESET_POWER);
    expect(0, false);
    CHECK(boot.has_record);
    CHECK_EQUAL(boot.record.active, 0);
    CHECK_EQUAL(boot.record.security_counter, 1);
    uint32_t operations = flash.operations;
    power_on(TF_RESET_POWER);
    expect(0, false);
    CHECK_EQUAL(flash.operations, operations); /* a start in order writes nothing */
    end();
}

static void tries_are_counted_and_used_up(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    power_on(TF_RESET_POWER);
    CHECK(tf_boot_request(&boot, 1, 77));
    for (uint32_t i = 0; i < TF_BOOT_TRIES; i++) {
        power_on(i % 2 ? TF_RESET_FAULT : TF_RESET_POWER);
        expect(1, true);
        CHECK_EQUAL(boot.record.tries, i + 1);
        CHECK_EQUAL(boot.record.result, TF_RESULT_INITIAL);
    }
    power_on(TF_RESET_REQUEST);
    expect(0, false);
    CHECK_EQUAL(boot.record.pending, TF_BOOT_NO_SLOT);
    CHECK_EQUAL(boot.record.result, TF_RESULT_BOOT_FAILED);
    CHECK_EQUAL(boot.record.token, 77);
    end();
}

static void the_watchdog_ends_a_trial_at_once(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    power_on(TF_RESET_POWER);
    CHECK(tf_boot_request(&boot, 1, 77));
    power_on(TF_RESET_WATCHDOG); /* of the firmware before: the trial has not begun */
    expect(1, true);
    power_on(TF_RESET_WATCHDOG);
    expect(0, false);
    CHECK_EQUAL(boot.record.result, TF_RESULT_BOOT_FAILED);
    /* A confirmed firmware is not left for a watchdog. */
    power_on(TF_RESET_WATCHDOG);
    expect(0, false);
    end();
}

static void a_confirmed_firmware_stays_and_raises_the_counter(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    firmware_recipe_t fix = recipe(3, 1);
    fix.security_counter = 5;
    put(1, &fix);
    power_on(TF_RESET_POWER);
    CHECK(tf_boot_request(&boot, 1, 1));
    power_on(TF_RESET_REQUEST);
    expect(1, true);
    CHECK_EQUAL(boot.record.security_counter, 1); /* not by a trial */
    CHECK(tf_boot_confirm(&boot, choice.image.security_counter));
    power_on(TF_RESET_POWER);
    expect(1, false);
    CHECK_EQUAL(boot.record.security_counter, 5);
    /* The way back below it is closed, by request and by need. */
    CHECK(tf_boot_request(&boot, 0, 2));
    power_on(TF_RESET_REQUEST);
    expect(1, false);
    CHECK_EQUAL(boot.record.result, TF_RESULT_DOWNGRADE);
    flash.bytes[SLOT_B + 2000] ^= 1u;
    power_on(TF_RESET_POWER);
    expect(TF_BOOT_NO_SLOT, false);
    CHECK(choice.reason[0] != NULL && choice.reason[1] != NULL);
    end();
}

static void a_trial_that_fails_leaves_the_way_back(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    firmware_recipe_t fix = recipe(3, 1);
    fix.security_counter = 5;
    put(1, &fix);
    power_on(TF_RESET_POWER);
    CHECK(tf_boot_request(&boot, 1, 1));
    power_on(TF_RESET_REQUEST);
    power_on(TF_RESET_WATCHDOG);
    expect(0, false);
    power_on(TF_RESET_POWER);
    expect(0, false);
    end();
}

static void what_does_not_verify_is_not_started(void) {
    for (uint32_t broken = 0; broken < 4; broken++) {
        begin(TF_IMAGE_START_RAM_LOAD);
        power_on(TF_RESET_POWER);
        firmware_recipe_t bad = recipe(3, 1);
        tf_result_t result = TF_RESULT_SIGNATURE;
        if (broken == 0) bad.signer = SIGNER_FOREIGN;
        if (broken == 1) bad.signer = SIGNER_NOBODY;
        if (broken == 2) bad.address += 4, result = TF_RESULT_UNSUPPORTED_TYPE;
        put(1, &bad);
        if (broken == 3) flash.bytes[SLOT_B + 1500] ^= 8u, result = TF_RESULT_INTEGRITY;
        CHECK(tf_boot_request(&boot, 1, 3));
        power_on(TF_RESET_REQUEST);
        expect(0, false);
        CHECK_EQUAL(boot.record.pending, TF_BOOT_NO_SLOT);
        CHECK_EQUAL(boot.record.result, result);
        end();
    }
}

static void a_damaged_active_slot_gives_way_to_the_other(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    power_on(TF_RESET_POWER);
    flash.bytes[SLOT_A + 1500] ^= 8u;
    power_on(TF_RESET_POWER);
    expect(1, false);
    CHECK_EQUAL(boot.record.active, 1);
    end();
}

static void an_image_runs_only_from_the_slot_it_was_linked_for(void) {
    begin(TF_IMAGE_START_XIP);
    power_on(TF_RESET_POWER);
    expect(0, false);
    CHECK(tf_boot_request(&boot, 1, 1));
    power_on(TF_RESET_REQUEST);
    expect(1, true);
    CHECK(tf_boot_confirm(&boot, 1));
    firmware_recipe_t other = recipe(4, 1);
    put(0, &other); /* linked for B, put into A */
    CHECK(tf_boot_request(&boot, 0, 2));
    power_on(TF_RESET_REQUEST);
    expect(1, false);
    CHECK_EQUAL(boot.record.result, TF_RESULT_UNSUPPORTED_TYPE);
    /* And one for RAM does not start in place. */
    other = recipe(5, 0);
    other.start = TF_IMAGE_START_RAM_LOAD;
    put(0, &other);
    CHECK(tf_boot_request(&boot, 0, 3));
    power_on(TF_RESET_REQUEST);
    expect(1, false);
    end();
}

static void an_image_larger_than_its_room_is_refused(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    power_on(TF_RESET_POWER);
    firmware_recipe_t large = recipe(3, 1);
    large.payload_bytes = layout.room_bytes - TF_MCUBOOT_FIRMWARE_HEADER_BYTES + 4;
    put(1, &large);
    CHECK(tf_boot_request(&boot, 1, 1));
    power_on(TF_RESET_REQUEST);
    expect(0, false);
    large.payload_bytes -= 4;
    put(1, &large);
    CHECK(tf_boot_request(&boot, 1, 2));
    power_on(TF_RESET_REQUEST);
    expect(1, true);
    end();
}

static void a_try_that_cannot_be_counted_is_not_made(void) {
    begin(TF_IMAGE_START_RAM_LOAD);
    power_on(TF_RESET_POWER);
    CHECK(tf_boot_request(&boot, 1, 1));
    flash.lose_from = 0;
    power_on(TF_RESET_REQUEST);
    expect(0, false);
    flash.lose_from = UINT32_MAX;
    power_on(TF_RESET_REQUEST);
    expect(1, true);
    end();
}

static void a_handoff_is_told_from_noise(void) {
    tf_handoff_t handoff = {.reset = TF_RESET_FAULT, .slot = 1};
    CHECK(!tf_handoff_is_whole(&handoff));
    tf_handoff_seal(&handoff);
    CHECK(tf_handoff_is_whole(&handoff));
    handoff.slot = 0;
    CHECK(!tf_handoff_is_whole(&handoff));
}

int main(void) {
    maker_trust(&trust);
    RUN(every_row_was_written_and_starts_what_verifies);
    RUN(a_provisioned_board_starts_a_and_keeps_it);
    RUN(tries_are_counted_and_used_up);
    RUN(the_watchdog_ends_a_trial_at_once);
    RUN(a_confirmed_firmware_stays_and_raises_the_counter);
    RUN(a_trial_that_fails_leaves_the_way_back);
    RUN(what_does_not_verify_is_not_started);
    RUN(a_damaged_active_slot_gives_way_to_the_other);
    RUN(an_image_runs_only_from_the_slot_it_was_linked_for);
    RUN(an_image_larger_than_its_room_is_refused);
    RUN(a_try_that_cannot_be_counted_is_not_made);
    RUN(a_handoff_is_told_from_noise);
    return 0;
}
