/* The engine's doors: events in, actions out. */
#include "tinyfleet/update.h"

#include <stddef.h>
#include <string.h>

#include "engine.h"
#include "state.h"

static uint32_t or_default(uint32_t value, uint32_t standard) {
    return value != 0 ? value : standard;
}

/* Whether the parts of a layout can work together at all; a wrong one is a bug of the board's port. */
static bool is_usable(const tf_update_layout_t *layout) {
    const tf_flash_t *flash = layout->flash;
    if (flash->sector_bytes == 0 || TF_SECTOR_BYTES % flash->sector_bytes != 0) return false;
    if (flash->write_bytes == 0 || TF_STATE_RECORD_BYTES % flash->write_bytes != 0) return false;
    if (layout->staging_offset % TF_SECTOR_BYTES != 0 || layout->staging_bytes % TF_SECTOR_BYTES != 0)
        return false;
    return layout->slot_bytes % TF_SECTOR_BYTES == 0 &&
           layout->slot_bytes / TF_SECTOR_BYTES <= TF_SECTORS_MAX;
}

static tf_result_t runs_from(tf_update_t *update, uint8_t slot) {
    tf_result_t result;
    update->runs = tf_install_verify(update, slot, &update->active, &result);
    if (update->runs) update->record.active = slot;
    return result;
}

/* The active slot if it verifies, else the one confirmed before it, else nothing. */
static void choose_active(tf_update_t *update, bool has_record) {
    tf_update_record_t *record = &update->record;
    if (!has_record) {
        /* A board that was given a model before its first start. */
        for (uint8_t slot = 0; slot < TF_UPDATE_SLOTS; slot++) {
            if (runs_from(update, slot) != TF_RESULT_SUCCESS) continue;
            record->slots[slot] = TF_UPDATE_SLOT_CONFIRMED;
            record->security_counter = update->active.security_counter;
            return;
        }
    } else if (record->active != TF_UPDATE_NO_SLOT) {
        uint8_t active = record->active, other = tf_engine_free_model_slot(update);
        tf_result_t result = runs_from(update, active);
        /* Whole, but not for this firmware: the one before may need it again. */
        if (result == TF_RESULT_SUCCESS || result == TF_RESULT_UNSUPPORTED_TYPE) return;
        record->slots[active] = TF_UPDATE_SLOT_EMPTY;
        /* What was reported as confirmed does not run any more, and birth must not say so. */
        bool told = record->state == TF_UPDATE_STATE_CONFIRMED || record->state == TF_UPDATE_STATE_SHADOW;
        if (told && !record->firmware) {
            record->state = TF_UPDATE_STATE_REVERTED;
            record->result = TF_RESULT_INTEGRITY;
        }
        if (record->slots[other] == TF_UPDATE_SLOT_CONFIRMED &&
            runs_from(update, other) == TF_RESULT_SUCCESS) {
            return;
        }
    }
    record->active = TF_UPDATE_NO_SLOT;
}

/* Keeps the deadline in uptime, so that it needs no clock later. */
static void note_time(tf_update_t *update, const tf_update_now_t *now) {
    const tf_update_record_t *record = &update->record;
    if (!record->has_deadline) {
        update->deadline_ms = TF_UPDATE_NEVER;
    } else if (now->has_unix_s) {
        uint64_t left_s = record->deadline > now->unix_s ? record->deadline - now->unix_s : 0;
        bool far = left_s > (TF_UPDATE_NEVER - now->uptime_ms) / 1000u;
        update->deadline_ms = far ? TF_UPDATE_NEVER : now->uptime_ms + left_s * 1000u;
    }
}

bool tf_update_start(tf_update_t *update, const tf_update_config_t *config, const tf_update_now_t *now) {
    /* Not by a compound literal, which may be built on the stack: 25 KiB. */
    memset(update, 0, sizeof *update);
    update->config = *config;
    update->due_ms = update->deadline_ms = TF_UPDATE_NEVER;
    tf_update_config_t *own = &update->config;
    own->group_timeout_ms = or_default(own->group_timeout_ms, 5000);
    own->group_tries = or_default(own->group_tries, 4);
    own->pause_first_ms = or_default(own->pause_first_ms, 500);
    own->resume_ms = or_default(own->resume_ms, 60000);
    own->trial_timeout_ms = or_default(own->trial_timeout_ms, 600000);
    own->trial_inference_ms = or_default(own->trial_inference_ms, 60000);
    own->self_test_ms = or_default(own->self_test_ms, 300000);
    update->fetch.group = update->fetch.subscribed = TF_UPDATE_NO_GROUP;
    update->fetch.started_ms = now->uptime_ms;
    update->record.active = TF_UPDATE_NO_SLOT;
    if (!is_usable(&own->layout)) return false;
    bool has_record = tf_state_load(&own->layout, &update->log, &update->record);
    update->record.boot++;
    choose_active(update, has_record);
    tf_firmware_start(update);
    update->run_due = true;
    note_time(update, now);
    if (!tf_engine_record(update)) return false;
    tf_engine_step(update, now, fact(EVENT_RESTART, TF_RESULT_INITIAL, NULL));
    return true;
}

