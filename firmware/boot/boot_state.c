/* The boot record: read, changed, written. */
#include <stddef.h>
#include <string.h>

#include "tinyfleet/boot.h"

/* Keys of the record's map. Never reused, as on the wire: an older firmware reads what a newer one wrote. */
enum {
    KEY_SEQUENCE = 0,
    KEY_ACTIVE = 1,
    KEY_PENDING = 2,
    KEY_TRIES = 3,
    KEY_TOKEN = 4,
    KEY_RESULT = 5,
    KEY_SECURITY_COUNTER = 6,
    KEYS = 7,
    REQUIRED = (1 << KEYS) - 1,
};

static uint8_t read_slot(tf_reader_t *reader) {
    uint8_t slot = (uint8_t)tf_read_uint(reader, UINT8_MAX);
    if (slot >= TF_BOOT_SLOTS && slot != TF_BOOT_NO_SLOT) tf_reader_fail(reader, TF_WIRE_RANGE);
    return slot;
}

static bool read_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_boot_record_t *record = out;
    switch (key) {
        case KEY_SEQUENCE:
            record->sequence = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_ACTIVE:
            record->active = read_slot(reader);
            return true;
        case KEY_PENDING:
            record->pending = read_slot(reader);
            return true;
        case KEY_TRIES:
            record->tries = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case KEY_TOKEN:
            record->token = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_RESULT:
            record->result = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case KEY_SECURITY_COUNTER:
            record->security_counter = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool decode(tf_bytes_t body, tf_boot_record_t *record) {
    tf_reader_t reader;
    tf_reader_init(&reader, body.data, body.length);
    tf_read_map(&reader, REQUIRED, read_field, record);
    return tf_reader_end(&reader) == TF_WIRE_OK;
}

static bool accept(tf_bytes_t body) {
    tf_boot_record_t record;
    return decode(body, &record);
}

static tf_log_place_t place(const tf_boot_layout_t *layout) {
    return (tf_log_place_t){.flash = layout->flash,
                            .offset = {layout->state_offset[0], layout->state_offset[1]},
                            .kind = TF_BOOT_RECORD_KIND,
                            .record_bytes = TF_BOOT_RECORD_BYTES};
}

void tf_boot_open(tf_boot_t *boot, const tf_boot_layout_t *layout) {
    *boot = (tf_boot_t){.layout = layout, .record = {.active = TF_BOOT_NO_SLOT, .pending = TF_BOOT_NO_SLOT}};
    tf_log_place_t where = place(layout);
    uint32_t sequence;
    tf_bytes_t newest = tf_log_load(&where, accept, &boot->log, &sequence);
    boot->has_record = newest.data != NULL && decode(newest, &boot->record);
    /* A record that the last cut left half written may read as valid one day: it must not be newer. */
    boot->record.sequence = sequence + 1u;
}

static bool write(tf_boot_t *boot, const tf_boot_record_t *after) {
    uint8_t area[TF_BOOT_RECORD_BYTES];
    const uint32_t values[KEYS] = {
        boot->record.sequence + 1u, after->active, after->pending, after->tries, after->token, after->result,
        after->security_counter};
    memset(area, 0xFF, sizeof area);
    tf_writer_t writer;
    tf_writer_init(&writer, area + TF_RECORD_HEADER_BYTES, sizeof area - TF_RECORD_HEADER_BYTES);
    tf_write_map(&writer, KEYS);
    for (uint32_t key = 0; key < KEYS; key++) {
        tf_write_uint(&writer, key);
        tf_write_uint(&writer, values[key]);
    }
    tf_log_place_t where = place(boot->layout);
    /* Whatever comes of the write, this number is used up. */
    boot->record.sequence++;
    if (!tf_log_append(&where, &boot->log, area, tf_writer_end(&writer))) return false;
    uint32_t sequence = boot->record.sequence;
    boot->record = *after;
    boot->record.sequence = sequence;
    boot->has_record = true;
    return true;
}

static void raise(tf_boot_record_t *record, uint32_t security_counter) {
    if (record->security_counter < security_counter) record->security_counter = security_counter;
}

bool tf_boot_adopt(tf_boot_t *boot, uint8_t slot, uint32_t security_counter) {
    tf_boot_record_t after = boot->record;
    after.active = slot;
    raise(&after, security_counter);
    return write(boot, &after);
}

bool tf_boot_request(tf_boot_t *boot, uint8_t slot, uint32_t token) {
    tf_boot_record_t after = boot->record;
    after.pending = slot;
    after.tries = 0;
    after.token = token;
    after.result = TF_RESULT_INITIAL;
    return write(boot, &after);
}

bool tf_boot_count(tf_boot_t *boot) {
    tf_boot_record_t after = boot->record;
    after.tries++;
    return write(boot, &after);
}

bool tf_boot_confirm(tf_boot_t *boot, uint32_t security_counter) {
    tf_boot_record_t after = boot->record;
    after.active = after.pending;
    after.pending = TF_BOOT_NO_SLOT;
    after.tries = 0;
    after.result = TF_RESULT_SUCCESS;
    raise(&after, security_counter);
    return write(boot, &after);
}

bool tf_boot_reject(tf_boot_t *boot, tf_result_t result) {
    tf_boot_record_t after = boot->record;
    after.pending = TF_BOOT_NO_SLOT;
    after.result = (uint8_t)result;
    return write(boot, &after);
}

const uint8_t *tf_boot_slot(const tf_boot_layout_t *layout, uint8_t slot) {
    return layout->flash->map(layout->flash->context, layout->slot_offset[slot], layout->slot_bytes);
}

tf_image_policy_t tf_boot_policy(const tf_boot_t *boot, const tf_image_policy_t *base, uint8_t slot) {
    const tf_boot_layout_t *layout = boot->layout;
    tf_image_policy_t policy = *base;
    policy.kind = TF_ARTIFACT_KIND_FIRMWARE;
    policy.security_counter = boot->record.security_counter;
    policy.start = layout->start;
    policy.address = layout->address;
    policy.room_bytes = layout->room_bytes;
    if (layout->start == TF_IMAGE_START_XIP) {
        policy.address += layout->slot_offset[slot];
        policy.room_bytes = layout->slot_bytes;
    }
    return policy;
}

/* FNV-1a, as the crash record has it: enough to tell a handoff from what a cold start leaves. */
static uint32_t checksum(const tf_handoff_t *handoff) {
    uint32_t hash = 2166136261u;
    const uint8_t *bytes = (const uint8_t *)handoff;
    for (uint32_t i = 0; i < offsetof(tf_handoff_t, check); i++) hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

void tf_handoff_seal(tf_handoff_t *handoff) {
    handoff->magic = TF_HANDOFF_MAGIC;
    handoff->check = checksum(handoff);
}

bool tf_handoff_is_whole(const tf_handoff_t *handoff) {
    return handoff->magic == TF_HANDOFF_MAGIC && handoff->check == checksum(handoff);
}
