/* Power cuts while a challenger comes, runs and goes: each scenario once for every flash operation and every
 * way of losing power there, every pair of cuts of the short ones, random cuts in a row of all. After each
 * the node starts, runs a confirmed model that verifies, and ends where it had to. */
#include "check.h"
#include "machine.h"
#include "random.h"

enum { ROUNDS = 40, CUTS_IN_A_ROW = 5 };

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

static void begin_again(const scenario_t *scenario) {
    flash_sim_copy(&machine.world.flash, &before);
    machine.world.shadow_result = scenario->answer;
    machine.world.chunks = 0;
    offer(scenario->firmware, scenario->model, scenario->challenger, 2);
}

static void live(void) {
    machine.world.log_count = 0;
    machine_live(&machine, TF_RESET_POWER);
}

static bool live_until_cut(uint32_t cut_at, flash_cut_t cut, uint32_t random) {
    flash_sim_t *flash = &machine.world.flash;
    flash->operations = 0;
    flash->cut_at = cut_at;
    flash->cut = cut;
    flash->random = random;
    if (setjmp(flash->out) != 0) {
        flash->cut_at = 0;
        return true;
    }
    live();
    flash->cut_at = 0;
    return false;
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

static void expect_end(const scenario_t *scenario, uint32_t first, uint32_t again, flash_cut_t cut) {
    if (!has_ended(scenario)) {
        const tf_update_record_t *record = tf_update_record(&machine.world.update);
        fprintf(stderr, "%s, cuts %u and %u, way %d: %s, result %u, %u chunks\n", scenario->name, first,
                again, cut, tf_update_state_name((tf_update_state_t)record->state), record->result,
                machine.world.chunks);
    }
    CHECK(has_ended(scenario));
}

static uint32_t cut_everywhere(const scenario_t *scenario, flash_cut_t cut) {
    uint32_t points = 0;
    for (uint32_t operation = 1;; operation++) {
        begin_again(scenario);
        if (!live_until_cut(operation, cut, operation * 2654435761u + 1u)) return points;
        points++;
        live();
        expect_end(scenario, operation, 0, cut);
    }
}

/* The second cut comes while the node recovers from the first. */
static uint32_t cut_in_pairs(const scenario_t *scenario, flash_cut_t cut) {
    uint32_t points = 0;
    for (uint32_t first = 1;; first++) {
        for (uint32_t again = 1;; again++) {
            begin_again(scenario);
            if (!live_until_cut(first, cut, first * 77u + again)) return points;
            if (!live_until_cut(again, cut, again * 91u + first)) break;
            points++;
            live();
            expect_end(scenario, first, again, cut);
        }
    }
}

/* Cut off too often, a trial goes back, and that is right: the manager asks again. */
static uint32_t cut_again_and_again(const scenario_t *scenario) {
    uint32_t random = 7, points = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_again(scenario);
        for (uint32_t i = 0; i < CUTS_IN_A_ROW; i++) {
            flash_cut_t cut = (flash_cut_t)(random_next(&random) % CUT_KINDS);
            if (!live_until_cut(1 + random_next(&random) % 24u, cut, random_next(&random))) break;
            points++;
        }
        live();
        if (has_ended(scenario)) continue;
        CHECK_EQUAL(tf_update_record(&machine.world.update)->state, TF_UPDATE_STATE_REVERTED);
        CHECK_EQUAL(tf_update_record(&machine.world.update)->result, TF_RESULT_BOOT_FAILED);
        offer(scenario->firmware, scenario->model, scenario->challenger, 3);
        live();
        CHECK(machine_runs(&machine, scenario->runs_firmware, scenario->runs));
    }
    return points;
}

int main(void) {
    maker_image(&model, 3000, 20, 0, SIGNER_OURS);
    maker_image(&second, 5000, 21, 0, SIGNER_OURS);
    maker_image(&third, 6000, 22, 0, SIGNER_OURS);
    uint32_t points = 0;
    for (uint32_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        const scenario_t *scenario = &scenarios[i];
        uint32_t single = 0, pairs = 0;
        prepare(scenario);
        for (uint32_t cut = 0; cut < CUT_KINDS; cut++) single += cut_everywhere(scenario, (flash_cut_t)cut);
        if (scenario->pairs) pairs = cut_in_pairs(scenario, CUT_TORN) + cut_in_pairs(scenario, CUT_AFTER);
        uint32_t rows = cut_again_and_again(scenario);
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
