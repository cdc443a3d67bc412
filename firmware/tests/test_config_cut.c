/* Power cuts while a configuration takes another's place: each scenario once for every flash operation and
 * every way of losing power there, every pair of cuts, random cuts in a row. After each the node has a
 * configuration that reads (one that has none ends the program), and it ends where it had to. */
#include "check.h"
#include "config_world.h"
#include "power_cuts.h"

enum { GOOD = 2000, BAD = 2001 };

typedef struct {
    const char *name;
    uint16_t first, second; /* offered one after the other; 0: none */
    uint32_t ends;          /* port in use in the end */
} scenario_t;

static const scenario_t scenarios[] = {
    {"config write", GOOD, 0, GOOD},
    {"config that reaches nobody", BAD, 0, CONFIG_WORLD_PORT},
    {"config after a refused one", BAD, GOOD, GOOD},
    {"config write, twice", GOOD, GOOD + 100, GOOD + 100},
};

static config_world_t world;
static flash_sim_t before;

/* One run of the node, with brokers that only a BAD port does not reach. Offers come as often as it is
 * connected: the want is retained. */
static void live(const void *context) {
    const scenario_t *scenario = context;
    config_world_boot(&world);
    for (uint32_t i = 0; i < 40; i++) {
        bool reached = config_world_port(&world) != BAD;
        if (world.store.record.state == TF_CONFIG_TRIAL) {
            if (reached) CHECK(!tf_config_reached(&world.store));
            if (!reached) (void)tf_config_missed(&world.store, TF_RESULT_CONNECTION_LOST, "nobody there");
            continue;
        }
        CHECK(reached);
        tf_config_t config;
        config_world_read(&world, &config);
        bool first_done = config.sequence >= 1 || world.store.record.refused >= 1;
        config_world_offer(&world, 1, scenario->first);
        if (first_done && scenario->second != 0) config_world_offer(&world, 2, scenario->second);
        if (!tf_config_begin(&world.store)) return;
    }
}

static void begin(const void *scenario) {
    (void)scenario;
    flash_sim_copy(&world.flash, &before);
}

static void settle(const scenario_t *scenario) {
    live(scenario);
    if (config_world_port(&world) == scenario->ends) return;
    live(scenario); /* the second of two offers, after a cut between them */
}

static void expect_end(const void *context, uint32_t first, uint32_t second, flash_cut_t cut) {
    const scenario_t *scenario = context;
    settle(scenario);
    bool good = config_world_port(&world) == scenario->ends && world.store.record.state == TF_CONFIG_SETTLED;
    if (!good)
        fprintf(stderr, "%s, cuts %u and %u, way %d: port %u, state %u, refused %u\n", scenario->name, first,
                second, cut, config_world_port(&world), world.store.record.state, world.store.record.refused);
    CHECK(good);
    /* What is counted on was not under a cut. */
    CHECK(flash_sim_is_sound(&world.flash, tf_config_in_use(&world.store), 1024));
    config_world_boot(&world);
    CHECK_EQUAL(config_world_port(&world), scenario->ends);
}

/* Cut off too often, a good one is refused, and that is right: the manager asks again, with a newer number.
 */
static void expect_end_in_the_end(const void *context) {
    const scenario_t *scenario = context;
    settle(scenario);
    if (config_world_port(&world) == scenario->ends) return;
    CHECK(world.store.record.refused > 0);
    config_world_offer(&world, 3, GOOD);
    CHECK(tf_config_begin(&world.store) && !tf_config_reached(&world.store));
    CHECK_EQUAL(config_world_port(&world), GOOD);
}

static const cut_play_t cuts = {&world.flash, begin, live, expect_end, expect_end_in_the_end};
static const cut_rows_t in_a_row = {.rounds = 200, .cuts = 8, .within = 9, .soon = 9, .seed = 7};

static uint32_t play(const scenario_t *scenario) {
    uint32_t single = 0, pairs = 0;
    config_world_open(&world);
    flash_sim_open(&before, CONFIG_WORLD_BYTES, 4);
    flash_sim_copy(&before, &world.flash);
    for (uint32_t cut = 0; cut < CUT_KINDS; cut++) {
        single += cut_everywhere(&cuts, scenario, (flash_cut_t)cut);
        for (uint32_t other = 0; other < CUT_KINDS; other++)
            pairs += cut_in_pairs(&cuts, scenario, (flash_cut_t)cut, (flash_cut_t)other);
    }
    uint32_t rows = cut_in_rows(&cuts, scenario, &in_a_row);
    printf("%s: %u cut points, %u pairs, %u cuts in rows, 0 bricks\n", scenario->name, single, pairs, rows);
    CHECK(single >= 5u * CUT_KINDS);
    flash_sim_close(&before);
    config_world_close(&world);
    return single + 2u * pairs + rows;
}

int main(void) {
    uint32_t points = 0;
    for (uint32_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) points += play(&scenarios[i]);
    printf("%u power cuts, 0 bricks\n", points);
    return 0;
}
