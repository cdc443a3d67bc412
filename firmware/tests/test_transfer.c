/* Encoded artifacts through the engine: kept in the staging area, unpacked into the free slot once all is
 * there; a delta only from what runs. */
#include "packer.h"
#include "update_case.h"

static made_t air, other, fourth;

static void the_encoded_model_runs(const made_t *transported, order_t order) {
    begin();
    world.order = order;
    world_offer(&world, transported, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK(memcmp(world.flash.bytes + WORLD_SLOT_B, second.bytes, second.size) == 0);
    CHECK(memcmp(world.flash.bytes + WORLD_STAGING, transported->bytes, transported->size) == 0);
    CHECK(memcmp(world.flash.bytes + WORLD_SLOT_A, first.bytes, first.size) == 0);
    /* What is told is of the transported bytes. */
    CHECK_EQUAL(world.log[world.log_count - 1u].size_bytes, transported->size);
    CHECK_EQUAL(world.log[world.log_count - 1u].offset_bytes, transported->size);
    world_boot(&world);
    world_run(&world);
    CHECK(world_runs(&world, &second));
    end();
}

static void encoded_models_run(void) {
    static const order_t orders[] = {ORDER_UP, ORDER_DOWN, ORDER_TWICE, ORDER_MIXED};
    for (uint32_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        packer_compress(&air, &second);
        the_encoded_model_runs(&air, orders[i]);
        packer_delta(&air, &second, &first);
        the_encoded_model_runs(&air, orders[i]);
    }
}

/* Nothing but the manifest was fetched, and what ran goes on. */
static void expect_refused(tf_result_t result) {
    expect(TF_UPDATE_STATE_FAILED, result, &first);
    CHECK_EQUAL(world.chunks, (air.manifest_bytes + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES);
}

static void a_delta_from_another_image_is_refused_before_it_is_fetched(void) {
    begin();
    packer_delta(&air, &second, &third);
    world_offer(&world, &air, 1);
    world_run(&world);
    expect_refused(TF_RESULT_BASE_MISMATCH);
    /* Nothing falls back by itself: only a newer want goes on. */
    world_boot(&world);
    world_link(&world, true);
    world_offer(&world, &air, 1);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
    world_offer(&world, &second, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

static void a_base_is_known_by_its_bytes(void) {
    begin();
    packer_delta(&air, &second, &first);
    /* Its slot still says which image it is. */
    world.flash.bytes[WORLD_SLOT_A + 5000] ^= 1u;
    tf_want_t want = world_want(&air, 1);
    world.blob = &air;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(RESULT(), TF_RESULT_BASE_MISMATCH);
    CHECK_EQUAL(world.chunks, 1);
    end();
}

static void without_a_base_nothing_is_a_delta(void) {
    world_open(&world);
    world_boot(&world);
    world_link(&world, true);
    packer_delta(&air, &second, &first);
    world_offer(&world, &air, 1);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_FAILED);
    CHECK_EQUAL(RESULT(), TF_RESULT_BASE_MISMATCH);
    packer_compress(&other, &second);
    world_offer(&world, &other, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

/* A node with as much of a staging area. */
static void begin_with(uint32_t staging_bytes) {
    world_open(&world);
    world.config.layout.staging_bytes = staging_bytes;
    world_install(&world, &first);
    world_boot(&world);
    world_link(&world, true);
    world_run(&world);
}

static void what_has_no_room_is_refused(void) {
    packer_compress(&air, &second);
    begin_with(0);
    world_offer(&world, &air, 1);
    world_run(&world);
    expect_refused(TF_RESULT_UNSUPPORTED_PROTOCOL);
    end();
    begin_with(TF_SECTOR_BYTES);
    world_offer(&world, &air, 1);
    world_run(&world);
    expect_refused(TF_RESULT_NO_FLASH);
    end();
    begin();
    maker_manifest_of(&air, TF_ENCODING_COMPRESSED, WORLD_SLOT_BYTES + 1u, NULL);
    world_offer(&world, &air, 1);
    world_run(&world);
    expect_refused(TF_RESULT_NO_FLASH);
    end();
}

static void expect_no_image(tf_result_t result) {
    world_offer(&world, &air, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, result, &first);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[1], TF_UPDATE_SLOT_EMPTY);
    end();
}

static void what_makes_no_image_is_refused(void) {
    begin();
    packer_compress(&air, &second);
    air.size -= 100; /* the end of the stream is missing */
    maker_manifest_of(&air, TF_ENCODING_COMPRESSED, second.size, NULL);
    expect_no_image(TF_RESULT_INTEGRITY);
    begin();
    packer_compress(&air, &second);
    air.bytes[0] = 0xF0; /* a window of 2^19 bytes */
    maker_manifest_of(&air, TF_ENCODING_COMPRESSED, second.size, NULL);
    expect_no_image(TF_RESULT_UNSUPPORTED_PROTOCOL);
    begin();
    packer_compress(&air, &first);
    memcpy(air.digest, second.digest, 32); /* a whole image, but another */
    expect_no_image(TF_RESULT_INTEGRITY);
    begin();
    packer_compress(&air, &second);
    maker_manifest_of(&air, TF_ENCODING_COMPRESSED, second.size - 1u, NULL);
    /* Its last byte, of the signature, was never written. */
    expect_no_image(TF_RESULT_SIGNATURE);
}

/* All of it is in the staging area, and a part of it in the slot. */
static void begin_unpacking(void) {
    begin();
    packer_compress(&air, &second);
    world_offer(&world, &air, 1);
    for (uint32_t i = 0; i < 200 && world.update.fetch.unpacked < 3u * TF_SECTOR_BYTES; i++) {
        world_run_until(&world, (tf_update_state_t)0xFF, 1);
    }
    CHECK(world.update.fetch.unpacking);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    CHECK_EQUAL(world.subscribed, TF_UPDATE_NO_GROUP);
}

static void a_lost_link_keeps_what_was_unpacked(void) {
    begin_unpacking();
    uint32_t unpacked = world.update.fetch.unpacked, chunks = world.chunks;
    world_link(&world, false);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    world_link(&world, true);
    CHECK_EQUAL(world.update.fetch.unpacked, unpacked);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK_EQUAL(world.chunks, chunks);
    end();
}

static void a_restart_unpacks_anew_and_fetches_the_manifest_alone(void) {
    begin_unpacking();
    uint32_t chunks = world.chunks;
    world_boot(&world);
    world_link(&world, true);
    world_offer(&world, &air, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK_EQUAL(world.chunks, chunks + (air.manifest_bytes + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES);
    end();
}

static void no_chunk_disturbs_the_unpacking(void) {
    begin_unpacking();
    tf_blob_topic_t topic = {0};
    uint8_t chunk[TF_CHUNK_BYTES];
    memset(chunk, 0x5A, sizeof chunk);
    memcpy(topic.manifest, air.manifest_digest, sizeof topic.manifest);
    static const uint16_t groups[] = {0, 1, 3, TF_UPDATE_NO_GROUP};
    for (uint32_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        topic.group = groups[i];
        for (topic.index = 0; topic.index < TF_GROUP_CHUNKS; topic.index++) {
            tf_update_chunk(&world.update, &topic, chunk, sizeof chunk, &world.now);
        }
    }
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

static void a_newer_want_ends_the_unpacking(void) {
    begin_unpacking();
    world_offer(&world, &third, 2);
    CHECK(!world.update.fetch.unpacking);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    end();
    begin_unpacking();
    tf_update_want(&world.update, NULL, &world.now);
    world_run(&world);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_IDLE);
    CHECK(world_runs(&world, &first));
    end();
}

static void flash_that_keeps_nothing_is_said(void) {
    begin();
    packer_compress(&air, &second);
    world.flash.lose_from = WORLD_STAGING;
    world_offer(&world, &air, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UPDATE_FAILED, &first);
    end();
    begin();
    /* The staging area keeps, the slot does not. */
    world.config.layout.staging_offset = 0x2000 + TF_SECTOR_BYTES;
    world.config.layout.staging_bytes = WORLD_SLOT_A - world.config.layout.staging_offset;
    world_boot(&world);
    world_link(&world, true);
    world.flash.lose_from = WORLD_SLOT_B;
    world_offer(&world, &air, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_UPDATE_FAILED, &first);
    CHECK(world.update.fetch.unpacking);
    end();
}

/* After a rollback by a delta the free slot still holds what ran before: nothing is fetched at all. */
static void what_the_free_slot_holds_is_not_fetched(void) {
    begin();
    packer_delta(&air, &second, &first);
    world_offer(&world, &air, 1);
    world_run(&world);
    packer_delta(&other, &first, &second);
    uint32_t chunks = world.chunks;
    world_offer(&world, &other, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
    CHECK_EQUAL(world.chunks, chunks);
    end();
}

/* A node that runs `second` and could fall back to `first`. */
static void begin_with_two(void) {
    begin();
    world_offer(&world, &second, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_CONFIRMED);
}

static void what_was_not_written_over_stays(void) {
    begin_with_two();
    packer_delta(&air, &fourth, &first); /* and `second` runs */
    world_offer(&world, &air, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_BASE_MISMATCH, &second);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_CONFIRMED);
    /* A download into the staging area that ends before the slot is written. */
    packer_compress(&air, &fourth);
    world_offer(&world, &air, 3);
    for (uint32_t i = 0; i < 50 && tf_update_record(&world.update)->committed == 0; i++) {
        world_run_until(&world, (tf_update_state_t)0xFF, 1);
    }
    CHECK(tf_update_record(&world.update)->committed > 0);
    tf_update_want(&world.update, NULL, &world.now);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_CONFIRMED);
    uint32_t chunks = world.chunks;
    world_offer(&world, &first, 4);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &first);
    CHECK_EQUAL(world.chunks, chunks);
    end();
}

static void update_to(const void *transported) {
    world_offer(&world, transported, 2);
    world_run(&world);
}

/* A slot that was confirmed once holds nothing from its first new byte on, however well it reads. */
static void a_slot_under_a_cut_does_not_count(const made_t *transported, flash_cut_t how) {
    bool cut = true;
    uint32_t operation = 0;
    while (cut) {
        begin_with_two();
        cut = flash_sim_cut(&world.flash, ++operation, how, world.flash.random, update_to, transported);
        if (cut) {
            world_boot(&world);
            world_link(&world, true);
            update_to(transported);
        }
        CHECK_EQUAL(STATE(), TF_UPDATE_STATE_CONFIRMED);
        CHECK(memcmp(world.running, transported->digest, 32) == 0);
        CHECK(flash_sim_is_sound(&world.flash, WORLD_SLOT_A, tf_update_active(&world.update)->size_bytes));
        end();
    }
    CHECK(operation > 10);
}

static void slots_under_a_cut_do_not_count(void) {
    packer_compress(&air, &fourth);
    for (flash_cut_t how = CUT_SILENT; how <= CUT_AFTER; how++) {
        a_slot_under_a_cut_does_not_count(&fourth, how);
        a_slot_under_a_cut_does_not_count(&air, how);
    }
}

int main(void) {
    make_models();
    maker_image(&fourth, 6000, 4, 0, SIGNER_OURS);
    RUN(encoded_models_run);
    RUN(a_delta_from_another_image_is_refused_before_it_is_fetched);
    RUN(a_base_is_known_by_its_bytes);
    RUN(without_a_base_nothing_is_a_delta);
    RUN(what_has_no_room_is_refused);
    RUN(what_makes_no_image_is_refused);
    RUN(a_lost_link_keeps_what_was_unpacked);
    RUN(a_restart_unpacks_anew_and_fetches_the_manifest_alone);
    RUN(no_chunk_disturbs_the_unpacking);
    RUN(a_newer_want_ends_the_unpacking);
    RUN(flash_that_keeps_nothing_is_said);
    RUN(what_the_free_slot_holds_is_not_fetched);
    RUN(what_was_not_written_over_stays);
    RUN(slots_under_a_cut_do_not_count);
    return 0;
}
