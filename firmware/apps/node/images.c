#include "images.h"

#include <stddef.h>
#include <string.h>

enum { IMAGE_FIRMWARE = 0, IMAGE_MODEL = 1, HEADER_BYTES = 32, HEADER_MAGIC = 0x96F3B83D };

static tf_smp_result_t say(tf_smp_code_t code) {
    return (tf_smp_result_t){.code = code};
}

static tf_smp_code_t refusal(tf_result_t result) {
    switch (result) {
        case TF_RESULT_INTEGRITY:
            return TF_SMP_CORRUPT;
        case TF_RESULT_SIGNATURE:
        case TF_RESULT_DOWNGRADE:
            return TF_SMP_DENIED;
        default:
            return TF_SMP_UNSUPPORTED;
    }
}

static tf_smp_result_t told(tf_local_t local) {
    switch (local.status) {
        case TF_LOCAL_OK:
        case TF_LOCAL_SHA: /* the client is told by `match` */
            return say(TF_SMP_OK);
        case TF_LOCAL_BUSY:
            return (tf_smp_result_t){TF_SMP_BUSY, "an update is under way"};
        case TF_LOCAL_NO_SLOT:
            return say(TF_SMP_IMAGE_SLOT);
        case TF_LOCAL_TOO_LARGE:
            return say(TF_SMP_IMAGE_TOO_LARGE);
        case TF_LOCAL_OVERRUN:
            return say(TF_SMP_IMAGE_OVERRUN);
        case TF_LOCAL_REFUSED:
            return (tf_smp_result_t){refusal(local.result), local.reason};
        case TF_LOCAL_NO_IMAGE:
            return say(TF_SMP_IMAGE_NONE);
        case TF_LOCAL_ACTIVE:
            return say(TF_SMP_IMAGE_TEST_ACTIVE);
        case TF_LOCAL_FLASH:
            break;
    }
    return say(TF_SMP_IMAGE_FLASH);
}

static bool firmware_state(const tf_update_t *update, uint8_t slot, tf_smp_image_t *image) {
    const tf_boot_t *boot = update->config.boot;
    if (boot == NULL) return false;
    image->active = update->config.booted == slot;
    image->confirmed = boot->record.active == slot;
    image->pending = boot->record.pending == slot && !image->active;
    image->bootable = true;
    return image->active || update->record.firmware_slots[slot] >= TF_UPDATE_SLOT_CANDIDATE;
}

static bool model_state(const tf_update_t *update, uint8_t slot, tf_smp_image_t *image) {
    const tf_update_record_t *record = &update->record;
    const bool trial = record->state == TF_UPDATE_STATE_TRIAL && !record->firmware;
    image->active = image->confirmed = tf_update_active(update) != NULL && record->active == slot;
    image->pending = trial && record->active != slot;
    return record->slots[slot] >= TF_UPDATE_SLOT_CANDIDATE;
}

bool images_get(void *context, uint32_t index, tf_smp_image_t *image) {
    images_t *images = context;
    const tf_update_t *update = images->update;
    const uint8_t slot = (uint8_t)(index % TF_UPDATE_SLOTS);
    const bool firmware = index < TF_BOOT_SLOTS;
    *image = (tf_smp_image_t){.image = firmware ? IMAGE_FIRMWARE : IMAGE_MODEL, .slot = slot};
    if (firmware ? !firmware_state(update, slot, image) : !model_state(update, slot, image)) return false;
    const tf_flash_t *flash = update->config.layout.flash;
    const uint32_t bytes =
        firmware ? update->config.boot->layout->slot_bytes : update->config.layout.slot_bytes;
    const uint8_t *at = firmware ? tf_boot_slot(update->config.boot->layout, slot)
                                 : flash->map(flash->context, update->config.layout.slot_offset[slot], bytes);
    if (at == NULL || tf_image_read(at, bytes, &images->image) != TF_RESULT_SUCCESS) return false;
    image->hash = images->image.image;
    image->version =
        (tf_text_t){images->version, tf_image_version_text(&images->image.version, images->version)};
    return true;
}

