/* What becomes of the transported bytes (SPEC section 5). Raw ones are the image, and go to the free slot as
 * they come. Encoded ones are kept in the staging area, sector by sector under the same hashes, and the slot
 * is written from them once all are there: a cut before costs no byte that was fetched, a cut after begins
 * the slot anew from what is there. */
#include <stddef.h>

#include "engine.h"

static bool is_encoded(const tf_update_t *update) {
    return update->fetch.packed.encoding != TF_ENCODING_RAW;
}

uint32_t tf_transfer_offset(const tf_update_t *update) {
    return is_encoded(update) ? update->config.layout.staging_offset : tf_engine_free_offset(update);
}

/* The slot that a delta of what is under way starts from: what runs. NULL: nothing does. */
static const uint8_t *running_slot(const tf_update_t *update) {
    const tf_update_layout_t *layout = &update->config.layout;
    if (update->record.firmware) return tf_boot_slot(update->config.boot->layout, update->config.booted);
    if (update->record.active == TF_UPDATE_NO_SLOT) return NULL;
    return layout->flash->map(layout->flash->context, layout->slot_offset[update->record.active],
                              layout->slot_bytes);
}

/* Whether the base is what runs, by its bytes as they stand, not by what its slot says of itself. */
static bool take_base(tf_update_t *update, const uint8_t digest[32]) {
    const uint8_t *slot = running_slot(update);
    tf_image_t image;
    if (slot == NULL || tf_image_read(slot, tf_engine_slot_bytes(update), &image) != TF_RESULT_SUCCESS) {
        return false;
    }
    uint8_t actual[32];
    if (!tf_equal(image.image, digest, sizeof actual)) return false;
    tf_sha256(slot, image.hashed_bytes, actual);
    update->fetch.packed.base = slot;
    update->fetch.packed.base_bytes = image.hashed_bytes;
    return tf_equal(actual, digest, sizeof actual);
}

fact_t tf_transfer_accept(tf_update_t *update, const tf_manifest_t *manifest) {
    const tf_update_layout_t *layout = &update->config.layout;
    tf_packed_t *packed = &update->fetch.packed;
    *packed = (tf_packed_t){
        .encoding = manifest->encoding, .length = manifest->size_bytes, .image_bytes = manifest->image_bytes};
    update->record.image_bytes = manifest->image_bytes;
    if (manifest->image_bytes > tf_engine_slot_bytes(update)) {
        return fact(EVENT_REFUSE, TF_RESULT_NO_FLASH, "the image is larger than the slot");
    }
    if (!is_encoded(update)) return NOTHING;
    if (layout->staging_bytes == 0) {
        return fact(EVENT_REFUSE, TF_RESULT_UNSUPPORTED_PROTOCOL, "this node takes raw artifacts alone");
    }
    if (manifest->size_bytes > layout->staging_bytes) {
        return fact(EVENT_REFUSE, TF_RESULT_NO_FLASH, "larger than the staging area");
    }
    if (manifest->encoding == TF_ENCODING_DELTA && !take_base(update, manifest->base)) {
        return fact(EVENT_REFUSE, TF_RESULT_BASE_MISMATCH, "the delta starts from another image than runs");
    }
    packed->data = layout->flash->map(layout->flash->context, layout->staging_offset, manifest->size_bytes);
    if (packed->data == NULL) {
        return fact(EVENT_REFUSE, TF_RESULT_NO_FLASH, "the staging area cannot be read");
    }
    return NOTHING;
}

fact_t tf_transfer_finish(tf_update_t *update, const tf_update_now_t *now) {
    tf_update_fetch_t *fetch = &update->fetch;
    if (!is_encoded(update)) return tf_install_check(update);
    update->due_ms = now->uptime_ms;
    /* The link may have gone in between: what is unpacked stays unpacked. */
    if (fetch->unpacking) return NOTHING;
    tf_result_t result = tf_unpack_open(&fetch->unpack, &fetch->packed);
    if (result != TF_RESULT_SUCCESS) return fact(EVENT_REFUSE, result, "encoded in a way this node lacks");
    fetch->unpacking = true;
    fetch->unpacked = 0;
    return NOTHING;
}

fact_t tf_transfer_step(tf_update_t *update, const tf_update_now_t *now) {
    tf_update_fetch_t *fetch = &update->fetch;
    uint32_t left = fetch->packed.image_bytes - fetch->unpacked;
    uint32_t wanted = left < TF_SECTOR_BYTES ? left : TF_SECTOR_BYTES;
    if (tf_unpack_read(&fetch->unpack, fetch->buffer, wanted) != wanted) {
        return fact(EVENT_REFUSE, TF_RESULT_INTEGRITY, "the encoded bytes do not make an image");
    }
    if (!tf_engine_fill(update)) {
        return fact(EVENT_REFUSE, TF_RESULT_UPDATE_FAILED, "the state record cannot be written");
    }
    if (!tf_fetch_write(update, tf_engine_free_offset(update) + fetch->unpacked, fetch->buffer, wanted)) {
        return fact(EVENT_REFUSE, TF_RESULT_UPDATE_FAILED, "the flash does not keep what was written");
    }
    fetch->unpacked += wanted;
    update->due_ms = now->uptime_ms;
    if (fetch->unpacked < fetch->packed.image_bytes) return NOTHING;
    fetch->unpacking = false;
    return tf_install_check(update);
}
