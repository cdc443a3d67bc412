/* How a configuration takes another's place: the table, pair by pair, and the store that follows it. */
#include "check.h"
#include "config_world.h"
#include "../ota/config_table.h"

static config_world_t world;

static void every_cell_was_written(void) {
    for (uint32_t state = 0; state < TF_CONFIG_STATES; state++) {
        for (uint32_t event = 0; event < CONFIG_EVENTS; event++) {
            const config_cell_t *cell = &tf_config_table[state][event];
            CHECK((cell->flags & CONFIG_CELL_KNOWN) != 0 && cell->next < TF_CONFIG_STATES);
            /* A state is entered on record only: a reset finds what was true. */
            if (cell->next != state) CHECK((cell->flags & CONFIG_CELL_RECORD) != 0);
            /* What changes nothing does nothing. */
            if (cell->action == CONFIG_ACTION_NONE && cell->next == state)
                CHECK((cell->flags & CONFIG_CELL_RECORD) == 0);
        }
    }
}

/* The one in use is never written to, and only one that reached the broker is kept by choice. */
static void a_trial_protects_both_regions(void) {
    for (uint32_t state = 0; state < TF_CONFIG_STATES; state++) {
        for (uint32_t event = 0; event < CONFIG_EVENTS; event++) {
            const config_cell_t *cell = &tf_config_table[state][event];
            if (cell->action == CONFIG_ACTION_WRITE)
                CHECK(state != TF_CONFIG_TRIAL && cell->next == TF_CONFIG_SETTLED);
            if (cell->action == CONFIG_ACTION_KEEP)
                CHECK(event == CONFIG_LOST || (state == TF_CONFIG_TRIAL && event == CONFIG_REACHED));
            if (cell->action == CONFIG_ACTION_TRY) CHECK(state == TF_CONFIG_STAGED);
            if (cell->next == TF_CONFIG_TRIAL && state != TF_CONFIG_TRIAL)
                CHECK_EQUAL(cell->action, CONFIG_ACTION_TRY);
        }
    }
    CHECK_EQUAL(tf_config_table[TF_CONFIG_TRIAL][CONFIG_LATE].next, TF_CONFIG_SETTLED);
    CHECK_EQUAL(tf_config_table[TF_CONFIG_TRIAL][CONFIG_SPENT].next, TF_CONFIG_SETTLED);
}

static void a_node_as_provisioned_uses_a(void) {
    config_world_open(&world);
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    CHECK_EQUAL(world.store.record.state, TF_CONFIG_SETTLED);
    CHECK(!tf_config_begin(&world.store) && !tf_config_reached(&world.store) &&
          !tf_config_late(&world.store));
    config_world_close(&world);
}

static void what_reached_the_broker_is_kept(void) {
    config_world_open(&world);
    config_world_offer(&world, 1, 2000);
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    CHECK(tf_config_begin(&world.store));
    CHECK_EQUAL(config_world_port(&world), 2000);
    CHECK(!tf_config_reached(&world.store));
    config_world_boot(&world);
    CHECK_EQUAL(config_world_port(&world), 2000);
    /* And back again: the regions take turns. */
    config_world_offer(&world, 2, 3000);
    CHECK(tf_config_begin(&world.store) && !tf_config_reached(&world.store));
    config_world_boot(&world);
    CHECK_EQUAL(config_world_port(&world), 3000);
    CHECK_EQUAL(world.store.record.refused, 0);
    config_world_close(&world);
}

