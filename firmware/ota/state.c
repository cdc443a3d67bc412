#include "state.h"

#include <string.h>

/* Keys of the record's map. Never reused, as on the wire. */
enum {
    KEY_SEQUENCE = 0,
    KEY_BOOT = 1,
    KEY_ACTIVE = 2,
    KEY_SLOTS = 3,
    KEY_GENERATION = 4,
    KEY_STATE = 5,
    KEY_RESULT = 6,
    KEY_TRIES = 7,
    KEY_COMMITTED = 8,
    KEY_SIZE_BYTES = 9,
    KEY_MANIFEST = 10,
    KEY_IMAGE = 11,
    KEY_SECURITY_COUNTER = 12,
    KEY_NOT_BEFORE = 13,
    KEY_DEADLINE = 14,
    KEY_MIN_BATTERY_PCT = 15,
    KEY_INFERENCES = 16,
    KEY_LATENCY_US = 17,
    KEY_ENERGY_UJ = 18,
    KEY_FIRMWARE = 19,
    KEY_FIRMWARE_SLOTS = 20,
    KEY_NEXT_MANIFEST = 21,
    KEY_NEXT_IMAGE = 22,
    KEY_NEXT_BYTES = 23,
    KEY_IMAGE_BYTES = 24,
    KEY_TOKEN = 25,
    KEY_SHADOW = 26,
    KEY_SHADOW_MANIFEST = 27,
    KEY_SHADOW_IMAGE = 28,
    KEY_SHADOW_BYTES = 29,
    REQUIRED = (1 << 13) - 1 + (1 << KEY_INFERENCES),
};

