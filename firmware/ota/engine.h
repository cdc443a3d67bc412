/* Inside of ota: how its files share the work on one tf_update_t. */
#ifndef TINYFLEET_OTA_ENGINE_H
#define TINYFLEET_OTA_ENGINE_H

#include "table.h"
#include "tinyfleet/update.h"

/* Something that happened, for the table. */
typedef struct {
    bool happened;
    event_t event;
    tf_result_t result;
    const char *detail; /* a literal of at most 96 bytes, or NULL */
} fact_t;

#define NOTHING ((fact_t){.happened = false})

static inline fact_t fact(event_t event, tf_result_t result, const char *detail) {
    return (fact_t){.happened = true, .event = event, .result = result, .detail = detail};
}

/* engine.c: follows the table until an action has nothing to add. */
void tf_engine_step(tf_update_t *update, const tf_update_now_t *now, fact_t what);
/* A status message with the state as it is; kept while the link is down it would say nothing that birth does
 * not. */
void tf_engine_tell(tf_update_t *update, const tf_update_now_t *now, const char *detail);
bool tf_engine_record(tf_update_t *update);
/* On record, before its first byte is written, that the free slot holds nothing. Until then what was
 * confirmed there is something to fall back to, whatever becomes of the update. */
bool tf_engine_fill(tf_update_t *update);
/* Of what is under way: the slot that is not the active one, and its offset; how large slots are; what they
 * hold. */
uint8_t tf_engine_free_slot(const tf_update_t *update);
uint32_t tf_engine_free_offset(const tf_update_t *update);
uint32_t tf_engine_slot_bytes(const tf_update_t *update);
uint8_t *tf_engine_slots(tf_update_t *update);
const uint8_t *tf_engine_free_bytes(const tf_update_t *update);
/* Whether something else is wanted once what is under way is confirmed. */
bool tf_engine_has_more(const tf_update_record_t *record);
/* The model slot that is not the active one, whatever is under way. */
uint8_t tf_engine_free_model_slot(const tf_update_t *update);
/* The firmware's, likewise; there must be a bootloader. */
uint8_t tf_engine_free_firmware_slot(const tf_update_t *update);

/* install.c: effects of actions. */
fact_t tf_install_consider(tf_update_t *update, const tf_update_now_t *now);
/* VERIFIED when the free slot holds the wanted image, signed and for this node; else REFUSE. */
fact_t tf_install_check(tf_update_t *update);
fact_t tf_install_retry(tf_update_t *update, const tf_update_now_t *now);
uint32_t tf_install_sectors(const tf_update_t *update);
/* Verifies a model's slot as it stands; true when it may run. */
bool tf_install_verify(tf_update_t *update, uint8_t slot, tf_image_t *image, tf_result_t *result);

/* shadow.c: a challenger beside the active model. */
/* Notes what the want says of one, for once the rest is done. */
void tf_shadow_take(tf_update_record_t *record, const tf_want_t *want);
/* The challenger that was noted is under way now. */
void tf_shadow_begin(tf_update_record_t *record);
/* Whether the challenger that runs is the one that a newer want names. */
bool tf_shadow_is_kept(const tf_update_t *update, const tf_want_t *want);
/* Why there is nothing to compare it with; NULL: there is. */
const char *tf_shadow_pointless(const tf_update_t *update);
fact_t tf_shadow_start(tf_update_t *update, const tf_update_now_t *now);
/* After a start in SHADOW. */
fact_t tf_shadow_resume(tf_update_t *update, const tf_update_now_t *now);

/* firmware.c: what the bootloader has to do with it. */
bool tf_firmware_verify(tf_update_t *update, uint8_t slot, tf_image_t *image, tf_result_t *result);
/* Why the active model would not run on the candidate; NULL: it would, or need not. */
const char *tf_firmware_drops(const tf_update_t *update);
/* What the bootloader's record calls the trial by. */
uint32_t tf_firmware_token(const tf_update_record_t *record);
/* Before a trial is recorded: one that no want asked for gets a token of its own. */
void tf_firmware_name_trial(tf_update_t *update);
/* Asks the bootloader for a trial. */
fact_t tf_firmware_try(tf_update_t *update);
/* After a start in TRIAL: what the bootloader made of it. */
fact_t tf_firmware_retry(tf_update_t *update, const tf_update_now_t *now);
/* The running firmware has passed, and the bootloader shall know it first. */
bool tf_firmware_confirm(tf_update_t *update);
/* The running firmware is on trial and has failed. */
void tf_firmware_reject(tf_update_t *update, tf_result_t result);
/* Ends a trial that no record of ours knows of; without a bootloader whose record can be relied on, no
 * firmware is under way. */
void tf_firmware_start(tf_update_t *update);

/* fetch.c */
/* Whether the wake's budget stands against one more group: WAIT, or REFUSE where it always would. */
fact_t tf_fetch_budget(const tf_update_t *update, const tf_update_now_t *now);
void tf_fetch_reset(tf_update_t *update);
fact_t tf_fetch_next(tf_update_t *update, const tf_update_now_t *now);
fact_t tf_fetch_again(tf_update_t *update, const tf_update_now_t *now);
fact_t tf_fetch_late(tf_update_t *update, const tf_update_now_t *now);
/* `complete`: the group is whole now, and its progress is worth telling. */
fact_t tf_fetch_chunk(tf_update_t *update, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t length,
                      const tf_update_now_t *now, bool *complete);

/* Erases, writes and reads back at most a sector; `bytes` has room up to a whole unit of the flash. */
bool tf_fetch_write(const tf_update_t *update, uint32_t offset, uint8_t *bytes, uint32_t length);

/* transfer.c: what becomes of the transported bytes. */
/* The manifest is the wanted one: can this node make its image? REFUSE: NO_FLASH, UNSUPPORTED_PROTOCOL,
 * BASE_MISMATCH. */
fact_t tf_transfer_accept(tf_update_t *update, const tf_manifest_t *manifest);
/* Where sectors go as they come: raw ones to the free slot, others to the staging area. */
uint32_t tf_transfer_offset(const tf_update_t *update);
/* All sectors are there. */
fact_t tf_transfer_finish(tf_update_t *update, const tf_update_now_t *now);
/* Makes the next sector of the image. */
fact_t tf_transfer_step(tf_update_t *update, const tf_update_now_t *now);

/* manifest.c: a chunk of group 0. */
fact_t tf_manifest_chunk(tf_update_t *update, uint16_t index, const uint8_t *data, uint32_t length,
                         bool *complete);
/* Whether group 0 says by itself that it is whole, though its digest says no. */
bool tf_manifest_is_damaged(const tf_update_t *update);

#endif
