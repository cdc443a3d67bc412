#include "world.h"

#include "check.h"
#include "random.h"

void world_open(world_t *world) {
    memset(world, 0, sizeof *world);
    flash_sim_open(&world->flash, WORLD_FLASH_BYTES, 4);
    maker_trust(&world->trust);
    world->config = (tf_update_config_t){
        .layout = {.flash = &world->flash.port,
                   .state_offset = {WORLD_STATE, WORLD_STATE + TF_SECTOR_BYTES},
                   .slot_offset = {WORLD_SLOT_A, WORLD_SLOT_B},
                   .slot_bytes = WORLD_SLOT_BYTES,
                   .staging_offset = WORLD_STAGING,
                   .staging_bytes = WORLD_STAGING_BYTES},
        .policy = {.kind = TF_ARTIFACT_KIND_MODEL,
                   .device_type = tf_text(MAKER_DEVICE_TYPE),
                   .cores = 1,
                   .abi = 1,
                   .trust = &world->trust},
    };
    world->bad_group = world->silent_group = world->withdrawn_group = TF_UPDATE_NO_GROUP;
    world->subscribed = TF_UPDATE_NO_GROUP;
    world->trial_result = world->shadow_result = TF_RESULT_SUCCESS;
    world->random = 1;
}

void world_close(world_t *world) {
    free(world->chunk);
    flash_sim_close(&world->flash);
}

void world_install(world_t *world, const made_t *made) {
    flash_sim_program(&world->flash, WORLD_SLOT_A, made->bytes, made->size);
}

void world_boot(world_t *world) {
    world->subscribed = TF_UPDATE_NO_GROUP;
    world->now.uptime_ms = 0;
    memset(world->beside, 0, sizeof world->beside);
    world->reset_wanted = false;
    CHECK(tf_update_start(&world->update, &world->config, &world->now));
}

void world_link(world_t *world, bool up) {
    world->subscribed = TF_UPDATE_NO_GROUP;
    tf_update_link(&world->update, up, &world->now);
}

tf_want_t world_want(const made_t *made, uint32_t generation) {
    tf_want_t want = {.generation = generation, .has_model = true};
    memcpy(want.model.image, made->digest, 32);
    memcpy(want.model.manifest, made->manifest_digest, 32);
    want.model.size_bytes = made->size;
    want.model.groups = (uint16_t)((made->size + TF_GROUP_BYTES - 1u) / TF_GROUP_BYTES);
    return want;
}

void world_offer(world_t *world, const made_t *made, uint32_t generation) {
    tf_want_t want = world_want(made, generation);
    world->blob = made;
    tf_update_want(&world->update, &want, &world->now);
}

static void serve_chunk(world_t *world, const made_t *blob, uint16_t group, uint32_t index, bool bad) {
    const uint8_t *content = group == 0 ? blob->manifest : blob->bytes + (group - 1u) * TF_GROUP_BYTES;
    uint32_t total = group == 0 ? blob->manifest_bytes : blob->size - (group - 1u) * TF_GROUP_BYTES;
    uint32_t at = index * TF_CHUNK_BYTES;
    uint32_t length = total - at < TF_CHUNK_BYTES ? total - at : TF_CHUNK_BYTES;
    /* On the heap and just as long, so that reading past it is seen. */
    free(world->chunk);
    uint8_t *chunk = world->chunk = malloc(length);
    CHECK(chunk != NULL);
    memcpy(chunk, content + at, length);
    if (bad && world->bad_length) {
        length--;
    } else if (bad) {
        chunk[length / 2u] ^= 0x10u;
    }
    if (group == world->withdrawn_group) length = 0;
    tf_blob_topic_t topic = {.group = group, .index = (uint16_t)index};
    memcpy(topic.manifest, blob->manifest_digest, sizeof topic.manifest);
    world->chunks++;
    uint32_t cost = length + WORLD_CHUNK_OVERHEAD, left = world->now.left_bytes;
    world->now.left_bytes = left > cost ? left - cost : 0;
    tf_update_chunk(&world->update, &topic, chunk, length, &world->now);
}

