/* Anything in any order: wants, chunks, links, answers, time, resets and power cuts. The world holds what
 * must hold at each step; and whatever was done before, one good want in the end is carried out. */
#include "check.h"
#include "packer.h"
#include "random.h"
#include "world.h"

enum { ROUNDS = 150, EVENTS = 60, MODELS = 4, WAYS = 7 };

static world_t world;
/* The last model is signed by a foreign key; behind it, other ways to the second and third. */
static made_t models[WAYS];
static uint32_t seed, generation;

static uint32_t below(uint32_t bound) {
    return random_next(&seed) % bound;
}

static void send_strange_chunk(void) {
    static uint8_t bytes[1500];
    const made_t *about = &models[below(WAYS)];
    tf_blob_topic_t topic = {.group = (uint16_t)below(4), .index = (uint16_t)below(18)};
    memcpy(topic.manifest, about->manifest_digest, sizeof topic.manifest);
    uint32_t length = below(4) == 0 ? below(sizeof bytes) : TF_CHUNK_BYTES;
    bytes[below(sizeof bytes)] = (uint8_t)random_next(&seed);
    tf_update_chunk(&world.update, &topic, bytes, length, &world.now);
}

static void send_want(void) {
    tf_want_t want = world_want(&models[below(WAYS)], generation + below(3));
    if (below(3) == 0) want.has_model = false;
    if (below(4) == 0) want.model.size_bytes = random_next(&seed) >> below(32);
    if (below(4) == 0) want.model.image[0] ^= 1u;
    want.has_firmware = below(8) == 0;
    if (below(3) == 0) world_challenge(&want, &models[below(MODELS)]);
    want.has_deadline = below(3) == 0;
    want.deadline = 1000000u + below(2000);
    want.has_min_battery_pct = below(3) == 0;
    want.min_battery_pct = 50;
    if (want.generation > generation) generation = want.generation;
    tf_update_want(&world.update, below(8) == 0 ? NULL : &want, &world.now);
}

static void do_something(void) {
    switch (below(12)) {
        case 0:
            world_link(&world, below(3) != 0);
            break;
        case 1:
            world_boot(&world);
            break;
        case 2:
            send_want();
            break;
        case 3:
            world.blob = &models[below(WAYS)];
            world.other = &models[below(WAYS)];
            world_offer(&world, world.blob, ++generation);
            break;
        case 4:
            send_strange_chunk();
            break;
        case 5:
            tf_update_trial(&world.update, below(2) == 0 ? TF_RESULT_SUCCESS : TF_RESULT_LATENCY_LIMIT, NULL,
                            &world.now);
            break;
        case 6:
            world.now.uptime_ms += below(100000);
            world.now.unix_s += 50;
            world.now.battery_pct = (uint8_t)below(101);
            world.now.has_unix_s = world.now.has_battery_pct = below(2) == 0;
            tf_update_tick(&world.update, &world.now);
            break;
        case 7:
            world.bad_group = (uint16_t)below(4);
            world.bad_times = below(8);
            world.bad_length = below(2) == 0;
            world.silent_group = below(3) == 0 ? (uint16_t)below(4) : TF_UPDATE_NO_GROUP;
            world.trial_hangs = below(3) == 0;
            world.trial_result = below(3) == 0 ? TF_RESULT_GOLDEN_FAILED : TF_RESULT_SUCCESS;
            world.shadow_hangs = below(3) == 0;
            world.shadow_result = below(3) == 0 ? TF_RESULT_ARENA_TOO_SMALL : TF_RESULT_SUCCESS;
            world.config.crashed = below(3) == 0;
            break;
        default:
            world_run_until(&world, (tf_update_state_t)0xFF, 1 + below(20));
            break;
    }
    world.log_count = 0;
}

/* A third of the round. */
static void do_some(const void *context) {
    (void)context;
    for (uint32_t i = 0; i < EVENTS / 3; i++) do_something();
}

static bool live_until_cut(void) {
    const uint32_t at = 1 + below(60);
    const flash_cut_t cut = (flash_cut_t)below(CUT_KINDS);
    return flash_sim_cut(&world.flash, at, cut, random_next(&seed), do_some, NULL);
}

static void settle(void) {
    const made_t *last = &models[below(MODELS - 1)];
    world.bad_group = world.silent_group = TF_UPDATE_NO_GROUP;
    world.trial_hangs = false;
    world.trial_result = TF_RESULT_SUCCESS;
    world.log_count = 0;
    world_link(&world, true);
    world_offer(&world, last, ++generation);
    world_run(&world);
    const tf_update_record_t *record = tf_update_record(&world.update);
    if (record->state != TF_UPDATE_STATE_CONFIRMED || !world_runs(&world, last)) {
        fprintf(stderr, "%s, result %u\n", tf_update_state_name((tf_update_state_t)record->state),
                record->result);
    }
    CHECK_EQUAL(record->state, TF_UPDATE_STATE_CONFIRMED);
    CHECK_EQUAL(record->generation, generation);
    CHECK(world_runs(&world, last));
}

int main(void) {
    for (uint32_t i = 0; i < MODELS; i++) {
        maker_image(&models[i], 3000 + 11000 * i, (uint8_t)(i + 1), 0,
                    i == MODELS - 1 ? SIGNER_FOREIGN : SIGNER_OURS);
    }
    packer_compress(&models[MODELS], &models[1]);
    packer_delta(&models[MODELS + 1], &models[1], &models[0]);
    packer_delta(&models[MODELS + 2], &models[2], &models[1]);
    uint32_t cuts = 0;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        seed = round * 2654435761u;
        generation = 1;
        world_open(&world);
        world_install(&world, &models[0]);
        world_boot(&world);
        for (uint32_t i = 0; i < 3; i++) {
            if (!live_until_cut()) continue;
            cuts++;
            world_boot(&world);
            CHECK(tf_update_active(&world.update) != NULL);
        }
        settle();
        world_close(&world);
    }
    printf("%u rounds of %u events, %u power cuts, all settled\n", ROUNDS, EVENTS, cuts);
    return 0;
}