const tf_image_t *tf_update_active(const tf_update_t *update) {
    return update->runs ? &update->active : NULL;
}

const tf_update_record_t *tf_update_record(const tf_update_t *update) {
    return &update->record;
}

static void take_wanted(tf_update_record_t *record, const tf_wanted_t *wanted) {
    /* The same bytes under a newer generation: what is in flash stays useful, and is checked again anyway. */
    bool same = memcmp(record->manifest, wanted->manifest, sizeof record->manifest) == 0;
    if (!same || record->size_bytes != wanted->size_bytes) {
        record->committed = 0;
        record->image_bytes = 0;
    }
    memcpy(record->manifest, wanted->manifest, sizeof record->manifest);
    memcpy(record->image, wanted->image, sizeof record->image);
    record->size_bytes = wanted->size_bytes;
}

static void take_next(tf_update_record_t *record, const tf_wanted_t *wanted) {
    record->has_next = true;
    memcpy(record->next_manifest, wanted->manifest, sizeof record->next_manifest);
    memcpy(record->next_image, wanted->image, sizeof record->next_image);
    record->next_bytes = wanted->size_bytes;
}

static void take_conditions(tf_update_record_t *record, const tf_want_t *want) {
    record->generation = want->generation;
    record->tries = 0;
    record->has_not_before = want->has_not_before;
    record->not_before = want->not_before;
    record->has_deadline = want->has_deadline;
    record->deadline = want->deadline;
    record->has_min_battery_pct = want->has_min_battery_pct;
    record->min_battery_pct = want->min_battery_pct;
    record->trial = want->has_trial ? want->trial : (tf_trial_t){0};
}

static bool is_image(const uint8_t *running, const tf_wanted_t *wanted) {
    return running != NULL && tf_equal(running, wanted->image, TF_DIGEST_BYTES);
}

/* What a newer want asks of this node. Firmware comes first: a model may need the one it came with. */
static fact_t judge(tf_update_t *update, const tf_want_t *want) {
    tf_update_record_t *record = &update->record;
    const tf_image_t *active = tf_update_active(update);
    bool model = want->has_model && !is_image(active != NULL ? active->image : NULL, &want->model);
    bool firmware = want->has_firmware && !is_image(update->config.firmware_image, &want->firmware);
    if (!firmware && !model && tf_shadow_is_kept(update, want)) {
        return fact(EVENT_KEEP, (tf_result_t)record->result, NULL);
    }
    bool ends = record->state == TF_UPDATE_STATE_SHADOW;
    const char *ended = ends ? "this update ended the shadow challenger" : NULL;
    record->firmware = record->has_next = false;
    tf_shadow_take(record, want);
    /* What runs already is of no account where a challenger may be half in flash. */
    bool shadow = want->has_shadow;
    if (want->has_firmware && (firmware || !shadow)) {
        take_wanted(record, &want->firmware);
        if (firmware) {
            if (update->config.boot == NULL) {
                return fact(EVENT_FIRMWARE, TF_RESULT_UNSUPPORTED_TYPE, "this node cannot install firmware");
            }
            record->firmware = true;
            if (model) take_next(record, &want->model);
            return fact(EVENT_OFFER, TF_RESULT_INITIAL, ended);
        }
    }
    if (want->has_model && (model || !shadow)) take_wanted(record, &want->model);
    if (model) return fact(EVENT_OFFER, TF_RESULT_INITIAL, ended);
    if (shadow) {
        tf_shadow_begin(record);
        return fact(EVENT_OFFER, TF_RESULT_INITIAL, ended);
    }
    if (ends) ended = "the shadow challenger was stopped";
    if (!want->has_firmware && !want->has_model) return fact(EVENT_STAY, TF_RESULT_INITIAL, ended);
    return fact(EVENT_CURRENT, TF_RESULT_SUCCESS, ended);
}

