/* The log of records: what was written last is what is found, whatever was torn. */
#include "../ota/state.h"
#include "check.h"
#include "flash_sim.h"

static flash_sim_t flash;
static tf_update_layout_t layout;

static void open_log(uint32_t write_bytes) {
    flash_sim_open(&flash, 4 * TF_SECTOR_BYTES, write_bytes);
    layout = (tf_update_layout_t){.flash = &flash.port, .state_offset = {0, TF_SECTOR_BYTES}};
}

static tf_update_record_t full_record(uint32_t number) {
    tf_update_record_t record = {
        .boot = UINT32_MAX - number,
        .active = 1,
        .slots = {TF_UPDATE_SLOT_CANDIDATE, TF_UPDATE_SLOT_CONFIRMED},
        .generation = number,
        .state = TF_UPDATE_STATE_TRIAL,
        .result = TF_RESULT_BOOT_FAILED,
        .tries = 255,
        .committed = TF_SECTORS_MAX,
        .size_bytes = UINT32_MAX,
        .security_counter = UINT32_MAX,
        .has_not_before = true,
        .has_deadline = true,
        .has_min_battery_pct = true,
        .not_before = UINT64_MAX,
        .deadline = UINT64_MAX,
        .min_battery_pct = 100,
        .trial = {UINT32_MAX, true, UINT32_MAX, true, UINT32_MAX},
        .firmware = true,
        .firmware_slots = {TF_UPDATE_SLOT_CANDIDATE, TF_UPDATE_SLOT_CONFIRMED},
        .has_next = true,
        .next_bytes = UINT32_MAX,
        .has_shadow = true,
        .shadow = true,
        .shadow_bytes = UINT32_MAX,
    };
    memset(record.next_manifest, 0xCD, sizeof record.next_manifest);
    memset(record.next_image, 0xCE, sizeof record.next_image);
    memset(record.shadow_manifest, 0xDC, sizeof record.shadow_manifest);
    memset(record.shadow_image, 0xDE, sizeof record.shadow_image);
    memset(record.manifest, 0xAB, sizeof record.manifest);
    memset(record.image, (int)(number & 0xFFu), sizeof record.image);
    return record;
}

static void noise_is_no_record(void) {
    tf_log_t log;
    tf_update_record_t record;
    open_log(4);
    CHECK(!tf_state_load(&layout, &log, &record));
    CHECK_EQUAL(record.generation, 0);
    flash_sim_close(&flash);
}

static void the_largest_record_comes_back(void) {
    for (uint32_t write_bytes = 1; write_bytes <= 256; write_bytes *= 4) {
        tf_log_t log;
        tf_update_record_t record, found;
        open_log(write_bytes);
        CHECK(!tf_state_load(&layout, &log, &record));
        uint32_t sequence = record.sequence;
        record = full_record(5);
        record.sequence = sequence;
        CHECK(tf_state_append(&layout, &log, &record));
        CHECK(tf_state_load(&layout, &log, &found));
        found.sequence = record.sequence;
        CHECK(memcmp(&found, &record, sizeof record) == 0);
        flash_sim_close(&flash);
    }
}

/* Restarts now and then, so that both the full and the fresh sector are met. */
static void the_newest_counts_over_many_turns(void) {
    tf_log_t log;
    tf_update_record_t record;
    open_log(4);
    (void)tf_state_load(&layout, &log, &record);
    /* So that the sequence wraps on the way. */
    record.sequence = UINT32_MAX - 50;
    for (uint32_t i = 1; i < 300; i++) {
        record.generation = i;
        CHECK(tf_state_append(&layout, &log, &record));
        if (i % 7 != 0) continue;
        CHECK(tf_state_load(&layout, &log, &record));
        CHECK_EQUAL(record.generation, i);
    }
    flash_sim_close(&flash);
}

static tf_log_t cut_log;
static tf_update_record_t cut_record;
static uint32_t cut_done;

/* 39 appends with a cut at `operation`; true when it came. What changes in between is static, as longjmp
 * asks. */
static bool append_until_cut(uint32_t operation, flash_cut_t kind) {
    cut_done = 0;
    (void)tf_state_load(&layout, &cut_log, &cut_record);
    flash.cut_at = operation;
    flash.cut = kind;
    flash.random = operation * 77u + (uint32_t)kind;
    if (setjmp(flash.out) != 0) return true;
    while (cut_done < 39) {
        cut_record.generation = cut_done + 1u;
        CHECK(tf_state_append(&layout, &cut_log, &cut_record));
        cut_done++;
    }
    return false;
}

/* What is found after a cut is the last record or the one before, and the log goes on from there: the
 * simulator refuses a write to a place of doubt. */