static uint32_t number(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Before a slot is given up for it. */
static tf_smp_code_t look(const images_t *images, const tf_smp_chunk_t *chunk) {
    const uint8_t *header = chunk->data.data;
    if (!chunk->has_length) return TF_SMP_IMAGE_LENGTH;
    if (chunk->image > IMAGE_MODEL) return TF_SMP_IMAGE_SLOT;
    if (chunk->data.length < HEADER_BYTES) return TF_SMP_IMAGE_HEADER;
    if (number(header) != HEADER_MAGIC) return TF_SMP_IMAGE_MAGIC;
    if (!chunk->upgrade) return TF_SMP_OK;
    const tf_image_version_t version = {header[20], header[21], (uint16_t)(header[22] | header[23] << 8),
                                        number(header + 24)};
    const tf_image_t *model = tf_update_active(images->update);
    const tf_image_version_t *running = &images->update->config.policy.firmware;
    if (chunk->image == IMAGE_MODEL) running = model != NULL ? &model->version : NULL;
    const bool higher = running == NULL || tf_image_version_below(running, &version);
    return higher ? TF_SMP_OK : TF_SMP_IMAGE_OLDER;
}

tf_smp_result_t images_upload(void *context, const tf_smp_chunk_t *chunk, tf_smp_progress_t *progress) {
    images_t *images = context;
    tf_update_t *update = images->update;
    tf_update_upload_t *upload = &update->upload;
    if (chunk->offset == 0) {
        const tf_smp_code_t code = look(images, chunk);
        if (code != TF_SMP_OK) return say(code);
        const tf_local_t begun =
            tf_local_begin(update, chunk->image == IMAGE_FIRMWARE, chunk->length, chunk->sha);
        if (begun.status != TF_LOCAL_OK) return told(begun);
    } else if (!tf_local_is_open(update)) {
        return say(TF_SMP_OK); /* offset 0: from the start */
    }
    progress->offset = upload->offset_bytes;
    /* Repeated, or of an upload that was broken off: the client goes on from where we are. */
    if (chunk->offset != upload->offset_bytes) return say(TF_SMP_OK);
    const tf_local_t written = tf_local_write(update, chunk->data.data, chunk->data.length);
    progress->offset = upload->offset_bytes;
    progress->has_match = !upload->open && upload->has_sha;
    progress->match = written.status == TF_LOCAL_OK;
    return told(written);
}

tf_smp_result_t images_test(void *context, const uint8_t *hash) {
    const images_t *images = context;
    const tf_update_now_t now = {.uptime_ms = images->now_us() / 1000u};
    return told(tf_local_test(images->update, hash, &now));
}

/* A firmware on trial that runs, and that somebody brought here: no want of the manager's waits for it to be
 * heard by the broker. */
static bool was_brought(const tf_update_t *update, const uint8_t *hash) {
    const tf_update_record_t *record = &update->record;
    const uint8_t *running = update->config.firmware_image;
    return record->state == TF_UPDATE_STATE_TRIAL && record->firmware && record->generation == 0 &&
           update->config.boot != NULL && update->config.booted == update->config.boot->record.pending &&
           running != NULL && (hash == NULL || tf_equal(running, hash, TF_DIGEST_BYTES));
}

/* What is on trial confirms itself once it has passed, and nobody can do that for it; but who brought a
 * firmware may be all that ever hears it. What runs confirmed, may be confirmed again. */
tf_smp_result_t images_confirm(void *context, const uint8_t *hash) {
    images_t *images = context;
    if (images->heard != NULL && was_brought(images->update, hash)) (void)images->heard(images->context);
    bool confirmed = hash == NULL && images->update->record.state != TF_UPDATE_STATE_TRIAL;
    for (uint32_t i = 0; i < IMAGES_MOST; i++) {
        tf_smp_image_t image;
        if (hash == NULL || !images_get(context, i, &image)) continue;
        confirmed |= image.confirmed && image.active && tf_equal(image.hash, hash, TF_DIGEST_BYTES);
    }
    return say(confirmed ? TF_SMP_OK : TF_SMP_IMAGE_CONFIRM_DENIED);
}

tf_smp_result_t images_erase(void *context, uint32_t slot) {
    tf_update_t *update = ((images_t *)context)->update;
    if (slot == TF_SMP_FREE_SLOT) slot = update->config.booted == 0 ? 1 : 0;
    if (slot >= IMAGES_MOST) return say(TF_SMP_IMAGE_SLOT);
    const bool firmware = slot < TF_BOOT_SLOTS;
    const tf_local_t erased = tf_local_erase(update, firmware, (uint8_t)(slot % TF_BOOT_SLOTS));
    return erased.status == TF_LOCAL_ACTIVE ? say(TF_SMP_IMAGE_NO_FREE_SLOT) : told(erased);
}
