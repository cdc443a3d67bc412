#include "decide.h"

#include <stddef.h>

#include "tinyfleet/boot.h"

#define ROW(start, write) {1, START_##start, WRITE_##write}
/* The first is good, so the second was not looked at. */
#define EITHER(start, write) {ROW(start, write), ROW(start, write)}
#define UNLESS(second_good) {ROW(NONE, NOTHING), second_good}

const boot_row_t tf_boot_table[VIEW_COUNT][2][2] = {
    [VIEW_BLANK] = {UNLESS(ROW(SECOND, ADOPT)), EITHER(FIRST, ADOPT)},
    [VIEW_SETTLED] = {UNLESS(ROW(SECOND, REPLACE)), EITHER(FIRST, NOTHING)},
    [VIEW_TRIAL] = {UNLESS(ROW(SECOND, REFUSED)), EITHER(FIRST, COUNT)},
    /* Nothing else would start: better the one that is on trial, which may still confirm. */
    [VIEW_SPENT] = {UNLESS(ROW(SECOND, NOTHING)), EITHER(FIRST, FAILED)},
    [VIEW_BITTEN] = {UNLESS(ROW(SECOND, NOTHING)), EITHER(FIRST, FAILED)},
};

static boot_view_t view_of(const tf_boot_t *boot, tf_reset_t reset) {
    const tf_boot_record_t *record = &boot->record;
    if (record->pending != TF_BOOT_NO_SLOT) {
        if (record->tries > 0 && reset == TF_RESET_WATCHDOG) return VIEW_BITTEN;
        return record->tries < TF_BOOT_TRIES ? VIEW_TRIAL : VIEW_SPENT;
    }
    return record->active == TF_BOOT_NO_SLOT ? VIEW_BLANK : VIEW_SETTLED;
}

static uint8_t first_of(const tf_boot_t *boot, boot_view_t view) {
    const tf_boot_record_t *record = &boot->record;
    if (view == VIEW_TRIAL) return record->pending;
    if (record->active != TF_BOOT_NO_SLOT) return record->active;
    /* A trial that nothing confirmed came before: what is not on trial. */
    return record->pending == 0 ? 1 : 0;
}

typedef struct {
    tf_image_t image;
    tf_result_t result;
} checked_t;

static bool is_good(const tf_boot_t *boot, const tf_image_policy_t *base, uint8_t slot,
                    tf_boot_choice_t *choice, checked_t *checked) {
    const uint8_t *bytes = tf_boot_slot(boot->layout, slot);
    checked->result = TF_RESULT_NO_FLASH;
    choice->reason[slot] = "the slot cannot be read";
    if (bytes == NULL) return false;
    const tf_image_policy_t policy = tf_boot_policy(boot, base, slot);
    checked->result = tf_image_verify(bytes, boot->layout->slot_bytes, &policy, &checked->image);
    bool good = checked->result == TF_RESULT_SUCCESS;
    choice->reason[slot] = good ? NULL : checked->image.reason;
    return good;
}

static bool carry_out(tf_boot_t *boot, boot_write_t what, uint8_t slot, const checked_t *first,
                      const checked_t *started) {
    switch (what) {
        case WRITE_ADOPT:
            return tf_boot_adopt(boot, slot, started->image.security_counter);
        case WRITE_COUNT:
            return tf_boot_count(boot);
        case WRITE_REFUSED:
            return tf_boot_reject(boot, first->result);
        case WRITE_FAILED:
            return tf_boot_reject(boot, TF_RESULT_BOOT_FAILED);
        case WRITE_REPLACE:
            return tf_boot_adopt(boot, slot, boot->record.security_counter);
        default:
            return true;
    }
}

void tf_boot_choose(tf_boot_t *boot, const tf_image_policy_t *base, tf_reset_t reset,
                    tf_boot_choice_t *choice) {
    *choice = (tf_boot_choice_t){.slot = TF_BOOT_NO_SLOT};
    const boot_view_t view = view_of(boot, reset);
    const uint8_t first = first_of(boot, view), second = first == 0 ? 1 : 0;
    checked_t one, other = {.result = TF_RESULT_INITIAL};
    bool first_good = is_good(boot, base, first, choice, &one);
    bool second_good = !first_good && is_good(boot, base, second, choice, &other);
    const boot_row_t *row = &tf_boot_table[view][first_good][second_good];
    if (row->start == START_NONE) return;
    choice->slot = row->start == START_FIRST ? first : second;
    choice->image = row->start == START_FIRST ? one.image : other.image;
    bool written = carry_out(boot, (boot_write_t)row->write, choice->slot, &one,
                             row->start == START_FIRST ? &one : &other);
    /* A try that cannot be counted could be repeated for ever; without another firmware it is made still. */
    if (!written && row->write == WRITE_COUNT && is_good(boot, base, second, choice, &other)) {
        choice->slot = second;
        choice->image = other.image;
    }
    choice->trial = choice->slot == boot->record.pending;
}