static void a_torn_write_loses_at_most_itself(void) {
    uint32_t cuts = 0;
    for (uint32_t kind = 0; kind < CUT_KINDS; kind++) {
        for (uint32_t operation = 1; operation < 60; operation++) {
            tf_log_t log;
            tf_update_record_t record;
            open_log(4);
            if (append_until_cut(operation, (flash_cut_t)kind)) cuts++;
            flash.cut_at = 0;
            bool found = tf_state_load(&layout, &log, &record);
            CHECK(found || cut_done == 0);
            if (found) CHECK(record.generation == cut_done || record.generation == cut_done + 1u);
            record.generation = 1000;
            CHECK(tf_state_append(&layout, &log, &record));
            CHECK(tf_state_load(&layout, &log, &record));
            CHECK_EQUAL(record.generation, 1000);
            flash_sim_close(&flash);
        }
    }
    printf("%u cuts\n", cuts);
    CHECK(cuts > 100);
}

/* Goes on from what is found, for `appends` records, with a cut at `operation`; true when it came. */
static bool go_on_until_cut(uint32_t operation, flash_cut_t kind, uint32_t appends) {
    bool found = tf_state_load(&layout, &cut_log, &cut_record);
    CHECK(found || cut_done == 0);
    /* A record that the last cut hit may be there or not; what was written before it is. */
    CHECK(cut_record.generation == cut_done || cut_record.generation == cut_done + 1u);
    cut_done = cut_record.generation;
    flash.operations = 0;
    flash.cut_at = operation;
    flash.cut = kind;
    flash.random = operation * 77u + (uint32_t)kind + cut_done;
    if (setjmp(flash.out) != 0) return true;
    for (uint32_t i = 0; i < appends; i++) {
        cut_record.generation = cut_done + 1u;
        CHECK(tf_state_append(&layout, &cut_log, &cut_record));
        cut_done++;
    }
    return false;
}

/* The log goes round twice; power goes at each operation, and at each of those that follow. */
static void every_pair_of_cuts_while_the_log_wraps(void) {
    uint32_t cuts = 0;
    for (uint32_t kind = 0; kind < CUT_KINDS; kind++) {
        for (uint32_t first = 1; first <= 42; first++) {
            for (uint32_t second = 1; second <= 20; second++, cuts += 2) {
                open_log(4);
                cut_done = 0;
                (void)go_on_until_cut(0, CUT_BEFORE, 3);
                CHECK(go_on_until_cut(first, (flash_cut_t)kind, 39));
                CHECK(go_on_until_cut(second, (flash_cut_t)kind, 39));
                CHECK(!go_on_until_cut(0, CUT_BEFORE, 3));
                flash_sim_close(&flash);
            }
        }
    }
    printf("log wrap: %u cuts in pairs\n", cuts);
}

/* A write that seemed lost and reads as whole later is not newer than what was written since. */
static void a_record_that_comes_back_is_old(void) {
    static uint8_t ghost[TF_STATE_RECORD_BYTES];
    tf_log_t log;
    tf_update_record_t record;
    open_log(4);
    (void)tf_state_load(&layout, &log, &record);
    record.generation = 1;
    CHECK(tf_state_append(&layout, &log, &record));
    record.generation = 2;
    CHECK(tf_state_append(&layout, &log, &record));
    uint8_t *place = flash.bytes + layout.state_offset[log.sector] + log.next - TF_STATE_RECORD_BYTES;
    memcpy(ghost, place, sizeof ghost);
    memset(place, 0xFF, sizeof ghost);
    CHECK(tf_state_load(&layout, &log, &record));
    CHECK_EQUAL(record.generation, 1);
    record.generation = 3;
    CHECK(tf_state_append(&layout, &log, &record));
    memcpy(place, ghost, sizeof ghost);
    CHECK(tf_state_load(&layout, &log, &record));
    CHECK_EQUAL(record.generation, 3);
    flash_sim_close(&flash);
}

static void a_failing_flash_is_noticed(void) {
    tf_log_t log;
    tf_update_record_t record;
    open_log(4);
    (void)tf_state_load(&layout, &log, &record);
    flash.fail_at = 1;
    CHECK(!tf_state_append(&layout, &log, &record));
    flash.fail_at = 0;
    flash.lose_from = 0;
    CHECK(!tf_state_append(&layout, &log, &record));
    flash.lose_from = UINT32_MAX;
    CHECK(tf_state_append(&layout, &log, &record));
    flash_sim_close(&flash);
}

int main(void) {
    RUN(noise_is_no_record);
    RUN(the_largest_record_comes_back);
    RUN(the_newest_counts_over_many_turns);
    RUN(a_torn_write_loses_at_most_itself);
    RUN(every_pair_of_cuts_while_the_log_wraps);
    RUN(a_record_that_comes_back_is_old);
    RUN(a_failing_flash_is_noticed);
    return 0;
}
