/* Down messages and the maps of records: SPEC sections 3 and 8. */
#include "config.h"

static tf_wire_status_t decode(const uint8_t *data, uint32_t length, uint32_t max, uint32_t required,
                               tf_read_field_t field, void *out) {
    tf_reader_t reader;
    tf_reader_init(&reader, data, length);
    if (length > max) tf_reader_fail(&reader, TF_WIRE_TOO_LARGE);
    tf_read_map(&reader, required, field, out);
    return tf_reader_end(&reader);
}

static bool wanted_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_wanted_t *wanted = out;
    switch (key) {
        case TF_WANTED_IMAGE:
            tf_read_digest(reader, wanted->image);
            return true;
        case TF_WANTED_MANIFEST:
            tf_read_digest(reader, wanted->manifest);
            return true;
        case TF_WANTED_VERSION:
            wanted->version = tf_read_text(reader, 0, TF_WANTED_VERSION_MAX);
            return true;
        case TF_WANTED_GROUPS:
            wanted->groups = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_WANTED_SIZE_BYTES:
            wanted->size_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool trial_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_trial_t *trial = out;
    switch (key) {
        case TF_TRIAL_INFERENCES:
            trial->inferences = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_TRIAL_LATENCY_US:
            trial->has_latency_us = true;
            trial->latency_us = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_TRIAL_ENERGY_UJ:
            trial->has_energy_uj = true;
            trial->energy_uj = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static void read_classes(tf_reader_t *reader, tf_classes_t *classes) {
    classes->count = tf_read_array(reader, TF_CAPTURE_CLASSES_MIN, TF_CAPTURE_CLASSES_MAX);
    for (uint32_t i = 0; i < classes->count; i++) {
        classes->index[i] = (uint8_t)tf_read_uint(reader, UINT8_MAX);
    }
    tf_read_leave(reader);
}

static bool capture_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_capture_t *capture = out;
    switch (key) {
        case TF_CAPTURE_CLASSES:
            read_classes(reader, &capture->classes);
            return true;
        case TF_CAPTURE_MARGIN_BELOW:
            capture->has_margin_below = true;
            capture->margin_below = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case TF_CAPTURE_PER_DAY:
            capture->per_day = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_CAPTURE_DAY_BYTES:
            capture->day_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

/* 1 to TF_RULE_WINDOWS_MAX. */
static uint8_t read_windows(tf_reader_t *reader) {
    const uint64_t value = tf_read_uint(reader, TF_RULE_WINDOWS_MAX);
    if (value == 0) tf_reader_fail(reader, TF_WIRE_RANGE);
    return (uint8_t)value;
}

static bool event_rule_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_event_rule_t *rule = out;
    switch (key) {
        case TF_EVENT_RULE_CLASSES:
            read_classes(reader, &rule->classes);
            return true;
        case TF_EVENT_RULE_MIN_SCORE:
            rule->min_score = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case TF_EVENT_RULE_WINDOWS:
            rule->windows = read_windows(reader);
            return true;
        case TF_EVENT_RULE_HITS:
            rule->hits = read_windows(reader);
            return true;
        case TF_EVENT_RULE_HOLD_OFF_S:
            rule->hold_off_s = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool want_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_want_t *want = out;
    switch (key) {
        case TF_WANT_GENERATION:
            want->generation = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_WANT_FIRMWARE:
            want->has_firmware = true;
            tf_read_map(reader, TF_WANTED_REQUIRED, wanted_field, &want->firmware);
            return true;
        case TF_WANT_MODEL:
            want->has_model = true;
            tf_read_map(reader, TF_WANTED_REQUIRED, wanted_field, &want->model);
            return true;
        case TF_WANT_NOT_BEFORE:
            want->has_not_before = true;
            want->not_before = tf_read_uint(reader, UINT64_MAX);
            return true;
        case TF_WANT_DEADLINE:
            want->has_deadline = true;
            want->deadline = tf_read_uint(reader, UINT64_MAX);
            return true;
        case TF_WANT_MIN_BATTERY_PCT:
            want->has_min_battery_pct = true;
            want->min_battery_pct = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case TF_WANT_TRIAL:
            want->has_trial = true;
            tf_read_map(reader, TF_TRIAL_REQUIRED, trial_field, &want->trial);
            return true;
        case TF_WANT_PERIOD_S:
            want->has_period_s = true;
            want->period_s = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_WANT_CONFIG:
            want->has_config = true;
            wire_read_config_change(reader, &want->config);
            return true;
        case TF_WANT_CAPTURE:
            want->has_capture = true;
            tf_read_map(reader, TF_CAPTURE_REQUIRED, capture_field, &want->capture);
            return true;
        case TF_WANT_EVENT_RULE:
            want->has_event_rule = true;
            tf_read_map(reader, TF_EVENT_RULE_REQUIRED, event_rule_field, &want->event_rule);
            return true;
        case TF_WANT_SLEEP:
            want->has_sleep = true;
            wire_read_sleep(reader, &want->sleep);
            return true;
        case TF_WANT_SHADOW:
            want->has_shadow = true;
            tf_read_map(reader, TF_WANTED_REQUIRED, wanted_field, &want->shadow);
            return true;
        default:
            return false;
    }
}

tf_wire_status_t tf_decode_want(const uint8_t *data, uint32_t length, tf_want_t *want) {
    *want = (tf_want_t){0};
    return decode(data, length, TF_MESSAGE_MAX_BYTES, TF_WANT_REQUIRED, want_field, want);
}

static bool manifest_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_manifest_t *manifest = out;
    switch (key) {
        case TF_MANIFEST_SIZE_BYTES:
            manifest->size_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_MANIFEST_ENCODING:
            manifest->encoding = (tf_encoding_t)tf_read_uint(reader, TF_ENCODING_DELTA);
            return true;
        case TF_MANIFEST_BASE:
            manifest->has_base = true;
            tf_read_digest(reader, manifest->base);
            return true;
        case TF_MANIFEST_IMAGE_BYTES:
            manifest->image_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_MANIFEST_SECTORS:
            manifest->sectors = tf_read_bytes(reader, 0, TF_MANIFEST_SECTORS_MAX);
            return true;
        default:
            return false;
    }
}

tf_wire_status_t tf_decode_manifest(const uint8_t *data, uint32_t length, tf_manifest_t *manifest) {
    *manifest = (tf_manifest_t){0};
    return decode(data, length, TF_MANIFEST_MAX_BYTES, TF_MANIFEST_REQUIRED, manifest_field, manifest);
}

static bool trust_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_trust_t *trust = out;
    if (key != TF_TRUST_KEYS) return false;
    trust->key_count = tf_read_array(reader, TF_TRUST_KEYS_MIN, TF_TRUST_KEYS_MAX);
    for (uint32_t i = 0; i < trust->key_count; i++) tf_read_digest(reader, trust->keys[i]);
    tf_read_leave(reader);
    return true;
}

tf_wire_status_t tf_decode_trust(const uint8_t *data, uint32_t length, tf_trust_t *trust) {
    *trust = (tf_trust_t){0};
    tf_wire_status_t status =
        decode(data, length, TF_MESSAGE_MAX_BYTES, TF_TRUST_REQUIRED, trust_field, trust);
    /* Half a record trusts nobody. */
    if (status != TF_WIRE_OK) trust->key_count = 0;
    return status;
}

static bool replay_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_replay_t *replay = out;
    switch (key) {
        case TF_REPLAY_SENSOR:
            replay->sensor = tf_read_text(reader, 0, TF_REPLAY_SENSOR_MAX);
            return true;
        case TF_REPLAY_UNIT:
            replay->unit = tf_read_text(reader, 0, TF_REPLAY_UNIT_MAX);
            return true;
        case TF_REPLAY_RATE_MHZ:
            replay->rate_mhz = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_REPLAY_SAMPLES:
            replay->samples = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_REPLAY_CHANNELS:
            replay->channels = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_REPLAY_WINDOWS:
            replay->windows = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

tf_wire_status_t tf_decode_replay(const uint8_t *data, uint32_t length, tf_replay_t *replay) {
    *replay = (tf_replay_t){0};
    return decode(data, length, TF_MESSAGE_MAX_BYTES, TF_REPLAY_REQUIRED, replay_field, replay);
}

static bool feed_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_feed_t *feed = out;
    switch (key) {
        case TF_FEED_SENSOR:
            feed->sensor = tf_read_text(reader, 0, TF_FEED_SENSOR_MAX);
            return true;
        case TF_FEED_UNIT:
            feed->unit = tf_read_text(reader, 0, TF_FEED_UNIT_MAX);
            return true;
        case TF_FEED_RATE_MHZ:
            feed->rate_mhz = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_FEED_SAMPLES:
            feed->samples = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_FEED_CHANNELS:
            feed->channels = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        default:
            return false;
    }
}

tf_wire_status_t tf_decode_feed(const uint8_t *data, uint32_t length, tf_feed_t *feed) {
    *feed = (tf_feed_t){0};
    return decode(data, length, TF_MESSAGE_MAX_BYTES, TF_FEED_REQUIRED, feed_field, feed);
}
