#include "engine.h"

#include <stddef.h>
#include <string.h>

#include "state.h"

uint8_t tf_engine_free_model_slot(const tf_update_t *update) {
    const tf_update_record_t *record = &update->record;
    if (record->active != TF_UPDATE_NO_SLOT) return record->active == 0 ? 1 : 0;
    /* Nothing runs: go on with the slot that is being filled or tried. */
    bool second = record->slots[1] == TF_UPDATE_SLOT_FILLING || record->slots[1] == TF_UPDATE_SLOT_CANDIDATE;
    return second ? 1 : 0;
}

/* On trial, a firmware runs from the slot that is still the free one. */
uint8_t tf_engine_free_firmware_slot(const tf_update_t *update) {
    uint8_t active = update->config.boot->record.active;
    if (active == TF_BOOT_NO_SLOT) active = update->config.booted;
    return active == 0 ? 1 : 0;
}

uint8_t tf_engine_free_slot(const tf_update_t *update) {
    return update->record.firmware ? tf_engine_free_firmware_slot(update) : tf_engine_free_model_slot(update);
}

uint32_t tf_engine_free_offset(const tf_update_t *update) {
    uint8_t slot = tf_engine_free_slot(update);
    return update->record.firmware ? update->config.boot->layout->slot_offset[slot]
                                   : update->config.layout.slot_offset[slot];
}

uint32_t tf_engine_slot_bytes(const tf_update_t *update) {
    return update->record.firmware ? update->config.boot->layout->slot_bytes
                                   : update->config.layout.slot_bytes;
}

uint8_t *tf_engine_slots(tf_update_t *update) {
    return update->record.firmware ? update->record.firmware_slots : update->record.slots;
}

const uint8_t *tf_engine_free_bytes(const tf_update_t *update) {
    const tf_flash_t *flash = update->config.layout.flash;
    return flash->map(flash->context, tf_engine_free_offset(update), tf_engine_slot_bytes(update));
}

bool tf_engine_fill(tf_update_t *update) {
    uint8_t *slot = &tf_engine_slots(update)[tf_engine_free_slot(update)];
    if (*slot == TF_UPDATE_SLOT_FILLING) return true;
    *slot = TF_UPDATE_SLOT_FILLING;
    return tf_engine_record(update);
}

bool tf_engine_record(tf_update_t *update) {
    return tf_state_append(&update->config.layout, &update->log, &update->record);
}

/* Bytes of the download that are in flash without a gap. */
static uint32_t committed_bytes(const tf_update_record_t *record) {
    uint32_t bytes = record->committed * TF_SECTOR_BYTES;
    return bytes < record->size_bytes ? bytes : record->size_bytes;
}

void tf_engine_tell(tf_update_t *update, const tf_update_now_t *now, const char *detail) {
    tf_update_queue_t *queue = &update->queue;
    const tf_update_record_t *record = &update->record;
    if (!update->link) return;
    if (queue->count == TF_UPDATE_STATUS_QUEUE) {
        /* The newest tells most. */
        queue->first = (queue->first + 1u) % TF_UPDATE_STATUS_QUEUE;
        queue->count--;
    }
    tf_status_t *status = &queue->entries[(queue->first + queue->count) % TF_UPDATE_STATUS_QUEUE];
    queue->count++;
    *status = (tf_status_t){
        .boot = record->boot,
        .seq = ++update->status_seq,
        .generation = record->generation,
        .state = (tf_update_state_t)record->state,
        .result = (tf_result_t)record->result,
        .offset_bytes = committed_bytes(record),
        .size_bytes = record->size_bytes,
        .detail = tf_text(detail),
        .has_transfer = record->state >= TF_UPDATE_STATE_DOWNLOADING,
        .transfer = {.elapsed_ms = (uint32_t)(now->uptime_ms - update->fetch.started_ms)},
        .has_kind = record->generation != 0,
        .kind = record->firmware ? TF_ARTIFACT_KIND_FIRMWARE : TF_ARTIFACT_KIND_MODEL,
    };
}

bool tf_engine_has_more(const tf_update_record_t *record) {
    return record->has_next || record->has_shadow;
}

/* What was wanted besides is under way now: of a firmware its model, of a model its challenger. */
static void take_next(tf_update_record_t *record) {
    if (!record->has_next) {
        tf_shadow_begin(record);
        return;
    }
    record->firmware = false;
    record->has_next = false;
    record->committed = 0;
    record->image_bytes = 0;
    record->tries = 0;
    record->size_bytes = record->next_bytes;
    memcpy(record->manifest, record->next_manifest, sizeof record->manifest);
    memcpy(record->image, record->next_image, sizeof record->image);
}

/* `slot`: which the free one is changes as soon as it is confirmed. */
static void confirm_model(tf_update_t *update, uint8_t slot) {
    tf_update_record_t *record = &update->record;
    record->active = slot;
    if (record->security_counter < update->candidate.security_counter) {
        record->security_counter = update->candidate.security_counter;
    }
}

