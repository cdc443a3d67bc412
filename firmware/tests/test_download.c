/* How the engine fetches: order, damage, silence, and wants that change on the way. */
#include "update_case.h"

static void chunks_come_twice_and_in_any_order(void) {
    for (uint32_t order = ORDER_UP; order <= ORDER_MIXED; order++) {
        begin();
        world.order = (order_t)order;
        world_offer(&world, &second, 1);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
        end();
    }
}

static void a_damaged_chunk_is_told_and_fetched_again(void) {
    for (uint32_t variant = 0; variant < 4; variant++) {
        begin();
        world.bad_group = variant < 2 ? 2 : 0;
        world.bad_length = variant % 2 != 0;
        world.bad_times = TF_GROUP_ATTEMPTS;
        world.bad_index = variant < 2 ? 5 : 0;
        world_offer(&world, &second, 1);
        world_run(&world);
        expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
        CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_DOWNLOADING, TF_RESULT_INTEGRITY), TF_GROUP_ATTEMPTS);
        /* Pauses of 500 ms, doubling: 15.5 s in all. */
        CHECK_EQUAL(world.now.uptime_ms, 15500);
        end();
    }
}

static void damage_that_stays_ends_the_update(void) {
    for (uint16_t group = 0; group <= 2; group += 2) {
        begin();
        world.bad_group = group;
        world.bad_times = UINT32_MAX;
        world_offer(&world, &second, 1);
        world_run(&world);
        expect(TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY, &first);
        CHECK_EQUAL(world_told(&world, TF_UPDATE_STATE_DOWNLOADING, TF_RESULT_INTEGRITY), TF_GROUP_ATTEMPTS);
        /* Nothing of the damaged sector was kept. */
        uint32_t at = WORLD_SLOT_B + (group == 0 ? 0 : TF_GROUP_BYTES);
        CHECK(memcmp(world.flash.bytes + at, second.bytes + at - WORLD_SLOT_B, 64) != 0);
        end();
    }
}

static void silence_pauses_and_the_link_resumes(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    CHECK_EQUAL(world.now.uptime_ms, 20000);
    CHECK_EQUAL(RESULT(), TF_RESULT_CONNECTION_LOST);
    uint32_t chunks = world.chunks;
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_link(&world, false);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    world_link(&world, true);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    /* Group 1 was not fetched twice. */
    CHECK_EQUAL(world.chunks - chunks, (second.size - TF_GROUP_BYTES + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES);
    end();
}

static void a_pause_ends_by_itself_or_by_the_same_want(void) {
    begin();
    world.withdrawn_group = 1;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    world_offer(&world, &second, 1);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_PAUSED);
    world.withdrawn_group = TF_UPDATE_NO_GROUP;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

/* Birth names the image of a slot only while it is whole. */
static void a_slot_that_is_being_overwritten_says_so(void) {
    begin();
    world_offer(&world, &second, 1);
    world_run(&world);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_CONFIRMED);
    world_offer(&world, &third, 2);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 11);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_FILLING);
    world_boot(&world);
    CHECK_EQUAL(tf_update_record(&world.update)->slots[0], TF_UPDATE_SLOT_FILLING);
    end();
}

static void a_newer_want_replaces_a_download(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 11);
    CHECK_EQUAL(STATE(), TF_UPDATE_STATE_DOWNLOADING);
    world_offer(&world, &third, 2);
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    /* An older one is not heard. */
    world_offer(&world, &second, 1);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &third);
    end();
}

static void the_same_bytes_under_a_newer_want_are_not_fetched_again(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 1000);
    uint32_t chunks = world.chunks;
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_offer(&world, &second, 2);
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    CHECK_EQUAL(world.chunks - chunks,
                1 + (second.size - TF_GROUP_BYTES + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES);
    end();
}

static void an_emptied_want_stops_a_download(void) {
    begin();
    world.silent_group = 2;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 11);
    tf_update_want(&world.update, NULL, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_IDLE, TF_RESULT_INITIAL, &first);
    tf_want_t nothing = {.generation = 2};
    tf_update_want(&world.update, &nothing, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_IDLE, TF_RESULT_INITIAL, &first);
    CHECK_EQUAL(tf_update_record(&world.update)->generation, 2);
    end();
}

static void what_cannot_fit_is_refused_at_once(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.model.size_bytes = WORLD_SLOT_BYTES + 1u;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_NO_FLASH, &first);
    CHECK_EQUAL(world.subscriptions, 0);
    end();
}

static void a_want_that_lies_is_refused(void) {
    begin();
    tf_want_t want = world_want(&second, 1);
    want.model.size_bytes -= 1u;
    world.blob = &second;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY, &first);
    want = world_want(&second, 2);
    want.model.image[0] ^= 1u;
    tf_update_want(&world.update, &want, &world.now);
    world_run(&world);
    expect(TF_UPDATE_STATE_FAILED, TF_RESULT_INTEGRITY, &first);
    CHECK_EQUAL(world.trials, 0);
    end();
}

static void strange_chunks_do_no_harm(void) {
    static uint8_t bytes[5000];
    begin();
    world.silent_group = 1;
    world_offer(&world, &second, 1);
    world_run_until(&world, TF_UPDATE_STATE_PAUSED, 8);
    tf_blob_topic_t topic = {.group = 1};
    tf_update_chunk(&world.update, &topic, bytes, 1024, &world.now); /* another blob */
    memcpy(topic.manifest, second.manifest_digest, sizeof topic.manifest);
    for (uint32_t group = 0; group < 5; group++) {
        for (uint32_t index = 0; index < 70; index += 23) {
            topic.group = (uint16_t)(group == 1 ? 4000 : group);
            topic.index = (uint16_t)(index + 16u);
            tf_update_chunk(&world.update, &topic, bytes, sizeof bytes, &world.now);
        }
    }
    world.silent_group = TF_UPDATE_NO_GROUP;
    world_run(&world);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    tf_update_chunk(&world.update, &topic, bytes, sizeof bytes, &world.now);
    tf_update_trial(&world.update, TF_RESULT_GOLDEN_FAILED, NULL, &world.now);
    expect(TF_UPDATE_STATE_CONFIRMED, TF_RESULT_SUCCESS, &second);
    end();
}

int main(void) {
    make_models();
    RUN(chunks_come_twice_and_in_any_order);
    RUN(a_damaged_chunk_is_told_and_fetched_again);
    RUN(damage_that_stays_ends_the_update);
    RUN(silence_pauses_and_the_link_resumes);
    RUN(a_pause_ends_by_itself_or_by_the_same_want);
    RUN(a_slot_that_is_being_overwritten_says_so);
    RUN(a_newer_want_replaces_a_download);
    RUN(the_same_bytes_under_a_newer_want_are_not_fetched_again);
    RUN(an_emptied_want_stops_a_download);
    RUN(what_cannot_fit_is_refused_at_once);
    RUN(a_want_that_lies_is_refused);
    RUN(strange_chunks_do_no_harm);
    return 0;
}