/* All retained chunks of a group, as a broker sends them after SUBSCRIBE. */
static void serve(world_t *world, uint16_t group) {
    const made_t *blob = world->blob;
    if (blob != NULL && memcmp(world->subscribed_manifest, blob->manifest_digest, 16) != 0)
        blob = world->other;
    if (blob != NULL && memcmp(world->subscribed_manifest, blob->manifest_digest, 16) != 0)
        blob = world->third;
    if (blob == NULL || memcmp(world->subscribed_manifest, blob->manifest_digest, 16) != 0) return;
    if (group == world->silent_group) return;
    uint32_t total = group == 0 ? blob->manifest_bytes : blob->size - (group - 1u) * TF_GROUP_BYTES;
    if (total > TF_GROUP_BYTES) total = TF_GROUP_BYTES;
    uint32_t count = (total + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES;
    bool bad = group == world->bad_group && world->bad_times > 0;
    if (bad && world->bad_times != UINT32_MAX) world->bad_times--;
    uint32_t shift = world->order == ORDER_MIXED ? random_next(&world->random) % count : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = world->order == ORDER_DOWN ? count - 1u - i : (i + shift) % count;
        serve_chunk(world, blob, group, index, bad && index == world->bad_index);
        if (world->order == ORDER_TWICE) serve_chunk(world, blob, group, index, false);
    }
}

/* What is run or tried must stand verified in its slot, whatever the engine believes. */
static void check_image(world_t *world, const tf_update_action_t *action) {
    const uint8_t *slot = world->flash.bytes + world->config.layout.slot_offset[action->slot];
    tf_image_t image;
    CHECK_EQUAL(tf_image_verify(slot, WORLD_SLOT_BYTES, &world->config.policy, &image), TF_RESULT_SUCCESS);
    CHECK(memcmp(image.image, action->image.image, 32) == 0);
    CHECK(action->image.payload == image.payload);
}

static bool is_nothing(const uint8_t image[32]) {
    static const uint8_t nothing[32];
    return memcmp(image, nothing, sizeof nothing) == 0;
}

static void carry_out(world_t *world, const tf_update_action_t *action) {
    switch (action->kind) {
        case TF_UPDATE_SUBSCRIBE:
            CHECK_EQUAL(world->subscribed, TF_UPDATE_NO_GROUP);
            CHECK(is_nothing(world->beside)); /* its slot may be written to from now on */
            world->subscribed = action->group;
            memcpy(world->subscribed_manifest, action->manifest, 16);
            world->subscriptions++;
            serve(world, action->group);
            break;
        case TF_UPDATE_UNSUBSCRIBE:
            CHECK_EQUAL(world->subscribed, action->group);
            CHECK(memcmp(world->subscribed_manifest, action->manifest, 16) == 0);
            world->subscribed = TF_UPDATE_NO_GROUP;
            break;
        case TF_UPDATE_STATUS:
            CHECK(world->log_count < WORLD_LOG_MAX);
            CHECK(action->status.detail.length <= TF_STATUS_DETAIL_MAX);
            if (world->log_count > 0)
                CHECK(action->status.boot != world->log[world->log_count - 1u].boot ||
                      action->status.seq > world->log[world->log_count - 1u].seq);
            world->log[world->log_count++] = action->status;
            break;
        case TF_UPDATE_TRIAL:
            if (!action->firmware) check_image(world, action);
            if (!action->firmware) CHECK(action->slot != tf_update_record(&world->update)->active);
            world->trials++;
            if (world->trial != NULL) world->trial_result = world->trial(world, action);
            if (!world->trial_hangs) tf_update_trial(&world->update, world->trial_result, NULL, &world->now);
            break;
        case TF_UPDATE_RUN:
            world->runs++;
            memset(world->running, 0, sizeof world->running);
            if (action->slot == TF_UPDATE_NO_SLOT) break;
            check_image(world, action);
            memcpy(world->running, action->image.image, sizeof world->running);
            break;
        case TF_UPDATE_SHADOW:
            memset(world->beside, 0, sizeof world->beside);
            if (action->slot == TF_UPDATE_NO_SLOT) break;
            check_image(world, action);
            CHECK(action->slot != tf_update_record(&world->update)->active);
            CHECK(tf_update_active(&world->update) != NULL);
            memcpy(world->beside, action->image.image, sizeof world->beside);
            world->shadows++;
            if (!world->shadow_hangs) {
                tf_update_trial(&world->update, world->shadow_result, NULL, &world->now);
            }
            break;
        case TF_UPDATE_RESET:
            world->reset_wanted = true;
            break;
    }
}