/* Key, seed, password and name are those of before, whatever the change says. */
static void only_what_the_change_names_differs(void) {
    static const uint8_t certificate[] = {1, 2, 3}, name[] = {4, 5}, point[65] = {4};
    config_world_open(&world);
    tf_config_t before, after;
    config_world_read(&world, &before);
    const tf_config_change_t change = {.sequence = 9,
                                       .has_host = true,
                                       .host = {10, 0, 0, 9},
                                       .has_keepalive_s = true,
                                       .keepalive_s = 77,
                                       .has_period_s = true,
                                       .period_s = 66,
                                       .has_tls = true,
                                       .server = tf_text("other"),
                                       .ca_name = {name, sizeof name},
                                       .ca_key = {point, sizeof point},
                                       .certificate = {certificate, sizeof certificate},
                                       .has_day = true,
                                       .day = 12345,
                                       .has_sntp = true,
                                       .sntp = {{1, 2, 3, 4}, 1230}};
    tf_config_offer(&world.store, &change);
    CHECK(tf_config_begin(&world.store));
    config_world_read(&world, &after);
    CHECK_EQUAL(after.sequence, 9);
    CHECK_EQUAL(after.host[3], 9);
    CHECK(after.port == before.port && after.keepalive_s == 77 && after.period_s == 66);
    CHECK(after.tls.server.length == 5 && after.tls.ca_name.length == 2 && after.tls.certificate.length == 3);
    CHECK(after.tls.day == 12345 && after.sntp.host[3] == 4 && after.sntp.port == 1230);
    CHECK(memcmp(after.tls.key.data, before.tls.key.data, 32) == 0 &&
          memcmp(after.seed, before.seed, 32) == 0);
    CHECK(after.password.length == before.password.length &&
          memcmp(after.password.data, before.password.data, before.password.length) == 0);
    CHECK(after.device.length == before.device.length && after.window_ms == before.window_ms);
    config_world_close(&world);
}

static void after_all_attempts_the_one_before_comes_back(void) {
    config_world_open(&world);
    config_world_offer(&world, 4, 2000);
    CHECK(tf_config_begin(&world.store));
    for (uint32_t i = 1; i < TF_CONFIG_TRIES; i++) {
        CHECK(!tf_config_missed(&world.store, TF_RESULT_CONNECTION_LOST, "no"));
        CHECK_EQUAL(config_world_port(&world), 2000);
    }
    CHECK(tf_config_missed(&world.store, TF_RESULT_CONNECTION_LOST, "no"));
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    CHECK_EQUAL(world.store.record.refused, 4);
    CHECK(world.store.record.result == TF_RESULT_CONNECTION_LOST && strcmp(world.store.detail, "no") == 0);
    /* The want that is retained comes again and again: it is not tried again, a newer one is. */
    CHECK(!tf_config_is_newer(&world.store, 4) && tf_config_is_newer(&world.store, 5));
    config_world_offer(&world, 4, 2000);
    CHECK_EQUAL(world.store.record.state, TF_CONFIG_SETTLED);
    config_world_boot(&world);
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    CHECK_EQUAL(world.store.record.refused, 4);
    config_world_offer(&world, 5, 2500);
    CHECK_EQUAL(world.store.record.state, TF_CONFIG_STAGED);
    config_world_close(&world);
}

static void resets_use_attempts_up(void) {
    config_world_open(&world);
    config_world_offer(&world, 1, 2000);
    CHECK(tf_config_begin(&world.store));
    for (uint32_t i = 1; i < TF_CONFIG_TRIES; i++) {
        config_world_boot(&world);
        CHECK_EQUAL(config_world_port(&world), 2000);
    }
    config_world_boot(&world);
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    CHECK_EQUAL(world.store.record.refused, 1);
    config_world_close(&world);
}

static void time_ends_a_trial(void) {
    config_world_open(&world);
    config_world_offer(&world, 1, 2000);
    CHECK(tf_config_begin(&world.store));
    /* What comes meanwhile would go to the region in use. */
    config_world_offer(&world, 2, 2500);
    CHECK_EQUAL(config_world_port(&world), 2000);
    CHECK(tf_config_late(&world.store));
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    config_world_close(&world);
}

static void a_newer_change_replaces_a_staged_one(void) {
    config_world_open(&world);
    config_world_offer(&world, 1, 2000);
    uint32_t operations = world.flash.operations;
    config_world_offer(&world, 1, 2000);
    CHECK_EQUAL(world.flash.operations, operations);
    config_world_offer(&world, 2, 2500);
    CHECK(tf_config_begin(&world.store));
    CHECK_EQUAL(config_world_port(&world), 2500);
    config_world_close(&world);
}