/* What an action changes in the record, before it is written. */
static void prepare(tf_update_t *update, action_t action) {
    tf_update_record_t *record = &update->record;
    const uint8_t free_slot = tf_engine_free_slot(update);
    uint8_t *slot = &tf_engine_slots(update)[free_slot];
    switch (action) {
        case ACTION_STOP:
        case ACTION_FAIL:
            /* What was confirmed before and not overwritten stays something to fall back to. */
            if (*slot != TF_UPDATE_SLOT_CONFIRMED) *slot = TF_UPDATE_SLOT_EMPTY;
            break;
        case ACTION_CURRENT:
        case ACTION_PRESENT:
            record->committed = (uint16_t)tf_install_sectors(update);
            break;
        case ACTION_STAGE:
            *slot = TF_UPDATE_SLOT_CANDIDATE;
            break;
        case ACTION_TRY:
            record->tries++;
            if (record->firmware) tf_firmware_name_trial(update);
            break;
        case ACTION_CONFIRM:
            *slot = TF_UPDATE_SLOT_CONFIRMED;
            if (!record->firmware) confirm_model(update, free_slot);
            break;
        case ACTION_ADVANCE:
            *slot = TF_UPDATE_SLOT_CONFIRMED;
            if (!record->firmware) confirm_model(update, free_slot);
            take_next(record);
            break;
        case ACTION_RESUME:
            record->result = TF_RESULT_INITIAL; /* its golden vectors have not passed since */
            if (update->config.crashed) record->tries++;
            break;
        default:
            break;
    }
}

/* The candidate stands in its slot, or is on record there: the next step. */
static fact_t onward(const tf_update_t *update) {
    const tf_update_record_t *record = &update->record;
    bool challenges = record->shadow && record->state == TF_UPDATE_STATE_STAGED;
    return fact(challenges ? EVENT_CHALLENGE : EVENT_PROCEED, TF_RESULT_INITIAL, NULL);
}

/* Carries an action out; what follows from it at once. */
static fact_t effect(tf_update_t *update, action_t action, const tf_update_now_t *now) {
    tf_update_fetch_t *fetch = &update->fetch;
    switch (action) {
        case ACTION_OFFER:
        case ACTION_ADVANCE:
            tf_fetch_reset(update);
            return tf_install_consider(update, now);
        case ACTION_CONSIDER:
            return tf_install_consider(update, now);
        case ACTION_DEFER:
            update->due_ms = now->uptime_ms + update->config.resume_ms;
            return NOTHING;
        case ACTION_FETCH:
            return tf_fetch_next(update, now);
        case ACTION_REFETCH:
            return tf_fetch_again(update, now);
        case ACTION_CONTINUE:
            return tf_fetch_late(update, now);
        case ACTION_PAUSE:
            if (!update->link) return NOTHING;
            update->due_ms = now->uptime_ms + ((uint64_t)update->config.resume_ms << fetch->resumes);
            if (fetch->resumes < 4) fetch->resumes++;
            return NOTHING;
        case ACTION_CHECK: {
            fact_t checked = tf_install_check(update);
            return checked.event == EVENT_VERIFIED ? onward(update) : checked;
        }
        case ACTION_PRESENT:
        case ACTION_STAGE:
            return onward(update);
        case ACTION_CHALLENGE:
            return tf_shadow_start(update, now);
        case ACTION_RESUME:
            return tf_shadow_resume(update, now);
        case ACTION_ACCOMPANY:
            update->due_ms = TF_UPDATE_NEVER;
            return NOTHING;
        case ACTION_TRY:
            if (update->record.firmware) return tf_firmware_try(update);
            update->trial_due = true;
            update->due_ms = now->uptime_ms + update->config.trial_timeout_ms +
                             (uint64_t)update->record.trial.inferences * update->config.trial_inference_ms;
            return NOTHING;
        case ACTION_RETRY:
            return tf_install_retry(update, now);
        default:
            return NOTHING;
    }
}

/* The record cannot be written, so nothing may be done that relies on it. What runs goes on. */
static void give_up(tf_update_t *update, const tf_update_record_t *before, const tf_update_now_t *now) {
    uint32_t sequence = update->record.sequence;
    update->record = *before;
    update->record.sequence = sequence;
    update->record.state = TF_UPDATE_STATE_FAILED;
    update->record.result = TF_RESULT_UPDATE_FAILED;
    update->due_ms = TF_UPDATE_NEVER;
    update->shadow_due = false;
    tf_engine_tell(update, now, "the state record cannot be written");
}

void tf_engine_step(tf_update_t *update, const tf_update_now_t *now, fact_t what) {
    tf_update_record_t *record = &update->record;
    while (what.happened) {
        const tf_update_record_t before = *record;
        const cell_t *cell = &tf_update_table[record->state][what.event];
        bool moves = cell->next != record->state;
        record->state = cell->next;
        /* Why it waits may change while it does; the next birth says so. */
        bool waits = what.event == EVENT_WAIT && record->state == TF_UPDATE_STATE_DEFERRED;
        if (moves || waits || (cell->flags & CELL_TELL) != 0) record->result = (uint8_t)what.result;
        /* Each state sets its own time; none outlives it. */
        if (moves) update->due_ms = TF_UPDATE_NEVER;
        bool tried_model = before.state == TF_UPDATE_STATE_TRIAL && !before.firmware;
        if (record->state == TF_UPDATE_STATE_REVERTED && before.firmware && moves) {
            tf_firmware_reject(update, what.result);
        }
        prepare(update, (action_t)cell->action);
        if (moves) update->trial_due = update->shadow_due = false;
        if (moves && tried_model) update->run_due = true;
        if ((cell->flags & CELL_RECORD) != 0 && !tf_engine_record(update)) {
            give_up(update, &before, now);
            return;
        }
        bool confirms = cell->action == ACTION_CONFIRM || cell->action == ACTION_ADVANCE;
        if (confirms && !before.firmware) {
            update->active = update->candidate;
            update->runs = true;
        }
        if ((cell->flags & CELL_TELL) != 0) tf_engine_tell(update, now, what.detail);
        what = effect(update, (action_t)cell->action, now);
    }
}
