/* An update of real models, compiled from .tflite and signed by imgtool, whose trial is the node's own
 * runtime.
 *
 *     model_update <trust record> <first image> <second image> <image with a wrong golden vector> */
#include "check.h"
#include "tinyfleet/runtime.h"
#include "world.h"

enum { ARENA_BYTES = 65536 };

static world_t world;
static made_t first, second, wrong;
static uint32_t arena_bytes = ARENA_BYTES;
static uint32_t vectors_run;
_Alignas(16) static uint8_t arena[ARENA_BYTES];

static tf_result_t try_model(world_t *at, const tf_update_action_t *action) {
    (void)at;
    tf_model_t model;
    tf_model_status_t status = tf_model_load(&model, action->image.payload, action->image.payload_bytes);
    CHECK_EQUAL(status, TF_MODEL_OK);
    CHECK(model.vector_count > 0);
    if (model.arena_bytes > arena_bytes) return TF_RESULT_ARENA_TOO_SMALL;
    for (uint32_t i = 0; i < model.vector_count; i++) {
        vectors_run++;
        if (!tf_model_vector_passes(&model, arena, arena_bytes, i)) return TF_RESULT_GOLDEN_FAILED;
    }
    return TF_RESULT_SUCCESS;
}

static void expect(tf_update_state_t state, tf_result_t result, const made_t *runs) {
    CHECK_EQUAL(tf_update_record(&world.update)->state, state);
    CHECK_EQUAL(tf_update_record(&world.update)->result, result);
    CHECK(world_runs(&world, runs));
}

int main(int count, char **arguments) {
    CHECK_EQUAL(count, 5);
    world_open(&world);
    world.trial = try_model;
    world_read_trust(&world, arguments[1]);
    world_read_image(arguments[2], &first);
    world_read_image(arguments[3], &second);
    world_read_image(arguments[4], &wrong);
    world_boot(&world);
    world_link(&world, true);

    world_offer(&world, &first, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);

    arena_bytes = 16;
    world_offer(&world, &second, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_ARENA_TOO_SMALL, &first);
    arena_bytes = ARENA_BYTES;

    world_offer(&world, &second, 3);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    uint32_t before = vectors_run;

    world_offer(&world, &wrong, 4);
    world_run(&world);
    expect(TF_UPDATE_STATE_REVERTED, TF_RESULT_GOLDEN_FAILED, &second);
    CHECK(vectors_run > before);
    printf("golden vectors run: %u\n", vectors_run);
    world_close(&world);
    return 0;
}
