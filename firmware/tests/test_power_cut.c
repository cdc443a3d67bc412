/* A whole model update, raw, compressed and as a delta, once for every flash operation and every way of
 * losing power there. After each the node starts again, goes on by itself, and ends confirmed on the wanted
 * model; at no time does it run what does not verify, nor nothing.
 *
 *     test_power_cut [trust record, first image, second image]
 *
 * Without arguments the images are made here; with them, they are files that imgtool signed. */
#include "check.h"
#include "packer.h"
#include "random.h"
#include "world.h"

static world_t world;
static flash_sim_t factory;
static made_t first, second, compressed, delta;
static const made_t *offered; /* what is transported for the second */
static const char *const kinds[CUT_KINDS] = {"before", "torn", "silent", "after", "weak"};

/* From a start to a settled update, with the want retained at the broker. */
static void live(void) {
    world_boot(&world);
    CHECK(tf_update_active(&world.update) != NULL);
    world_link(&world, true);
    world_offer(&world, offered, 1);
    world_run(&world);
}

/* Cut off at `cut_at` (0: never); true when the cut came. Only the world, which is static, changes in
 * between. */
static bool live_until_cut(uint32_t cut_at, flash_cut_t cut, uint32_t random) {
    world.flash.operations = 0;
    world.flash.cut_at = cut_at;
    world.flash.cut = cut;
    world.flash.random = random;
    if (setjmp(world.flash.out) != 0) {
        world.flash.cut_at = 0;
        return true;
    }
    live();
    world.flash.cut_at = 0;
    return false;
}

static void reset_world(void) {
    flash_sim_copy(&world.flash, &factory);
    world.trials = world.chunks = world.log_count = 0;
}

static void expect_converged(uint32_t operation, const char *kind) {
    const tf_update_record_t *record = tf_update_record(&world.update);
    bool good = record->state == TF_UPDATE_STATE_CONFIRMED && record->result == TF_RESULT_SUCCESS &&
                record->generation == 1 && world_runs(&world, &second);
    if (!good) {
        fprintf(stderr, "cut %s at operation %u: %s, result %u\n", kind, operation,
                tf_update_state_name((tf_update_state_t)record->state), record->result);
    }
    CHECK(good);
    CHECK(memcmp(world.flash.bytes + WORLD_SLOT_B, second.bytes, second.size) == 0);
    CHECK(flash_sim_is_sound(&world.flash, WORLD_SLOT_B, second.size));
    /* Once more: it stays so. */
    world_boot(&world);
    world_run(&world);
    CHECK(world_runs(&world, &second));
}

static uint32_t cut_everywhere(flash_cut_t cut) {
    uint32_t points = 0;
    for (uint32_t operation = 1;; operation++) {
        reset_world();
        if (!live_until_cut(operation, cut, operation * 2654435761u + 1u)) break;
        points++;
        live();
        expect_converged(operation, kinds[cut]);
    }
    return points;
}

/* Every fetch after the cut takes what was there: the broker does not send more than the missing sectors'
 * groups. */
static void nothing_is_fetched_twice_without_need(void) {
    reset_world();
    CHECK(!live_until_cut(0, CUT_BEFORE, 1));
    uint32_t whole = world.chunks, operations = world.flash.operations;
    reset_world();
    CHECK(live_until_cut(operations / 2u, CUT_AFTER, 1));
    live();
    expect_converged(operations / 2u, "once");
    CHECK(world.chunks < whole + TF_GROUP_CHUNKS + 4u);
}

/* Power that goes again while the node recovers, many times in a row. */
static uint32_t cut_again_and_again(uint32_t rounds) {
    uint32_t random = 99, cuts = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        reset_world();
        for (uint32_t i = 0; i < 6; i++) {
            uint32_t operation = 1u + random_next(&random) % 20u;
            if (!live_until_cut(operation, (flash_cut_t)(random_next(&random) % CUT_KINDS),
                                random_next(&random)))
                break;
            cuts++;
        }
        live();
        const tf_update_record_t *record = tf_update_record(&world.update);
        CHECK(tf_update_active(&world.update) != NULL);
        /* A trial that was cut off three times reverts, and that is right; the manager asks again. */
        if (record->state == TF_UPDATE_STATE_REVERTED) {
            CHECK_EQUAL(record->result, TF_RESULT_BOOT_FAILED);
            CHECK(world_runs(&world, &first));
            continue;
        }
        expect_converged(round, "again and again");
    }
    return cuts;
}

static uint32_t sectors_of(uint32_t bytes) {
    return (bytes + TF_SECTOR_BYTES - 1u) / TF_SECTOR_BYTES;
}

/* Cuts made. */
static uint32_t play(const char *name, const made_t *transported) {
    offered = transported;
    uint32_t points = 0;
    for (uint32_t cut = 0; cut < CUT_KINDS; cut++) points += cut_everywhere((flash_cut_t)cut);
    printf("%s, %u bytes for %u: %u cut points (%u operations x %d ways), all converged\n", name,
           offered->size, second.size, points, points / CUT_KINDS, CUT_KINDS);
    /* Each transported sector alone is an erase, a write and a record; one that is unpacked the first two. */
    uint32_t unpacked = offered == &second ? 0 : 2u * sectors_of(second.size);
    CHECK(points / CUT_KINDS >= 3u * sectors_of(offered->size) + unpacked);
    nothing_is_fetched_twice_without_need();
    uint32_t again = cut_again_and_again(60);
    printf("cut again while recovering: %u cuts, all converged\n", again);
    return points + again;
}

int main(int count, char **arguments) {
    CHECK(count == 1 || count == 4);
    world_open(&world);
    if (count == 4) {
        world_read_trust(&world, arguments[1]);
        world_read_image(arguments[2], &first);
        world_read_image(arguments[3], &second);
    } else {
        maker_image(&first, 5000, 1, 1, SIGNER_OURS);
        maker_image(&second, 33000, 2, 2, SIGNER_OURS);
    }
    world_install(&world, &first);
    flash_sim_open(&factory, WORLD_FLASH_BYTES, 4);
    flash_sim_copy(&factory, &world.flash);
    packer_compress(&compressed, &second);
    packer_delta(&delta, &second, &first);
    uint32_t cuts = play("raw", &second);
    cuts += play("compressed", &compressed);
    cuts += play("delta", &delta);
    printf("%u power cuts, 0 bricks\n", cuts);
    flash_sim_close(&factory);
    world_close(&world);
    return 0;
}