void world_run_until(world_t *world, tf_update_state_t state, uint32_t steps) {
    for (uint32_t i = 0;
         i < steps && tf_update_record(&world->update)->state != state && !world->reset_wanted; i++) {
        tf_update_action_t action;
        if (tf_update_next(&world->update, &action)) {
            carry_out(world, &action);
            continue;
        }
        uint64_t due_ms = tf_update_due(&world->update);
        if (due_ms == TF_UPDATE_NEVER) return;
        if (due_ms > world->now.uptime_ms) {
            uint64_t passed_ms = due_ms - world->now.uptime_ms;
            world->now.uptime_ms = due_ms;
            if (world->now.has_unix_s) world->now.unix_s += (passed_ms + 999u) / 1000u;
        }
        tf_update_tick(&world->update, &world->now);
    }
}

static bool is_settled(uint8_t state) {
    return state == TF_UPDATE_STATE_IDLE || state >= TF_UPDATE_STATE_CONFIRMED;
}

void world_run(world_t *world) {
    tf_update_action_t action;
    for (uint32_t i = 0; i < 10000; i++) {
        while (!world->reset_wanted && tf_update_next(&world->update, &action)) carry_out(world, &action);
        if (world->reset_wanted) return;
        if (is_settled(tf_update_record(&world->update)->state)) return;
        if (tf_update_due(&world->update) == TF_UPDATE_NEVER) return;
        /* A state that is none: one step at a time. */
        world_run_until(world, (tf_update_state_t)0xFF, 1);
    }
    CHECK(!"settles within 10000 steps");
}

void world_wake(world_t *world, const tf_want_t *want, uint32_t budget_bytes) {
    const uint8_t *state = &tf_update_record(&world->update)->state;
    world->now.has_budget = true;
    world->now.budget_bytes = world->now.left_bytes = budget_bytes;
    world_link(world, true);
    tf_update_want(&world->update, want, &world->now);
    for (uint32_t i = 0; i < 3000 && *state != TF_UPDATE_STATE_DEFERRED && !is_settled(*state); i++) {
        if (world->reset_wanted) return;
        world_run_until(world, TF_UPDATE_STATE_DEFERRED, 1);
    }
    if (*state != TF_UPDATE_STATE_DEFERRED) world_run(world);
    if (world->reset_wanted) return;
    /* Its status is out before the radio is off. */
    tf_update_action_t action;
    while (*state == TF_UPDATE_STATE_DEFERRED && tf_update_next(&world->update, &action)) {
        if (action.kind != TF_UPDATE_STATUS) continue;
        CHECK(world->log_count < WORLD_LOG_MAX);
        world->log[world->log_count++] = action.status;
    }
    world_link(world, false);
}

uint32_t world_told(const world_t *world, tf_update_state_t state, tf_result_t result) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->log_count; i++) {
        if (world->log[i].state == state && world->log[i].result == result) count++;
    }
    return count;
}

bool world_runs(const world_t *world, const made_t *made) {
    const tf_image_t *active = tf_update_active(&world->update);
    return memcmp(world->running, made->digest, 32) == 0 && active != NULL &&
           memcmp(active->image, made->digest, 32) == 0;
}

bool world_shadows(const world_t *world, const made_t *made) {
    bool state = tf_update_record(&world->update)->state == TF_UPDATE_STATE_SHADOW;
    if (made == NULL) return !state && is_nothing(world->beside);
    return state && memcmp(world->beside, made->digest, sizeof world->beside) == 0;
}

void world_challenge(tf_want_t *want, const made_t *challenger) {
    const tf_want_t named = world_want(challenger, 0);
    want->has_shadow = true;
    want->shadow = named.model;
}

void world_read_file(const char *path, uint8_t *out, uint32_t capacity, uint32_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) perror(path);
    CHECK(file != NULL);
    *size = (uint32_t)fread(out, 1, capacity, file);
    CHECK(*size > 0 && fgetc(file) == EOF);
    fclose(file);
}

void world_read_image(const char *path, made_t *made) {
    world_read_file(path, made->bytes, sizeof made->bytes, &made->size);
    maker_manifest(made);
}

void world_read_trust(world_t *world, const char *path) {
    static uint8_t record[TF_SECTOR_BYTES];
    uint32_t size;
    world_read_file(path, record, sizeof record, &size);
    CHECK_EQUAL(tf_record_trust(record, size, &world->trust), TF_WIRE_OK);
}
