#include "tinyfleet/local.h"

#include <stddef.h>
#include <string.h>

#include "engine.h"

static tf_local_t say(tf_local_status_t status) {
    return (tf_local_t){.status = status};
}

static bool is_settled(const tf_update_t *update) {
    const uint8_t state = update->record.state;
    return !update->reset_due && (state == TF_UPDATE_STATE_IDLE || state >= TF_UPDATE_STATE_CONFIRMED);
}

/* The model slot is not, while a challenger or a model on trial runs from it: until the node was told that it
 * shall not, which a status before that may delay. */
static bool may_write(const tf_update_t *update, bool firmware) {
    const bool runs =
        update->record.state == TF_UPDATE_STATE_SHADOW || update->shadow_runs || update->run_due;
    return is_settled(update) && (firmware || !runs);
}

typedef struct {
    uint8_t slot;
    uint32_t offset;
    uint32_t bytes;
    uint8_t *holds; /* tf_update_slot_t */
} place_t;

/* The slot that is free for this kind; there must be one. */
static place_t free_place(tf_update_t *update, bool firmware) {
    place_t place = {0};
    if (firmware) {
        const tf_boot_layout_t *layout = update->config.boot->layout;
        place.slot = tf_engine_free_firmware_slot(update);
        place.offset = layout->slot_offset[place.slot];
        place.bytes = layout->slot_bytes;
        place.holds = &update->record.firmware_slots[place.slot];
    } else {
        place.slot = tf_engine_free_model_slot(update);
        place.offset = update->config.layout.slot_offset[place.slot];
        place.bytes = update->config.layout.slot_bytes;
        place.holds = &update->record.slots[place.slot];
    }
    return place;
}

/* On record before anything is done that relies on it. */
static bool hold(tf_update_t *update, const place_t *place, tf_update_slot_t what) {
    *place->holds = (uint8_t)what;
    return tf_engine_record(update);
}

bool tf_local_is_open(const tf_update_t *update) {
    return update->upload.open && is_settled(update) && update->upload.sequence == update->record.sequence;
}

static bool is_same(const tf_update_upload_t *upload, bool firmware, uint32_t size_bytes,
                    const uint8_t *sha) {
    return upload->firmware == firmware && upload->size_bytes == size_bytes && upload->has_sha &&
           sha != NULL && tf_equal(upload->sha, sha, sizeof upload->sha);
}

tf_local_t tf_local_begin(tf_update_t *update, bool firmware, uint32_t size_bytes, const uint8_t *sha) {
    tf_update_upload_t *upload = &update->upload;
    if (!may_write(update, firmware)) return say(TF_LOCAL_BUSY);
    if (firmware && update->config.boot == NULL) return say(TF_LOCAL_NO_SLOT);
    if (tf_local_is_open(update) && is_same(upload, firmware, size_bytes, sha)) return say(TF_LOCAL_OK);
    const place_t place = free_place(update, firmware);
    if (size_bytes == 0 || size_bytes > place.bytes) return say(TF_LOCAL_TOO_LARGE);
    *upload = (tf_update_upload_t){.firmware = firmware, .size_bytes = size_bytes, .has_sha = sha != NULL};
    if (sha != NULL) memcpy(upload->sha, sha, sizeof upload->sha);
    if (!hold(update, &place, TF_UPDATE_SLOT_FILLING)) return say(TF_LOCAL_FLASH);
    upload->sequence = update->record.sequence;
    upload->open = true;
    return say(TF_LOCAL_OK);
}

/* OK, or why the free slot's image may not be tried. */
static tf_local_t check(tf_update_t *update, bool firmware, uint8_t slot, tf_image_t *image) {
    tf_local_t found = {0};
    const bool good = firmware ? tf_firmware_verify(update, slot, image, &found.result)
                               : tf_install_verify(update, slot, image, &found.result);
    if (!good) {
        found.status = TF_LOCAL_REFUSED;
        found.reason = image->reason;
    }
    return found;
}

static tf_local_t finish(tf_update_t *update, const place_t *place) {
    const tf_update_upload_t *upload = &update->upload;
    const tf_flash_t *flash = update->config.layout.flash;
    update->upload.open = false;
    tf_local_t found = say(TF_LOCAL_FLASH);
    const uint8_t *bytes = flash->map(flash->context, place->offset, upload->size_bytes);
    if (bytes != NULL) {
        uint8_t digest[32];
        tf_image_t image;
        tf_sha256(bytes, upload->size_bytes, digest);
        found = check(update, upload->firmware, place->slot, &image);
        if (found.status == TF_LOCAL_OK && image.size_bytes != upload->size_bytes) {
            found = (tf_local_t){TF_LOCAL_REFUSED, TF_RESULT_INTEGRITY, "bytes behind the image"};
        }
        if (upload->has_sha && !tf_equal(digest, upload->sha, sizeof digest)) found = say(TF_LOCAL_SHA);
    }
    const bool good = found.status == TF_LOCAL_OK;
    if (!hold(update, place, good ? TF_UPDATE_SLOT_CANDIDATE : TF_UPDATE_SLOT_EMPTY) && good) {
        *place->holds = TF_UPDATE_SLOT_EMPTY;
        return say(TF_LOCAL_FLASH);
    }
    return found;
}

