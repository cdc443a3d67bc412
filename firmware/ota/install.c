/* May it be installed, and is it what was wanted? */
#include <stddef.h>

#include "engine.h"

uint32_t tf_install_sectors(const tf_update_t *update) {
    uint32_t bytes = update->record.size_bytes;
    uint32_t sectors = bytes / TF_SECTOR_BYTES + (bytes % TF_SECTOR_BYTES != 0 ? 1u : 0u);
    /* A want for what runs already may say any size; a record of more sectors could not be read back. */
    return sectors < TF_SECTORS_MAX ? sectors : TF_SECTORS_MAX;
}

bool tf_install_verify(tf_update_t *update, uint8_t slot, tf_image_t *image, tf_result_t *result) {
    const tf_update_layout_t *layout = &update->config.layout;
    const uint8_t *bytes =
        layout->flash->map(layout->flash->context, layout->slot_offset[slot], layout->slot_bytes);
    *image = (tf_image_t){.reason = "the slot cannot be read"};
    *result = TF_RESULT_NO_FLASH;
    if (bytes == NULL) return false;
    tf_image_policy_t policy = update->config.policy;
    policy.security_counter = update->record.security_counter;
    *result = tf_image_verify(bytes, update->config.layout.slot_bytes, &policy, image);
    return *result == TF_RESULT_SUCCESS;
}

fact_t tf_install_check(tf_update_t *update) {
    tf_image_t *candidate = &update->candidate;
    tf_result_t result;
    bool firmware = update->record.firmware;
    uint8_t slot = tf_engine_free_slot(update);
    bool good = firmware ? tf_firmware_verify(update, slot, candidate, &result)
                         : tf_install_verify(update, slot, candidate, &result);
    if (!good) return fact(EVENT_REFUSE, result, candidate->reason);
    if (!tf_equal(candidate->image, update->record.image, TF_DIGEST_BYTES) ||
        (update->record.image_bytes != 0 && candidate->size_bytes != update->record.image_bytes)) {
        return fact(EVENT_REFUSE, TF_RESULT_INTEGRITY, "another image than the wanted one");
    }
    /* Once it runs, its own test of the model tells more. */
    if (firmware && update->config.booted != slot) {
        const char *drops = tf_firmware_drops(update);
        if (drops != NULL) return fact(EVENT_REFUSE, TF_RESULT_UNSUPPORTED_TYPE, drops);
    }
    return fact(EVENT_VERIFIED, TF_RESULT_INITIAL, NULL);
}

fact_t tf_install_retry(tf_update_t *update, const tf_update_now_t *now) {
    if (update->record.firmware) return tf_firmware_retry(update, now);
    if (update->record.tries >= TF_UPDATE_TRIES) {
        return fact(EVENT_REJECT, TF_RESULT_BOOT_FAILED, "the node restarted during each trial");
    }
    fact_t checked = tf_install_check(update);
    return checked.event == EVENT_VERIFIED ? fact(EVENT_PROCEED, TF_RESULT_INITIAL, NULL) : checked;
}

/* Rolling back to what the free slot still holds costs no byte on air. A slot that was being filled does not
 * count, even if it verifies: what a power cut hit may read well today and not tomorrow. */
static bool is_present(tf_update_t *update) {
    if (tf_engine_slots(update)[tf_engine_free_slot(update)] < TF_UPDATE_SLOT_CANDIDATE) return false;
    const uint8_t *bytes = tf_engine_free_bytes(update);
    tf_image_t image;
    return bytes != NULL && tf_image_read(bytes, tf_engine_slot_bytes(update), &image) == TF_RESULT_SUCCESS &&
           tf_equal(image.image, update->record.image, TF_DIGEST_BYTES) &&
           tf_install_check(update).event == EVENT_VERIFIED;
}

fact_t tf_install_consider(tf_update_t *update, const tf_update_now_t *now) {
    const tf_update_record_t *record = &update->record;
    if (record->has_deadline && now->has_unix_s && now->unix_s >= record->deadline) {
        return fact(EVENT_EXPIRE, TF_RESULT_EXPIRED, "the deadline has passed");
    }
    const char *pointless = record->shadow ? tf_shadow_pointless(update) : NULL;
    if (pointless != NULL) return fact(EVENT_REFUSE, TF_RESULT_UPDATE_FAILED, pointless);
    if (record->size_bytes == 0) return fact(EVENT_REFUSE, TF_RESULT_INTEGRITY, "the want says 0 bytes");
    if (record->size_bytes > tf_engine_slot_bytes(update)) {
        return fact(EVENT_REFUSE, TF_RESULT_NO_FLASH, "larger than the slot");
    }
    if (record->has_not_before && now->has_unix_s && now->unix_s < record->not_before) {
        return fact(EVENT_WAIT, TF_RESULT_INITIAL, "it is not yet time");
    }
    if (record->has_min_battery_pct && now->has_battery_pct && now->battery_pct < record->min_battery_pct) {
        return fact(EVENT_WAIT, TF_RESULT_BATTERY, "the battery is too low");
    }
    if (is_present(update)) return fact(EVENT_PRESENT, TF_RESULT_INITIAL, NULL);
    /* What no want named can be fetched from nowhere. */
    if (record->generation == 0) return fact(EVENT_REFUSE, TF_RESULT_INTEGRITY, "the uploaded image is gone");
    if (!update->link) return NOTHING;
    fact_t budget = tf_fetch_budget(update, now);
    return budget.happened ? budget : fact(EVENT_START, TF_RESULT_INITIAL, NULL);
}
