/* Power cuts through bootloader, engine and their records: each scenario once for every flash operation and
 * every way of losing power there, every pair of cuts of the short ones, random cuts in a row of all. After
 * each the node starts something that verifies (a machine that does not ends the program) and ends where it
 * had to.
 *
 * Each scenario runs for both kinds of start. */
#include "check.h"
#include "machine.h"
#include "packer.h"
#include "power_cuts.h"

enum { FIRMWARE_BYTES = 6000, LARGE_BYTES = 40000 };
enum { WAKE_BYTES = TF_GROUP_BYTES * 5 / 4 + 6144 }; /* for one group */

static machine_t machine;
static flash_sim_t before; /* the flash a scenario begins with */
static made_t factory, better, failing, hanging, fix, newer_abi, model, second, model_of_new, large;
/* As they are transported: compressed, or from what ran before. */
static made_t better_delta, newer_compressed, model_of_new_delta;

typedef struct {
    const char *name;
    const made_t *firmware, *model; /* wanted */
    const made_t *confirmed;        /* what the node was updated to before, or NULL */
    tf_update_state_t state;        /* in the end */
    const made_t *runs, *runs_model;
    bool pairs; /* short: every pair of cuts; else random threes */
    uint32_t wake_bytes;
} scenario_t;

static const scenario_t scenarios[] = {
    {"firmware update", &better, NULL, NULL, TF_UPDATE_STATE_CONFIRMED, &better, &model, true, 0},
    {"raised counter", &fix, NULL, NULL, TF_UPDATE_STATE_CONFIRMED, &fix, &model, false, 0},
    {"revert by self-test", &failing, NULL, NULL, TF_UPDATE_STATE_REVERTED, &factory, &model, true, 0},
    {"revert by watchdog", &hanging, NULL, NULL, TF_UPDATE_STATE_REVERTED, &factory, &model, true, 0},
    {"firmware, then its model", &newer_abi, &model_of_new, NULL, TF_UPDATE_STATE_CONFIRMED, &newer_abi,
     &model_of_new, false, 0},
    {"firmware by delta", &better_delta, NULL, NULL, TF_UPDATE_STATE_CONFIRMED, &better, &model, true, 0},
    {"compressed firmware, then its model by delta", &newer_compressed, &model_of_new_delta, NULL,
     TF_UPDATE_STATE_CONFIRMED, &newer_abi, &model_of_new, false, 0},
    /* More records than the two sectors of the state's log hold. */
    {"log wrap", NULL, &large, NULL, TF_UPDATE_STATE_CONFIRMED, &factory, &large, false, 0},
    {"resume over wakes", NULL, &large, NULL, TF_UPDATE_STATE_CONFIRMED, &factory, &large, false, WAKE_BYTES},
    {"model after a firmware", NULL, &second, &better, TF_UPDATE_STATE_CONFIRMED, &better, &second, true, 0},
};

static void make(made_t *made, uint8_t build, uint8_t slot, uint32_t counter, behaviour_t behaviour,
                 uint16_t abi) {
    const firmware_recipe_t recipe = {.payload_bytes = FIRMWARE_BYTES,
                                      .build = build,
                                      .security_counter = counter,
                                      .signer = SIGNER_OURS,
                                      .abi = abi,
                                      .start = machine.layout.start,
                                      .address = machine_address(&machine, slot),
                                      .behaviour = behaviour};
    maker_firmware(made, &recipe);
}

static void make_firmwares(void) {
    make(&factory, 1, 0, 1, BEHAVES, 1);
    make(&better, 2, 1, 1, BEHAVES, 1);
    make(&failing, 3, 1, 2, FAILS_SELF_TEST, 1);
    make(&hanging, 4, 1, 2, HANGS, 1);
    make(&fix, 5, 1, 2, BEHAVES, 1);
    make(&newer_abi, 6, 1, 1, BEHAVES, 2);
    packer_delta(&better_delta, &better, &factory);
    packer_compress(&newer_compressed, &newer_abi);
    packer_delta(&model_of_new_delta, &model_of_new, &model);
}

/* A machine's flash as a scenario finds it. */
static void prepare(const scenario_t *scenario, tf_image_start_t start) {
    machine_open(&machine, start);
    make_firmwares();
    machine_install(&machine, &factory, &model);
    if (scenario->confirmed != NULL) machine_offer(&machine, scenario->confirmed, NULL, 1);
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, scenario->confirmed != NULL ? scenario->confirmed : &factory, &model));
    flash_sim_open(&before, machine.world.flash.port.size_bytes, machine.world.flash.port.write_bytes);
    flash_sim_copy(&before, &machine.world.flash);
}

