/* A challenger runs from the free slot beside the active model, which it never replaces. What tells whether
 * it fits beside that one (arenas, input, classes) is the node's to say, as an answer to SHADOW. */
#include <stddef.h>
#include <string.h>

#include "engine.h"

void tf_shadow_take(tf_update_record_t *record, const tf_want_t *want) {
    record->shadow = false;
    record->has_shadow = want->has_shadow;
    if (!want->has_shadow) return;
    memcpy(record->shadow_manifest, want->shadow.manifest, sizeof record->shadow_manifest);
    memcpy(record->shadow_image, want->shadow.image, sizeof record->shadow_image);
    record->shadow_bytes = want->shadow.size_bytes;
}

void tf_shadow_begin(tf_update_record_t *record) {
    /* What is in flash of it under an older generation stays useful, and is checked again anyway. */
    bool same = !record->firmware && record->size_bytes == record->shadow_bytes &&
                memcmp(record->manifest, record->shadow_manifest, sizeof record->manifest) == 0;
    if (!same) {
        record->committed = 0;
        record->image_bytes = 0;
    }
    record->firmware = record->has_shadow = false;
    record->shadow = true;
    record->tries = 0;
    record->size_bytes = record->shadow_bytes;
    memcpy(record->manifest, record->shadow_manifest, sizeof record->manifest);
    memcpy(record->image, record->shadow_image, sizeof record->image);
}

bool tf_shadow_is_kept(const tf_update_t *update, const tf_want_t *want) {
    const tf_update_record_t *record = &update->record;
    return record->state == TF_UPDATE_STATE_SHADOW && want->has_shadow &&
           tf_equal(record->image, want->shadow.image, TF_DIGEST_BYTES);
}

const char *tf_shadow_pointless(const tf_update_t *update) {
    if (!update->runs) return "no model runs that a challenger could be compared with";
    if (!tf_equal(update->active.image, update->record.image, TF_DIGEST_BYTES)) return NULL;
    return "the challenger is the model that runs";
}

fact_t tf_shadow_resume(tf_update_t *update, const tf_update_now_t *now) {
    const tf_update_record_t *record = &update->record;
    if (record->tries >= TF_UPDATE_TRIES) {
        return fact(EVENT_REJECT, TF_RESULT_BOOT_FAILED, "the node crashed too often with this challenger");
    }
    const char *pointless = tf_shadow_pointless(update);
    if (pointless != NULL) return fact(EVENT_REJECT, TF_RESULT_UPDATE_FAILED, pointless);
    fact_t checked = tf_install_check(update);
    if (checked.event != EVENT_VERIFIED) return checked;
    return tf_shadow_start(update, now);
}

fact_t tf_shadow_start(tf_update_t *update, const tf_update_now_t *now) {
    update->shadow_due = true;
    update->due_ms = now->uptime_ms + update->config.trial_timeout_ms;
    return NOTHING;
}