static bool read_download(tf_reader_t *reader, uint64_t key, tf_update_record_t *record) {
    switch (key) {
        case KEY_TRIES:
            record->tries = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case KEY_COMMITTED:
            record->committed = (uint16_t)tf_read_uint(reader, TF_SECTORS_MAX);
            return true;
        case KEY_SIZE_BYTES:
            record->size_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_MANIFEST:
            tf_read_digest(reader, record->manifest);
            return true;
        case KEY_IMAGE:
            tf_read_digest(reader, record->image);
            return true;
        case KEY_IMAGE_BYTES:
            record->image_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_SECURITY_COUNTER:
            record->security_counter = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool read_conditions(tf_reader_t *reader, uint64_t key, tf_update_record_t *record) {
    switch (key) {
        case KEY_NOT_BEFORE:
            record->has_not_before = true;
            record->not_before = tf_read_uint(reader, UINT64_MAX);
            return true;
        case KEY_DEADLINE:
            record->has_deadline = true;
            record->deadline = tf_read_uint(reader, UINT64_MAX);
            return true;
        case KEY_MIN_BATTERY_PCT:
            record->has_min_battery_pct = true;
            record->min_battery_pct = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case KEY_INFERENCES:
            record->trial.inferences = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_LATENCY_US:
            record->trial.has_latency_us = true;
            record->trial.latency_us = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_ENERGY_UJ:
            record->trial.has_energy_uj = true;
            record->trial.energy_uj = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static void read_slots(tf_reader_t *reader, uint8_t slots[2]) {
    if (tf_read_array(reader, 2, 2) != 2) return;
    for (uint32_t i = 0; i < 2; i++) slots[i] = (uint8_t)tf_read_uint(reader, TF_UPDATE_SLOT_CONFIRMED);
    tf_read_leave(reader);
}

static bool read_firmware(tf_reader_t *reader, uint64_t key, tf_update_record_t *record) {
    switch (key) {
        case KEY_FIRMWARE:
            record->firmware = tf_read_bool(reader);
            return true;
        case KEY_FIRMWARE_SLOTS:
            read_slots(reader, record->firmware_slots);
            return true;
        case KEY_NEXT_MANIFEST:
            tf_read_digest(reader, record->next_manifest);
            return true;
        case KEY_NEXT_IMAGE:
            tf_read_digest(reader, record->next_image);
            return true;
        case KEY_NEXT_BYTES:
            record->has_next = true;
            record->next_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_TOKEN:
            record->token = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool read_shadow(tf_reader_t *reader, uint64_t key, tf_update_record_t *record) {
    switch (key) {
        case KEY_SHADOW:
            record->shadow = tf_read_bool(reader);
            return true;
        case KEY_SHADOW_MANIFEST:
            tf_read_digest(reader, record->shadow_manifest);
            return true;
        case KEY_SHADOW_IMAGE:
            tf_read_digest(reader, record->shadow_image);
            return true;
        case KEY_SHADOW_BYTES:
            record->has_shadow = true;
            record->shadow_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool read_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_update_record_t *record = out;
    switch (key) {
        case KEY_SEQUENCE:
            record->sequence = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_BOOT:
            record->boot = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_ACTIVE:
            record->active = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            if (record->active >= TF_UPDATE_SLOTS && record->active != TF_UPDATE_NO_SLOT) {
                tf_reader_fail(reader, TF_WIRE_RANGE);
            }
            return true;
        case KEY_SLOTS:
            read_slots(reader, record->slots);
            return true;
        case KEY_GENERATION:
            record->generation = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_STATE:
            record->state = (uint8_t)tf_read_uint(reader, TF_UPDATE_STATE_SHADOW);
            return true;
        case KEY_RESULT:
            record->result = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        default:
            return read_download(reader, key, record) || read_conditions(reader, key, record) ||
                   read_firmware(reader, key, record) || read_shadow(reader, key, record);
    }
}

static bool decode(tf_bytes_t body, tf_update_record_t *record) {
    *record = (tf_update_record_t){0};
    tf_reader_t reader;
    tf_reader_init(&reader, body.data, body.length);
    tf_read_map(&reader, REQUIRED, read_field, record);
    return tf_reader_end(&reader) == TF_WIRE_OK;
}

static void put(tf_writer_t *writer, uint32_t key, uint64_t value) {
    tf_write_uint(writer, key);
    tf_write_uint(writer, value);
}

static void put_digest(tf_writer_t *writer, uint32_t key, const uint8_t digest[32]) {
    tf_write_uint(writer, key);
    tf_write_bytes(writer, digest, TF_DIGEST_BYTES);
}

static void put_slots(tf_writer_t *writer, uint32_t key, const uint8_t slots[2]) {
    tf_write_uint(writer, key);
    tf_write_array(writer, 2);
    for (uint32_t i = 0; i < 2; i++) tf_write_uint(writer, slots[i]);
}

/* The record's map in `area`, which is filled up with erased bytes; its length, 0 when it does not fit. */
static uint32_t encode(const tf_update_record_t *record, uint8_t area[TF_STATE_RECORD_BYTES]) {
    const bool optional[] = {record->has_not_before,      record->has_deadline,
                             record->has_min_battery_pct, record->trial.has_latency_us,
                             record->trial.has_energy_uj, record->shadow};
    uint32_t pairs = 16 + (record->has_next ? 3u : 0u) + (record->image_bytes != 0 ? 1u : 0u) +
                     (record->token != 0 ? 1u : 0u) + (record->has_shadow ? 3u : 0u);
    for (uint32_t i = 0; i < sizeof optional / sizeof *optional; i++) pairs += optional[i] ? 1u : 0u;
    memset(area, 0xFF, TF_STATE_RECORD_BYTES);
    tf_writer_t writer;
    tf_writer_init(&writer, area + TF_RECORD_HEADER_BYTES, TF_STATE_RECORD_BYTES - TF_RECORD_HEADER_BYTES);
    tf_write_map(&writer, pairs);
    put(&writer, KEY_SEQUENCE, record->sequence);
    put(&writer, KEY_BOOT, record->boot);
    put(&writer, KEY_ACTIVE, record->active);
    put_slots(&writer, KEY_SLOTS, record->slots);
    put(&writer, KEY_GENERATION, record->generation);
    put(&writer, KEY_STATE, record->state);
    put(&writer, KEY_RESULT, record->result);
    put(&writer, KEY_TRIES, record->tries);
    put(&writer, KEY_COMMITTED, record->committed);
    put(&writer, KEY_SIZE_BYTES, record->size_bytes);
    put_digest(&writer, KEY_MANIFEST, record->manifest);
    put_digest(&writer, KEY_IMAGE, record->image);
    put(&writer, KEY_SECURITY_COUNTER, record->security_counter);
    if (record->has_not_before) put(&writer, KEY_NOT_BEFORE, record->not_before);
    if (record->has_deadline) put(&writer, KEY_DEADLINE, record->deadline);
    if (record->has_min_battery_pct) put(&writer, KEY_MIN_BATTERY_PCT, record->min_battery_pct);
    put(&writer, KEY_INFERENCES, record->trial.inferences);
    if (record->trial.has_latency_us) put(&writer, KEY_LATENCY_US, record->trial.latency_us);
    if (record->trial.has_energy_uj) put(&writer, KEY_ENERGY_UJ, record->trial.energy_uj);
    tf_write_uint(&writer, KEY_FIRMWARE);
    tf_write_bool(&writer, record->firmware);
    put_slots(&writer, KEY_FIRMWARE_SLOTS, record->firmware_slots);
    if (record->has_next) {
        put_digest(&writer, KEY_NEXT_MANIFEST, record->next_manifest);
        put_digest(&writer, KEY_NEXT_IMAGE, record->next_image);
        put(&writer, KEY_NEXT_BYTES, record->next_bytes);
    }
    if (record->image_bytes != 0) put(&writer, KEY_IMAGE_BYTES, record->image_bytes);
    if (record->token != 0) put(&writer, KEY_TOKEN, record->token);
    if (record->shadow) {
        tf_write_uint(&writer, KEY_SHADOW);
        tf_write_bool(&writer, true);
    }
    if (record->has_shadow) {
        put_digest(&writer, KEY_SHADOW_MANIFEST, record->shadow_manifest);
        put_digest(&writer, KEY_SHADOW_IMAGE, record->shadow_image);
        put(&writer, KEY_SHADOW_BYTES, record->shadow_bytes);
    }
    return tf_writer_end(&writer);
}

static bool accept(tf_bytes_t body) {
    tf_update_record_t record;
    return decode(body, &record);
}

static tf_log_place_t place(const tf_update_layout_t *layout) {
    return (tf_log_place_t){.flash = layout->flash,
                            .offset = {layout->state_offset[0], layout->state_offset[1]},
                            .kind = TF_STATE_RECORD_KIND,
                            .record_bytes = TF_STATE_RECORD_BYTES};
}

bool tf_state_load(const tf_update_layout_t *layout, tf_log_t *log, tf_update_record_t *record) {
    *record = (tf_update_record_t){0};
    const tf_log_place_t where = place(layout);
    uint32_t sequence;
    tf_bytes_t newest = tf_log_load(&where, accept, log, &sequence);
    bool found = newest.data != NULL && decode(newest, record);
    /* A record that the last cut left half written may read as valid one day: it must not be newer than ours.
     */
    record->sequence = sequence + 1u;
    return found;
}

bool tf_state_append(const tf_update_layout_t *layout, tf_log_t *log, tf_update_record_t *record) {
    uint8_t area[TF_STATE_RECORD_BYTES];
    record->sequence++;
    const tf_log_place_t where = place(layout);
    return tf_log_append(&where, log, area, encode(record, area));
}
