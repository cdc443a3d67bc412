/* A whole model update, raw, compressed and as a delta, once for every flash operation and every way of
 * losing power there. After each the node starts again, goes on by itself, and ends confirmed on the wanted
 * model; at no time does it run what does not verify, nor nothing.
 *
 *     test_power_cut [trust record, first image, second image]
 *
 * Without arguments the images are made here; with them, they are files that imgtool signed. */
#include "check.h"
#include "packer.h"
#include "power_cuts.h"
#include "world.h"

static world_t world;
static flash_sim_t factory;
static made_t first, second, compressed, delta;

/* From a start to a settled update, with the want retained at the broker; `offered` is what is transported
 * for the second image. */
static void live(const void *offered) {
    world_boot(&world);
    CHECK(tf_update_active(&world.update) != NULL);
    world_link(&world, true);
    world_offer(&world, offered, 1);
    world_run(&world);
}

static void begin(const void *offered) {
    (void)offered;
    flash_sim_copy(&world.flash, &factory);
    world.trials = world.chunks = world.log_count = 0;
}

static void expect_converged(uint32_t operation, flash_cut_t cut) {
    const tf_update_record_t *record = tf_update_record(&world.update);
    bool good = record->state == TF_UPDATE_STATE_CONFIRMED && record->result == TF_RESULT_SUCCESS &&
                record->generation == 1 && world_runs(&world, &second);
    if (!good) {
        fprintf(stderr, "cut in way %d at operation %u: %s, result %u\n", cut, operation,
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

static void expect_end(const void *offered, uint32_t first_cut, uint32_t second_cut, flash_cut_t cut) {
    (void)second_cut;
    live(offered);
    expect_converged(first_cut, cut);
}

/* A trial that was cut off three times reverts, and that is right; the manager asks again. */
static void expect_end_in_the_end(const void *offered) {
    live(offered);
    const tf_update_record_t *record = tf_update_record(&world.update);
    CHECK(tf_update_active(&world.update) != NULL);
    if (record->state != TF_UPDATE_STATE_REVERTED) {
        expect_converged(0, CUT_KINDS);
        return;
    }
    CHECK_EQUAL(record->result, TF_RESULT_BOOT_FAILED);
    CHECK(world_runs(&world, &first));
}

static const cut_play_t cuts = {&world.flash, begin, live, expect_end, expect_end_in_the_end};
static const cut_rows_t in_a_row = {.rounds = 60, .cuts = 6, .within = 20, .soon = 20, .seed = 99};

/* Every fetch after the cut takes what was there: the broker does not send more than the missing sectors'
 * groups. */
static void nothing_is_fetched_twice_without_need(const made_t *offered) {
    begin(offered);
    CHECK(!flash_sim_cut(&world.flash, 0, CUT_BEFORE, 1, live, offered));
    uint32_t whole = world.chunks, operations = world.flash.operations;
    begin(offered);
    CHECK(flash_sim_cut(&world.flash, operations / 2u, CUT_AFTER, 1, live, offered));
    live(offered);
    expect_converged(operations / 2u, CUT_AFTER);
    CHECK(world.chunks < whole + TF_GROUP_CHUNKS + 4u);
}

static uint32_t sectors_of(uint32_t bytes) {
    return (bytes + TF_SECTOR_BYTES - 1u) / TF_SECTOR_BYTES;
}

/* Cuts made. */
static uint32_t play(const char *name, const made_t *offered) {
    uint32_t points = 0;
    for (uint32_t cut = 0; cut < CUT_KINDS; cut++) points += cut_everywhere(&cuts, offered, (flash_cut_t)cut);
    printf("%s, %u bytes for %u: %u cut points (%u operations x %d ways), all converged\n", name,
           offered->size, second.size, points, points / CUT_KINDS, CUT_KINDS);
    /* Each transported sector alone is an erase, a write and a record; one that is unpacked the first two. */
    uint32_t unpacked = offered == &second ? 0 : 2u * sectors_of(second.size);
    CHECK(points / CUT_KINDS >= 3u * sectors_of(offered->size) + unpacked);
    nothing_is_fetched_twice_without_need(offered);
    /* Power that goes again while the node recovers, many times in a row. */
    uint32_t again = cut_in_rows(&cuts, offered, &in_a_row);
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
    uint32_t points = play("raw", &second);
    points += play("compressed", &compressed);
    points += play("delta", &delta);
    printf("%u power cuts, 0 bricks\n", points);
    flash_sim_close(&factory);
    world_close(&world);
    return 0;
}
