#include "machine.h"

#include "check.h"

enum { STARTS_MOST = 40, WAKES_MOST = 40, BOOTS_MOST = 12 };

void machine_open(machine_t *machine, tf_image_start_t start) {
    memset(machine, 0, sizeof *machine);
    world_t *world = &machine->world;
    world_open(world);
    flash_sim_close(&world->flash);
    bool xip = start == TF_IMAGE_START_XIP;
    /* Chips that run firmware in place: the strictest of their flashes, double words with ECC. */
    flash_sim_open(&world->flash, MACHINE_FIRMWARE_B + MACHINE_FIRMWARE_BYTES, xip ? 8 : 4);
    world->config.layout.flash = &world->flash.port;
    machine->layout = (tf_boot_layout_t){
        .flash = &world->flash.port,
        .state_offset = {MACHINE_BOOT_STATE, MACHINE_BOOT_STATE + TF_SECTOR_BYTES},
        .slot_offset = {MACHINE_FIRMWARE_A, MACHINE_FIRMWARE_B},
        .slot_bytes = MACHINE_FIRMWARE_BYTES,
        .start = start,
        .address = xip ? MACHINE_FLASH_AT : MACHINE_EXECUTION,
        .room_bytes = MACHINE_FIRMWARE_BYTES,
    };
}

void machine_close(machine_t *machine) {
    world_close(&machine->world);
}

uint32_t machine_address(const machine_t *machine, uint8_t slot) {
    const tf_boot_layout_t *layout = &machine->layout;
    return layout->address + (layout->start == TF_IMAGE_START_XIP ? layout->slot_offset[slot] : 0);
}

void machine_install(machine_t *machine, const made_t *firmware, const made_t *model) {
    flash_sim_program(&machine->world.flash, MACHINE_FIRMWARE_A, firmware->bytes, firmware->size);
    if (model != NULL) world_install(&machine->world, model);
}

static tf_image_policy_t base_of(machine_t *machine) {
    return (tf_image_policy_t){.device_type = tf_text(MAKER_DEVICE_TYPE), .trust = &machine->world.trust};
}

/* The bootloader, and those firmwares that come no further: each start of them ends by a reset. */
static void boot(machine_t *machine, tf_reset_t reset) {
    const tf_image_policy_t base = base_of(machine);
    for (uint32_t i = 0; i < BOOTS_MOST; i++) {
        machine->starts++;
        tf_boot_open(&machine->boot, &machine->layout);
        tf_boot_choose(&machine->boot, &base, reset, &machine->choice);
        CHECK(machine->choice.slot != TF_BOOT_NO_SLOT); /* a brick */
        const uint8_t *slot = tf_boot_slot(&machine->layout, machine->choice.slot);
        /* Whatever it decided by: what starts verifies. */
        tf_image_policy_t policy = tf_boot_policy(&machine->boot, &base, machine->choice.slot);
        tf_image_t image;
        CHECK_EQUAL(tf_image_verify(slot, machine->layout.slot_bytes, &policy, &image), TF_RESULT_SUCCESS);
        behaviour_t behaviour = (behaviour_t)slot[BEHAVIOUR_AT];
        if (behaviour != HANGS && behaviour != CRASHES) return;
        reset = behaviour == HANGS ? TF_RESET_WATCHDOG : TF_RESET_FAULT;
    }
    CHECK(!"a firmware that works starts after a bounded number of resets");
}

static tf_result_t answer(world_t *world, const tf_update_action_t *action) {
    machine_t *machine = (machine_t *)(void *)world;
    if (!action->firmware) return TF_RESULT_SUCCESS;
    const uint8_t *slot = tf_boot_slot(&machine->layout, machine->choice.slot);
    /* Only what runs is asked to test itself. */
    CHECK(memcmp(action->image.image, machine->choice.image.image, 32) == 0);
    if (machine->on_trial != NULL) machine->on_trial();
    if (machine->has_newer) {
        machine->has_newer = false;
        machine->want = machine->newer;
        tf_update_want(&world->update, &machine->newer, &world->now);
        CHECK_EQUAL(tf_update_record(&world->update)->state, TF_UPDATE_STATE_TRIAL);
    }
    return slot[BEHAVIOUR_AT] == FAILS_SELF_TEST ? TF_RESULT_GOLDEN_FAILED : TF_RESULT_SUCCESS;
}

/* One life of the firmware: up to its reset, or until nothing more happens. */
static void run(machine_t *machine) {
    world_t *world = &machine->world;
    const tf_image_t *firmware = &machine->choice.image;
    world->config.boot = &machine->boot;
    world->config.booted = machine->choice.slot;
    world->config.firmware_image = firmware->image;
    world->config.policy.firmware = firmware->version;
    world->config.policy.abi = firmware->abi;
    world->trial = answer;
    world_boot(world);
    for (uint32_t i = 0; i < WAKES_MOST && machine->wake_bytes > 0 && machine->has_want; i++) {
        world_wake(world, &machine->want, machine->wake_bytes);
        bool waits = tf_update_record(&world->update)->state == TF_UPDATE_STATE_DEFERRED;
        if (!waits || world->reset_wanted) return;
    }
    world_link(world, true);
    if (machine->has_want) tf_update_want(&world->update, &machine->want, &world->now);
    world_run(world);
}

void machine_live(machine_t *machine, tf_reset_t reset) {
    for (uint32_t i = 0; i < STARTS_MOST; i++) {
        boot(machine, reset);
        run(machine);
        if (!machine->world.reset_wanted) return;
        reset = TF_RESET_REQUEST;
    }
    CHECK(!"the node stays up after a bounded number of resets");
}

bool machine_runs(const machine_t *machine, const made_t *firmware, const made_t *model) {
    const tf_boot_record_t *record = &machine->boot.record;
    if (memcmp(machine->choice.image.image, firmware->digest, 32) != 0) return false;
    if (record->pending != TF_BOOT_NO_SLOT || record->active != machine->choice.slot) return false;
    if (model == NULL) return tf_update_active(&machine->world.update) == NULL;
    return world_runs(&machine->world, model);
}

tf_want_t machine_want(const made_t *firmware, const made_t *model, uint32_t generation) {
    tf_want_t want = {.generation = generation};
    if (model != NULL) want = world_want(model, generation);
    if (firmware != NULL) {
        tf_want_t other = world_want(firmware, generation);
        want.has_firmware = true;
        want.firmware = other.model;
    }
    return want;
}

void machine_offer(machine_t *machine, const made_t *firmware, const made_t *model, uint32_t generation) {
    machine->has_want = true;
    machine->want = machine_want(firmware, model, generation);
    machine->world.blob = firmware;
    machine->world.other = model;
    if (firmware == NULL) machine->world.blob = model;
}
