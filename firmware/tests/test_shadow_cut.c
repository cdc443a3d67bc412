/* Power cuts while a challenger comes, runs and goes: each scenario once for every flash operation and every
 * way of losing power there, every pair of cuts of the short ones, random cuts in a row of all. After each
 * the node starts, runs a confirmed model that verifies, and ends where it had to. */
#include "check.h"
#include "machine.h"
#include "power_cuts.h"

static machine_t machine;
static flash_sim_t before; /* the flash a scenario begins with */
static made_t factory, better, model, second, third;

typedef struct {
    const char *name;
    const made_t *firmware, *model, *challenger; /* wanted; NULL: not named */
    bool shadowed;                               /* it begins with `second` running as challenger */
    tf_result_t answer;                          /* of the challenger's golden vectors */
    tf_update_state_t state;                     /* in the end, and what runs then */
    const made_t *runs_firmware, *runs, *beside;
    bool fetches; /* a scenario that need not fetch anything must not, whatever power does */
    bool pairs;
} scenario_t;

#define SHADOW TF_UPDATE_STATE_SHADOW
#define CONFIRMED TF_UPDATE_STATE_CONFIRMED
#define PASSES TF_RESULT_SUCCESS

static const scenario_t scenarios[] = {
    {"start", NULL, &model, &second, false, PASSES, SHADOW, &factory, &model, &second, true, true},
    {"vectors that fail", NULL, &model, &second, false, TF_RESULT_GOLDEN_FAILED, TF_UPDATE_STATE_REVERTED,
     &factory, &model, NULL, true, false},
    {"a model, then its challenger", NULL, &second, &third, false, PASSES, SHADOW, &factory, &second, &third,
     true, false},
    {"reset", NULL, &model, &second, true, PASSES, SHADOW, &factory, &model, &second, false, true},
    {"stop", NULL, &model, NULL, true, PASSES, CONFIRMED, &factory, &model, NULL, false, true},
    {"promotion", NULL, &second, NULL, true, PASSES, CONFIRMED, &factory, &second, NULL, false, true},
    {"eviction by a model", NULL, &third, NULL, true, PASSES, CONFIRMED, &factory, &third, NULL, true, false},
    {"another challenger", NULL, &model, &third, true, PASSES, SHADOW, &factory, &model, &third, true, false},
    {"a firmware, then the challenger again", &better, &model, &second, true, PASSES, SHADOW, &better, &model,
     &second, true, false},
};

static void make(made_t *made, uint8_t build, uint8_t slot) {
    const firmware_recipe_t recipe = {.payload_bytes = 6000,
                                      .build = build,
                                      .security_counter = 1,
                                      .signer = SIGNER_OURS,
                                      .abi = 1,
                                      .start = machine.layout.start,
                                      .address = machine_address(&machine, slot)};
    maker_firmware(made, &recipe);
}

static void offer(const made_t *firmware, const made_t *wanted, const made_t *challenger,
                  uint32_t generation) {
    machine_offer(&machine, firmware, wanted, generation);
    machine.world.third = challenger;
    if (challenger != NULL) world_challenge(&machine.want, challenger);
}

static void prepare(const scenario_t *scenario) {
    machine_open(&machine, TF_IMAGE_START_RAM_LOAD);
    make(&factory, 1, 0);
    make(&better, 2, 1);
    machine_install(&machine, &factory, &model);
    offer(NULL, &model, scenario->shadowed ? &second : NULL, 1);
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
    CHECK(world_shadows(&machine.world, scenario->shadowed ? &second : NULL));
    flash_sim_open(&before, machine.world.flash.port.size_bytes, 4);
    flash_sim_copy(&before, &machine.world.flash);
}

static void begin_again(const void *context) {
    const scenario_t *scenario = context;
    flash_sim_copy(&machine.world.flash, &before);
    machine.world.shadow_result = scenario->answer;
    machine.world.chunks = 0;
    offer(scenario->firmware, scenario->model, scenario->challenger, 2);
}