static void sequences_wrap(void) {
    config_world_open(&world);
    config_world_offer(&world, 0x70000000u, 2000);
    CHECK(tf_config_begin(&world.store) && !tf_config_reached(&world.store));
    CHECK(tf_config_is_newer(&world.store, 0xE0000000u) && !tf_config_is_newer(&world.store, 1));
    config_world_offer(&world, 0xE0000000u, 2500);
    CHECK(tf_config_begin(&world.store) && !tf_config_reached(&world.store));
    CHECK(tf_config_is_newer(&world.store, 5));
    config_world_close(&world);
}

static void what_cannot_be_done_is_refused(void) {
    config_world_open(&world);
    world.plain = true;
    config_world_provision(&world);
    const tf_config_change_t tls = {.sequence = 1, .has_tls = true, .server = tf_text("broker")};
    tf_config_offer(&world.store, &tls);
    CHECK_EQUAL(world.store.record.state, TF_CONFIG_SETTLED);
    CHECK(world.store.record.refused == 1 && world.store.record.result == TF_RESULT_UNSUPPORTED_TYPE);
    world.flash.operations = 0;
    world.flash.fail_at = 1; /* the erase */
    config_world_offer(&world, 2, 2000);
    CHECK(world.store.record.refused == 2 && world.store.record.result == TF_RESULT_NO_FLASH);
    world.flash.lose_from = CONFIG_WORLD_B; /* says that it wrote */
    config_world_offer(&world, 3, 2000);
    CHECK(world.store.record.refused == 3 && world.store.record.state == TF_CONFIG_SETTLED);
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    config_world_close(&world);
}

/* No step is taken that is not on record: without it a reset would find the old story. */
static void a_record_that_cannot_be_written_ends_the_trial(void) {
    config_world_open(&world);
    config_world_offer(&world, 1, 2000);
    world.flash.fail_at = world.flash.operations + 1;
    CHECK(!tf_config_begin(&world.store));
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    config_world_boot(&world);
    CHECK(tf_config_begin(&world.store));
    world.flash.fail_at = world.flash.operations + 1;
    CHECK(tf_config_reached(&world.store));
    CHECK_EQUAL(config_world_port(&world), CONFIG_WORLD_PORT);
    /* Not counted is not tried. */
    config_world_boot(&world);
    world.flash.fail_at = world.flash.operations + 1;
    CHECK(tf_config_missed(&world.store, TF_RESULT_CONNECTION_LOST, NULL));
    config_world_close(&world);
}

static void a_damaged_region_never_leaves_none(void) {
    uint8_t noise[64] = {0};
    config_world_open(&world);
    config_world_offer(&world, 1, 2000);
    flash_sim_program(&world.flash, CONFIG_WORLD_B, noise, sizeof noise);
    config_world_boot(&world);
    CHECK_EQUAL(world.store.record.state, TF_CONFIG_SETTLED);
    config_world_offer(&world, 1, 2000);
    CHECK(tf_config_begin(&world.store));
    flash_sim_program(&world.flash, CONFIG_WORLD_A, noise, sizeof noise);
    config_world_boot(&world);
    CHECK_EQUAL(config_world_port(&world), 2000);
    CHECK_EQUAL(world.store.record.active, 1);
    flash_sim_program(&world.flash, CONFIG_WORLD_B, noise, sizeof noise);
    CHECK(!tf_config_open(&world.store, &world.layout));
    config_world_close(&world);
}

int main(void) {
    RUN(every_cell_was_written);
    RUN(a_trial_protects_both_regions);
    RUN(a_node_as_provisioned_uses_a);
    RUN(what_reached_the_broker_is_kept);
    RUN(only_what_the_change_names_differs);
    RUN(after_all_attempts_the_one_before_comes_back);
    RUN(resets_use_attempts_up);
    RUN(time_ends_a_trial);
    RUN(a_newer_change_replaces_a_staged_one);
    RUN(sequences_wrap);
    RUN(what_cannot_be_done_is_refused);
    RUN(a_record_that_cannot_be_written_ends_the_trial);
    RUN(a_damaged_region_never_leaves_none);
    printf("%d pairs\n", TF_CONFIG_STATES * CONFIG_EVENTS);
    return 0;
}
