/* A firmware's trial is the bootloader's: asked for in the boot record, found there after the next start. Its
 * record is written before ours, so that ours never says more than what will start. */
#include <stddef.h>

#include "engine.h"

bool tf_firmware_verify(tf_update_t *update, uint8_t slot, tf_image_t *image, tf_result_t *result) {
    const tf_boot_t *boot = update->config.boot;
    const uint8_t *bytes = tf_boot_slot(boot->layout, slot);
    *image = (tf_image_t){.reason = "the slot cannot be read"};
    *result = TF_RESULT_NO_FLASH;
    if (bytes == NULL) return false;
    const tf_image_policy_t policy = tf_boot_policy(boot, &update->config.policy, slot);
    *result = tf_image_verify(bytes, boot->layout->slot_bytes, &policy, image);
    return *result == TF_RESULT_SUCCESS;
}

const char *tf_firmware_drops(const tf_update_t *update) {
    const tf_image_t *firmware = &update->candidate, *model = &update->active;
    /* What comes with a model of its own may drop the one that runs now. */
    if (!update->runs || update->record.has_next) return NULL;
    if (firmware->abi != model->abi) return "it has another runtime ABI than the running model needs";
    if ((firmware->cores >> model->core & 1u) == 0) return "it does not run the running model's core";
    if (tf_image_version_below(&firmware->version, &model->needs)) {
        return "the running model needs a newer firmware";
    }
    if (update->config.has_ops != NULL && !update->config.has_ops(firmware, model)) {
        return "it lacks an op that the running model needs";
    }
    return NULL;
}

uint32_t tf_firmware_token(const tf_update_record_t *record) {
    return record->generation != 0 ? record->generation : record->token;
}

void tf_firmware_name_trial(tf_update_t *update) {
    tf_update_record_t *record = &update->record;
    /* The number of a record in which the last token stands already: none is given twice, and no generation
     * comes that far. */
    record->token = record->generation != 0 ? 0 : update->config.boot->record.sequence | 0x80000000u;
}

fact_t tf_firmware_try(tf_update_t *update) {
    if (!tf_boot_request(update->config.boot, tf_engine_free_slot(update),
                         tf_firmware_token(&update->record))) {
        return fact(EVENT_REJECT, TF_RESULT_UPDATE_FAILED, "the boot record cannot be written");
    }
    update->reset_due = true;
    return NOTHING;
}

fact_t tf_firmware_retry(tf_update_t *update, const tf_update_now_t *now) {
    const tf_boot_record_t *boot = &update->config.boot->record;
    const uint8_t slot = tf_engine_free_slot(update);
    if (boot->token != tf_firmware_token(&update->record)) {
        /* Power went before it was asked for. */
        if (update->record.tries >= TF_UPDATE_TRIES) {
            return fact(EVENT_REJECT, TF_RESULT_BOOT_FAILED, "the node restarted before each trial");
        }
        fact_t checked = tf_install_check(update);
        return checked.event == EVENT_VERIFIED ? fact(EVENT_PROCEED, TF_RESULT_INITIAL, NULL) : checked;
    }
    if (boot->pending == TF_BOOT_NO_SLOT) {
        /* Power went after the confirmation; the active slot is then the one that was free. */
        if (boot->result == TF_RESULT_SUCCESS) {
            return fact(tf_engine_has_more(&update->record) ? EVENT_HALFWAY : EVENT_PASS, TF_RESULT_SUCCESS,
                        NULL);
        }
        return fact(EVENT_REJECT, (tf_result_t)boot->result, "the bootloader went back to this firmware");
    }
    if (update->config.booted != slot) {
        return fact(EVENT_REJECT, TF_RESULT_BOOT_FAILED, "the bootloader did not start it");
    }
    fact_t checked = tf_install_check(update);
    if (checked.event != EVENT_VERIFIED) return checked;
    update->trial_due = true;
    update->due_ms = now->uptime_ms + update->config.self_test_ms;
    return NOTHING;
}

bool tf_firmware_confirm(tf_update_t *update) {
    return tf_boot_confirm(update->config.boot, update->candidate.security_counter);
}

void tf_firmware_reject(tf_update_t *update, tf_result_t result) {
    tf_boot_t *boot = update->config.boot;
    if (boot->record.pending == TF_BOOT_NO_SLOT) return;
    /* Should it not be written, the bootloader goes back by itself once the tries are used up. */
    (void)tf_boot_reject(boot, result);
    if (update->config.booted == tf_engine_free_slot(update)) update->reset_due = true;
}

/* What the record says of a firmware ends where none can be installed. */
static void forget(tf_update_record_t *record) {
    bool open = record->state >= TF_UPDATE_STATE_OFFERED && record->state <= TF_UPDATE_STATE_TRIAL;
    if (record->firmware && open) {
        record->state = TF_UPDATE_STATE_FAILED;
        record->result = TF_RESULT_UNSUPPORTED_TYPE;
        record->has_shadow = false;
    }
    record->firmware = record->has_next = false;
}

/* Whether the bootloader went around an active slot that does not verify and could not write that down: the
 * slot beside the active one is then the one that runs, and not free. */
static bool is_stranded(tf_boot_t *boot, uint8_t booted) {
    const tf_boot_record_t *record = &boot->record;
    if (record->active == TF_BOOT_NO_SLOT || record->active == booted || record->pending == booted)
        return false;
    return !tf_boot_adopt(boot, booted, record->security_counter);
}

void tf_firmware_start(tf_update_t *update) {
    tf_update_record_t *record = &update->record;
    if (update->config.boot != NULL && is_stranded(update->config.boot, update->config.booted)) {
        update->config.boot = NULL;
    }
    tf_boot_t *boot = update->config.boot;
    if (boot == NULL) {
        forget(record);
        return;
    }
    if (boot->record.active == update->config.booted) {
        record->firmware_slots[update->config.booted] = TF_UPDATE_SLOT_CONFIRMED;
    }
    bool known = record->firmware && record->state == TF_UPDATE_STATE_TRIAL;
    if (boot->record.pending == TF_BOOT_NO_SLOT || known) return;
    update->reset_due = update->config.booted == boot->record.pending;
    (void)tf_boot_reject(boot, TF_RESULT_BOOT_FAILED);
}