bool tf_update_is_newer(const tf_update_t *update, uint32_t generation) {
    uint32_t acted_on = update->record.generation;
    /* 0 is none; else less than half the circle ahead (RFC 1982), as the manager counts. */
    return generation != 0 && (acted_on == 0 || (int32_t)(generation - acted_on) > 0);
}

void tf_update_want(tf_update_t *update, const tf_want_t *want, const tf_update_now_t *now) {
    tf_update_record_t *record = &update->record;
    if (update->reset_due) return;
    bool held = record->firmware && record->state == TF_UPDATE_STATE_TRIAL;
    if (want == NULL) {
        update->has_held = false;
        if (record->state == TF_UPDATE_STATE_TRIAL) record->has_next = record->has_shadow = false;
        tf_engine_step(update, now, fact(EVENT_WITHDRAW, TF_RESULT_INITIAL, NULL));
        return;
    }
    if (want->generation == record->generation) {
        note_time(update, now);
        tf_engine_step(update, now, fact(EVENT_REMIND, TF_RESULT_INITIAL, NULL));
        return;
    }
    if (!tf_update_is_newer(update, want->generation)) return;
    if (held) {
        /* The slot that it would go to is the one that runs. */
        update->has_held = true;
        update->held = *want;
        return;
    }
    take_conditions(record, want);
    update->fetch.started_ms = now->uptime_ms;
    update->deadline_ms = TF_UPDATE_NEVER; /* the old one's; the new one's needs a clock */
    note_time(update, now);
    tf_engine_step(update, now, judge(update, want));
}

void tf_update_chunk(tf_update_t *update, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t length,
                     const tf_update_now_t *now) {
    if (update->record.state != TF_UPDATE_STATE_DOWNLOADING) return;
    bool complete;
    fact_t found = tf_fetch_chunk(update, topic, data, length, now, &complete);
    if (complete && !found.happened) {
        update->record.result = TF_RESULT_INITIAL;
        tf_engine_tell(update, now, NULL);
        found = tf_fetch_next(update, now);
    }
    tf_engine_step(update, now, found);
}

void tf_update_link(tf_update_t *update, bool up, const tf_update_now_t *now) {
    update->link = up;
    /* Subscriptions end with the connection; what was not yet told, the next birth tells. */
    update->fetch.subscribed = TF_UPDATE_NO_GROUP;
    update->fetch.again = false;
    update->fetch.resumes = 0;
    update->queue.count = 0;
    note_time(update, now);
    tf_engine_step(update, now,
                   up ? fact(EVENT_LINK_UP, TF_RESULT_INITIAL, NULL)
                      : fact(EVENT_LINK_DOWN, TF_RESULT_CONNECTION_LOST, NULL));
}

/* What came while a firmware was on trial. */
static void take_held(tf_update_t *update, const tf_update_now_t *now) {
    if (!update->has_held || update->reset_due) return;
    const tf_want_t want = update->held;
    update->has_held = false;
    tf_update_want(update, &want, now);
}

void tf_update_trial(tf_update_t *update, tf_result_t result, const char *detail,
                     const tf_update_now_t *now) {
    tf_update_record_t *record = &update->record;
    /* A trial that was not handed out yet cannot have ended: it is the answer of one before. */
    if (update->trial_due || update->shadow_due || update->reset_due) return;
    bool passed = result == TF_RESULT_SUCCESS;
    bool firmware = record->firmware && record->state == TF_UPDATE_STATE_TRIAL;
    if (passed && firmware && !tf_firmware_confirm(update)) {
        passed = false;
        result = TF_RESULT_UPDATE_FAILED;
        detail = "the boot record cannot be written";
    }
    bool more = record->state == TF_UPDATE_STATE_TRIAL && tf_engine_has_more(record);
    event_t event = !passed ? EVENT_REJECT : more ? EVENT_HALFWAY : EVENT_PASS;
    tf_engine_step(update, now, fact(event, result, detail));
    if (firmware) take_held(update, now);
}