tf_local_t tf_local_write(tf_update_t *update, const uint8_t *data, uint32_t length) {
    tf_update_upload_t *upload = &update->upload;
    if (!tf_local_is_open(update)) return say(TF_LOCAL_BUSY);
    if (length > upload->size_bytes - upload->offset_bytes) return say(TF_LOCAL_OVERRUN);
    const place_t place = free_place(update, upload->firmware);
    /* While no want is being carried out, the group's buffer is free. */
    uint8_t *sector = update->fetch.buffer;
    while (length > 0) {
        const uint32_t at = upload->offset_bytes % TF_SECTOR_BYTES;
        const uint32_t part = length < TF_SECTOR_BYTES - at ? length : TF_SECTOR_BYTES - at;
        memcpy(sector + at, data, part);
        data += part;
        length -= part;
        upload->offset_bytes += part;
        const bool whole = upload->offset_bytes == upload->size_bytes;
        if (at + part < TF_SECTOR_BYTES && !whole) break;
        const uint32_t offset =
            place.offset + (upload->offset_bytes - 1u) / TF_SECTOR_BYTES * TF_SECTOR_BYTES;
        if (!tf_fetch_write(update, offset, sector, at + part)) {
            upload->open = false;
            (void)hold(update, &place, TF_UPDATE_SLOT_EMPTY);
            return say(TF_LOCAL_FLASH);
        }
    }
    return upload->offset_bytes == upload->size_bytes ? finish(update, &place) : say(TF_LOCAL_OK);
}

static bool holds_digest(tf_update_t *update, const place_t *place, const uint8_t digest[32],
                         tf_image_t *image) {
    const tf_flash_t *flash = update->config.layout.flash;
    if (*place->holds < TF_UPDATE_SLOT_CANDIDATE) return false;
    const uint8_t *bytes = flash->map(flash->context, place->offset, place->bytes);
    return bytes != NULL && tf_image_read(bytes, place->bytes, image) == TF_RESULT_SUCCESS &&
           tf_equal(image->image, digest, TF_DIGEST_BYTES);
}

/* A want of nobody's: generation 0, no conditions, the image is here. */
static void take(tf_update_record_t *record, bool firmware, const tf_image_t *image) {
    record->generation = 0;
    record->firmware = firmware;
    record->has_next = record->shadow = record->has_shadow = false;
    record->tries = 0;
    record->committed = 0;
    record->size_bytes = record->image_bytes = image->size_bytes;
    memset(record->manifest, 0, sizeof record->manifest);
    memcpy(record->image, image->image, sizeof record->image);
    record->has_not_before = record->has_deadline = record->has_min_battery_pct = false;
    record->trial = (tf_trial_t){0};
}

tf_local_t tf_local_test(tf_update_t *update, const uint8_t digest[32], const tf_update_now_t *now) {
    const tf_image_t *active = tf_update_active(update);
    const uint8_t *running = update->config.firmware_image;
    if (running != NULL && tf_equal(running, digest, TF_DIGEST_BYTES)) return say(TF_LOCAL_ACTIVE);
    if (active != NULL && tf_equal(active->image, digest, TF_DIGEST_BYTES)) return say(TF_LOCAL_ACTIVE);
    if (!is_settled(update)) return say(TF_LOCAL_BUSY);
    tf_image_t image;
    bool firmware = update->config.boot != NULL;
    place_t place = {0};
    if (firmware) place = free_place(update, true);
    if (!firmware || !holds_digest(update, &place, digest, &image)) {
        firmware = false;
        place = free_place(update, false);
        if (!holds_digest(update, &place, digest, &image)) return say(TF_LOCAL_NO_IMAGE);
    }
    const tf_local_t found = check(update, firmware, place.slot, &update->candidate);
    if (found.status != TF_LOCAL_OK) return found;
    const tf_update_record_t before = update->record;
    take(&update->record, firmware, &image);
    const char *drops = firmware ? tf_firmware_drops(update) : NULL;
    if (drops != NULL) {
        update->record = before;
        return (tf_local_t){TF_LOCAL_REFUSED, TF_RESULT_UNSUPPORTED_TYPE, drops};
    }
    update->upload.open = false;
    update->fetch.started_ms = now->uptime_ms;
    update->deadline_ms = TF_UPDATE_NEVER;
    tf_engine_step(update, now, fact(EVENT_OFFER, TF_RESULT_INITIAL, NULL));
    return update->record.state == TF_UPDATE_STATE_TRIAL ? say(TF_LOCAL_OK) : say(TF_LOCAL_FLASH);
}

tf_local_t tf_local_erase(tf_update_t *update, bool firmware, uint8_t slot) {
    if (!may_write(update, firmware)) return say(TF_LOCAL_BUSY);
    if (firmware && update->config.boot == NULL) return say(TF_LOCAL_NO_SLOT);
    const place_t place = free_place(update, firmware);
    if (place.slot != slot) return say(slot < TF_UPDATE_SLOTS ? TF_LOCAL_ACTIVE : TF_LOCAL_NO_SLOT);
    const tf_flash_t *flash = update->config.layout.flash;
    update->upload.open = false;
    if (!hold(update, &place, TF_UPDATE_SLOT_EMPTY)) return say(TF_LOCAL_FLASH);
    const bool erased = flash->erase(flash->context, place.offset, TF_SECTOR_BYTES) == 0;
    return say(erased ? TF_LOCAL_OK : TF_LOCAL_FLASH);
}
