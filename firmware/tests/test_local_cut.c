/* Power cuts while an SMP client brings an image, for every flash operation of it and every way of losing
 * power there. After each the node runs what its records say, and the client's next attempt succeeds. */
#include "local_case.h"
#include "power_cuts.h"

typedef struct {
    const made_t *brought;
    uint32_t number; /* of the image: 0 firmware, 1 model */
} scenario_t;

static flash_sim_t before; /* the flash a scenario begins with */

static bool is_there(const scenario_t *scenario) {
    return scenario->number == 0 ? machine_runs(&machine, scenario->brought, &model)
                                 : machine_runs(&machine, &better, scenario->brought);
}

static void start_again(void) {
    machine.world.log_count = 0;
    machine_live(&machine, TF_RESET_POWER);
}

static void begin_again(const void *scenario) {
    (void)scenario;
    flash_sim_copy(&machine.world.flash, &before);
}

/* A client's whole work, and what the node does of it. */
static void work(const void *context) {
    const scenario_t *scenario = context;
    start_again();
    if (is_there(scenario)) return;
    upload(scenario->brought, scenario->number);
    CHECK(reply.rc == -1);
    test(scenario->brought);
    CHECK(reply.rc == -1);
    go_on();
}

/* Whatever the records say was confirmed runs, and nothing runs that was not tried. */
static void expect_truth(const scenario_t *scenario) {
    const tf_update_record_t *record = tf_update_record(&machine.world.update);
    const bool there = is_there(scenario);
    CHECK(there || machine_runs(&machine, &better, &model));
    if (record->generation == 0 && record->state == TF_UPDATE_STATE_CONFIRMED &&
        memcmp(record->image, scenario->brought->digest, 32) == 0) {
        CHECK(there);
    }
    uint8_t slot = machine.boot.record.active;
    CHECK(flash_sim_is_sound(&machine.world.flash, machine.layout.slot_offset[slot], FIRMWARE_BYTES));
}

/* Only what was whole before the cut may be tried without another upload. */
static void try_what_is_there(const scenario_t *scenario) {
    test(scenario->brought);
    if (reply.rc >= 0) return;
    const uint32_t at = scenario->number == 0 ? MACHINE_FIRMWARE_A : WORLD_SLOT_B;
    CHECK(flash_sim_is_sound(&machine.world.flash, at, scenario->brought->size));
    go_on();
    expect_truth(scenario);
}

static void expect_end(const void *context, uint32_t first, uint32_t again, flash_cut_t cut) {
    (void)first, (void)again, (void)cut;
    const scenario_t *scenario = context;
    start_again();
    expect_truth(scenario);
    try_what_is_there(scenario);
    work(scenario);
    CHECK(is_there(scenario));
}

static const cut_play_t cuts = {&machine.world.flash, begin_again, work, expect_end, NULL};

/* The firmware that runs came the same way: its token in the boot record, and SUCCESS, are not the next
 * one's. */
static uint32_t play(const scenario_t *scenario, tf_image_start_t start) {
    uint32_t points = 0;
    begin(start);
    upload(&better, 0);
    test(&better);
    go_on();
    CHECK(machine_runs(&machine, &better, &model));
    flash_sim_open(&before, machine.world.flash.port.size_bytes, machine.world.flash.port.write_bytes);
    flash_sim_copy(&before, &machine.world.flash);
    for (uint32_t cut = 0; cut < CUT_KINDS; cut++)
        points += cut_everywhere(&cuts, scenario, (flash_cut_t)cut);
    CHECK(points >= 12u * CUT_KINDS);
    flash_sim_close(&before);
    end();
    return points;
}

int main(void) {
    static const scenario_t firmware = {&best, 0}, a_model = {&second, 1};
    make_models();
    uint32_t points = 0;
    for (int start = TF_IMAGE_START_RAM_LOAD; start <= TF_IMAGE_START_XIP; start++) {
        const uint32_t uploaded = play(&firmware, (tf_image_start_t)start);
        const uint32_t models = play(&a_model, (tf_image_start_t)start);
        printf("%s: %u cuts in an uploaded firmware, %u in a model, 0 bricks\n",
               start == TF_IMAGE_START_XIP ? "xip" : "ram_load", uploaded, models);
        points += uploaded + models;
    }
    printf("%u power cuts, 0 bricks\n", points);
    return 0;
}
