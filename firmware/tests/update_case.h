/* What the tests of the engine share: three models, and a node that runs the first. Each test program has its
 * own. */
#ifndef TINYFLEET_TESTS_UPDATE_CASE_H
#define TINYFLEET_TESTS_UPDATE_CASE_H

#include "check.h"
#include "world.h"

static world_t world;
static made_t first, second, third;

#define STATE() (tf_update_record(&world.update)->state)
#define RESULT() (tf_update_record(&world.update)->result)

/* A node that runs `first`, online. */
static void begin(void) {
    world_open(&world);
    world_install(&world, &first);
    world_boot(&world);
    world_link(&world, true);
    world_run(&world);
    CHECK(world_runs(&world, &first));
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_IDLE);
}

static void end(void) {
    world_close(&world);
}

static void expect(tf_update_state_t state, tf_result_t result, const made_t *runs) {
    CHECK_EQUAL(STATE(), state);
    CHECK_EQUAL(RESULT(), result);
    CHECK(world_runs(&world, runs));
    CHECK_EQUAL(world.subscribed, TF_UPDATE_NO_GROUP);
    CHECK(world_told(&world, state, result) > 0);
}

static void make_models(void) {
    maker_image(&first, 9000, 1, 0, SIGNER_OURS);
    maker_image(&second, 37000, 2, 0, SIGNER_OURS);
    /* 100 KiB and more: the manifest takes two chunks. */
    maker_image(&third, 140000, 3, 0, SIGNER_OURS);
}

#endif