static void begin_again(const void *context) {
    const scenario_t *scenario = context;
    flash_sim_copy(&machine.world.flash, &before);
    machine.wake_bytes = scenario->wake_bytes;
    machine_offer(&machine, scenario->firmware, scenario->model, 2);
}

static void live(const void *scenario) {
    (void)scenario;
    machine.world.log_count = 0;
    machine_live(&machine, TF_RESET_POWER);
}

static bool has_ended(const scenario_t *scenario) {
    const tf_update_record_t *record = tf_update_record(&machine.world.update);
    return record->state == scenario->state && record->generation == 2 &&
           machine_runs(&machine, scenario->runs, scenario->runs_model);
}

static void expect_end(const void *context, uint32_t first, uint32_t again, flash_cut_t cut) {
    const scenario_t *scenario = context;
    live(scenario);
    if (!has_ended(scenario)) {
        const tf_update_record_t *record = tf_update_record(&machine.world.update);
        fprintf(stderr, "%s, cuts %u and %u, way %d: %s, result %u\n", scenario->name, first, again, cut,
                tf_update_state_name((tf_update_state_t)record->state), record->result);
    }
    CHECK(has_ended(scenario));
    /* Nothing that is counted on was under a cut. */
    uint8_t slot = machine.boot.record.active;
    CHECK(flash_sim_is_sound(&machine.world.flash, machine.layout.slot_offset[slot], scenario->runs->size));
    /* A counter is that of what was confirmed, never of what was tried. */
    CHECK_EQUAL(machine.boot.record.security_counter, scenario->runs == &fix ? 2 : 1);
}

/* Cut off too often, a trial goes back, and that is right: the manager asks again. */
static void expect_end_in_the_end(const void *context) {
    const scenario_t *scenario = context;
    live(scenario);
    if (has_ended(scenario)) return;
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_REVERTED);
    machine_offer(&machine, scenario->firmware, scenario->model, 3);
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, scenario->runs, scenario->runs_model));
}

static const cut_play_t cuts = {&machine.world.flash, begin_again, live, expect_end, expect_end_in_the_end};

static uint32_t play(const scenario_t *scenario, tf_image_start_t start) {
    uint32_t single = 0, pairs = 0, triples = 0;
    prepare(scenario, start);
    for (uint32_t cut = 0; cut < CUT_KINDS; cut++)
        single += cut_everywhere(&cuts, scenario, (flash_cut_t)cut);
    if (scenario->pairs) {
        pairs = cut_in_pairs(&cuts, scenario, CUT_TORN, CUT_TORN) +
                cut_in_pairs(&cuts, scenario, CUT_AFTER, CUT_AFTER) +
                cut_in_pairs(&cuts, scenario, CUT_WEAK, CUT_WEAK);
    } else {
        const cut_rows_t threes = {.rounds = 100,
                                   .cuts = 3,
                                   .within = single / CUT_KINDS,
                                   .soon = 12,
                                   .seed = (uint32_t)start + 11u};
        triples = cut_in_rows(&cuts, scenario, &threes);
    }
    const cut_rows_t fives = {
        .rounds = 40, .cuts = 5, .within = 24, .soon = 12, .seed = (uint32_t)start + 5u};
    uint32_t rows = cut_in_rows(&cuts, scenario, &fives);
    printf("%s, %s: %u cut points, %u pairs, %u cuts in threes, %u in rows, 0 bricks\n",
           start == TF_IMAGE_START_XIP ? "xip" : "ram_load", scenario->name, single, pairs, triples, rows);
    CHECK(single >= 12u * CUT_KINDS);
    flash_sim_close(&before);
    machine_close(&machine);
    return single + pairs * 2u + triples + rows;
}

int main(void) {
    maker_image(&model, 3000, 20, 0, SIGNER_OURS);
    maker_image(&second, 5000, 21, 0, SIGNER_OURS);
    maker_image(&large, LARGE_BYTES, 23, 0, SIGNER_OURS);
    maker_model(&model_of_new,
                &(model_recipe_t){.payload_bytes = 5000, .build = 22, .signer = SIGNER_OURS, .abi = 2});
    uint32_t points = 0;
    for (uint32_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        points += play(&scenarios[i], TF_IMAGE_START_RAM_LOAD) + play(&scenarios[i], TF_IMAGE_START_XIP);
    }
    printf("%u power cuts, 0 bricks\n", points);
    return 0;
}