static void live(const void *scenario) {
    (void)scenario;
    machine.world.log_count = 0;
    machine_live(&machine, TF_RESET_POWER);
}

static bool is_sound(const made_t *made) {
    uint32_t at = machine.world.config.layout.slot_offset[0];
    if (memcmp(machine.world.flash.bytes + at, made->bytes, made->size) != 0) {
        at = machine.world.config.layout.slot_offset[1];
    }
    return memcmp(machine.world.flash.bytes + at, made->bytes, made->size) == 0 &&
           flash_sim_is_sound(&machine.world.flash, at, made->size);
}

static bool has_ended(const scenario_t *scenario) {
    const tf_update_record_t *record = tf_update_record(&machine.world.update);
    bool there = record->state == scenario->state && record->generation == 2 &&
                 machine_runs(&machine, scenario->runs_firmware, scenario->runs) &&
                 world_shadows(&machine.world, scenario->beside);
    return there && is_sound(scenario->runs) && (scenario->beside == NULL || is_sound(scenario->beside)) &&
           (scenario->fetches || machine.world.chunks == 0);
}

static void expect_end(const void *context, uint32_t first, uint32_t again, flash_cut_t cut) {
    const scenario_t *scenario = context;
    live(scenario);
    if (!has_ended(scenario)) {
        const tf_update_record_t *record = tf_update_record(&machine.world.update);
        fprintf(stderr, "%s, cuts %u and %u, way %d: %s, result %u, %u chunks\n", scenario->name, first,
                again, cut, tf_update_state_name((tf_update_state_t)record->state), record->result,
                machine.world.chunks);
    }
    CHECK(has_ended(scenario));
}

/* Cut off too often, a trial goes back, and that is right: the manager asks again. */
static void expect_end_in_the_end(const void *context) {
    const scenario_t *scenario = context;
    live(scenario);
    if (has_ended(scenario)) return;
    CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_REVERTED);
    CHECK_EQUAL(tf_update_record(&machine.world.update)->result, TF_RESULT_BOOT_FAILED);
    offer(scenario->firmware, scenario->model, scenario->challenger, 3);
    live(scenario);
    CHECK(machine_runs(&machine, scenario->runs_firmware, scenario->runs));
}

static const cut_play_t cuts = {&machine.world.flash, begin_again, live, expect_end, expect_end_in_the_end};
static const cut_rows_t in_a_row = {.rounds = 40, .cuts = 5, .within = 24, .soon = 24, .seed = 7};

int main(void) {
    maker_image(&model, 3000, 20, 0, SIGNER_OURS);
    maker_image(&second, 5000, 21, 0, SIGNER_OURS);
    maker_image(&third, 6000, 22, 0, SIGNER_OURS);
    uint32_t points = 0;
    for (uint32_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        const scenario_t *scenario = &scenarios[i];
        uint32_t single = 0, pairs = 0;
        prepare(scenario);
        for (uint32_t cut = 0; cut < CUT_KINDS; cut++)
            single += cut_everywhere(&cuts, scenario, (flash_cut_t)cut);
        if (scenario->pairs) {
            pairs = cut_in_pairs(&cuts, scenario, CUT_TORN, CUT_TORN) +
                    cut_in_pairs(&cuts, scenario, CUT_AFTER, CUT_AFTER);
        }
        uint32_t rows = cut_in_rows(&cuts, scenario, &in_a_row);
        printf("challenger, %s: %u cut points, %u pairs, %u cuts in rows, 0 bricks\n", scenario->name, single,
               pairs, rows);
        CHECK(single >= 3u * CUT_KINDS);
        points += single + pairs * 2u + rows;
        flash_sim_close(&before);
        machine_close(&machine);
    }
    printf("%u power cuts, 0 bricks\n", points);
    return 0;
}