void tf_update_tick(tf_update_t *update, const tf_update_now_t *now) {
    if (update->reset_due) return;
    note_time(update, now);
    if (now->uptime_ms >= update->deadline_ms) {
        tf_engine_step(update, now, fact(EVENT_EXPIRE, TF_RESULT_EXPIRED, "the deadline has passed"));
    }
    if (update->record.state == TF_UPDATE_STATE_DOWNLOADING && now->has_budget && now->left_bytes == 0) {
        tf_engine_step(update, now, fact(EVENT_WAIT, TF_RESULT_BUDGET, "the wake is over"));
    }
    if (now->uptime_ms < update->due_ms) return;
    update->due_ms = TF_UPDATE_NEVER;
    fact_t due = fact(EVENT_DUE, TF_RESULT_INITIAL, NULL);
    if (update->record.state == TF_UPDATE_STATE_TRIAL) {
        due = fact(EVENT_DUE, TF_RESULT_UPDATE_FAILED, "the trial gave no answer");
    } else if (update->record.state == TF_UPDATE_STATE_SHADOW) {
        due = fact(EVENT_DUE, TF_RESULT_UPDATE_FAILED, "the challenger's golden vectors found no time");
    }
    tf_engine_step(update, now, due);
}

/* States in which a deadline still counts. */
static bool is_open(uint8_t state) {
    return state >= TF_UPDATE_STATE_OFFERED && state <= TF_UPDATE_STATE_PAUSED;
}

uint64_t tf_update_due(const tf_update_t *update) {
    uint64_t due_ms = update->reset_due ? TF_UPDATE_NEVER : update->due_ms;
    if (is_open(update->record.state) && update->deadline_ms < due_ms) due_ms = update->deadline_ms;
    return due_ms;
}

/* What the broker should send us now, and what it was asked for: the difference is an action. */
static bool next_subscription(tf_update_t *update, tf_update_action_t *action) {
    tf_update_fetch_t *fetch = &update->fetch;
    const tf_update_record_t *record = &update->record;
    bool fetching = update->link && record->state == TF_UPDATE_STATE_DOWNLOADING && !fetch->pausing;
    uint16_t wanted = fetching ? fetch->group : TF_UPDATE_NO_GROUP;
    bool same = fetch->subscribed == wanted &&
                memcmp(fetch->subscribed_manifest, record->manifest, sizeof fetch->subscribed_manifest) == 0;
    if (fetch->subscribed != TF_UPDATE_NO_GROUP && (fetch->again || !same)) {
        action->kind = TF_UPDATE_UNSUBSCRIBE;
        action->group = fetch->subscribed;
        fetch->subscribed = TF_UPDATE_NO_GROUP;
        fetch->again = false;
    } else if (fetch->subscribed == TF_UPDATE_NO_GROUP && wanted != TF_UPDATE_NO_GROUP) {
        action->kind = TF_UPDATE_SUBSCRIBE;
        action->group = wanted;
        fetch->subscribed = wanted;
        fetch->again = false;
        memcpy(fetch->subscribed_manifest, record->manifest, sizeof fetch->subscribed_manifest);
    } else {
        return false;
    }
    memcpy(action->manifest, fetch->subscribed_manifest, sizeof action->manifest);
    return true;
}

bool tf_update_next(tf_update_t *update, tf_update_action_t *action) {
    tf_update_queue_t *queue = &update->queue;
    *action = (tf_update_action_t){0};
    if (queue->count > 0) {
        action->kind = TF_UPDATE_STATUS;
        action->status = queue->entries[queue->first];
        queue->first = (queue->first + 1u) % TF_UPDATE_STATUS_QUEUE;
        queue->count--;
        return true;
    }
    if (update->reset_due) {
        action->kind = TF_UPDATE_RESET;
        return true;
    }
    bool shadow = update->record.state == TF_UPDATE_STATE_SHADOW;
    /* Before anything is written to its slot. */
    if (update->shadow_runs && !shadow) {
        update->shadow_runs = false;
        action->kind = TF_UPDATE_SHADOW;
        action->slot = TF_UPDATE_NO_SLOT;
        return true;
    }
    if (next_subscription(update, action)) return true;
    if (update->run_due) {
        update->run_due = false;
        action->kind = TF_UPDATE_RUN;
        action->slot = update->runs ? update->record.active : TF_UPDATE_NO_SLOT;
        if (action->slot != TF_UPDATE_NO_SLOT) action->image = update->active;
        return true;
    }
    if (update->trial_due) {
        update->trial_due = false;
        action->kind = TF_UPDATE_TRIAL;
        action->slot = tf_engine_free_slot(update);
        action->firmware = update->record.firmware;
        action->image = update->candidate;
        action->trial = update->record.trial;
        return true;
    }
    if (update->shadow_due && shadow) {
        update->shadow_due = false;
        update->shadow_runs = true;
        action->kind = TF_UPDATE_SHADOW;
        action->slot = tf_engine_free_slot(update);
        action->image = update->candidate;
        return true;
    }
    return false;
}
