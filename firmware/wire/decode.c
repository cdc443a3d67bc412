/* Down messages and the maps of records: SPEC sections 3 and 8. */
#include "tinyfleet/wire.h"

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

static bool sleep_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_sleep_t *sleep = out;
    switch (key) {
        case TF_SLEEP_WAKE_S:
            sleep->wake_s = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_SLEEP_BUDGET_BYTES:
            sleep->has_budget_bytes = true;
            sleep->budget_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_SLEEP_AWAKE_MS:
            sleep->has_awake_ms = true;
            sleep->awake_ms = (uint32_t)tf_read_uint(reader, UINT32_MAX);
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
            tf_read_map(reader, TF_SLEEP_REQUIRED, sleep_field, &want->sleep);
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

/* Dotted decimal, four parts of 0..255; "01" passes as in wire/messages.py, "001" does not. */
static bool parse_ipv4(tf_text_t dotted, uint8_t host[4]) {
    uint32_t part = 0, digits = 0, value = 0;
    for (uint32_t i = 0; i <= dotted.length; i++) {
        char c = i < dotted.length ? dotted.text[i] : '.';
        if (c == '.') {
            if (digits == 0 || value > UINT8_MAX || part > 3) return false;
            host[part++] = (uint8_t)value;
            digits = value = 0;
        } else {
            if (c < '0' || c > '9' || digits == 3 || (digits == 2 && value < 10)) return false;
            value = value * 10u + (uint32_t)(c - '0');
            digits++;
        }
    }
    return part == 4;
}

static bool is_device_id(tf_text_t value) {
    for (uint32_t i = 0; i < value.length; i++) {
        char c = value.text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-';
        if (!good) return false;
    }
    return value.length > 0;
}

static bool tls_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_tls_t *tls = out;
    switch (key) {
        case TF_TLS_SERVER:
            tls->server = tf_read_text(reader, TF_TLS_SERVER_MIN, TF_TLS_SERVER_MAX);
            return true;
        case TF_TLS_CA_NAME:
            tls->ca_name = tf_read_bytes(reader, TF_TLS_CA_NAME_MIN, TF_TLS_CA_NAME_MAX);
            return true;
        case TF_TLS_CA_KEY:
            tls->ca_key = tf_read_bytes(reader, TF_TLS_CA_KEY_MIN, TF_TLS_CA_KEY_MAX);
            return true;
        case TF_TLS_CERTIFICATE:
            tls->certificate = tf_read_bytes(reader, TF_TLS_CERTIFICATE_MIN, TF_TLS_CERTIFICATE_MAX);
            return true;
        case TF_TLS_KEY:
            tls->key = tf_read_bytes(reader, TF_TLS_KEY_MIN, TF_TLS_KEY_MAX);
            return true;
        case TF_TLS_DAY:
            tls->day = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool config_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_config_t *config = out;
    tf_text_t host;
    switch (key) {
        case TF_CONFIG_DEVICE:
            config->device = tf_read_text(reader, TF_CONFIG_DEVICE_MIN, TF_CONFIG_DEVICE_MAX);
            if (!is_device_id(config->device)) tf_reader_fail(reader, TF_WIRE_RANGE);
            return true;
        case TF_CONFIG_HOST:
            host = tf_read_text(reader, TF_CONFIG_HOST_MIN, TF_CONFIG_HOST_MAX);
            if (!parse_ipv4(host, config->host)) tf_reader_fail(reader, TF_WIRE_RANGE);
            return true;
        case TF_CONFIG_PORT:
            config->port = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_CONFIG_USER:
            config->user = tf_read_text(reader, 0, TF_CONFIG_USER_MAX);
            return true;
        case TF_CONFIG_PASSWORD:
            config->password = tf_read_bytes(reader, 0, TF_CONFIG_PASSWORD_MAX);
            return true;
        case TF_CONFIG_PREFIX:
            config->prefix = tf_read_text(reader, TF_CONFIG_PREFIX_MIN, TF_CONFIG_PREFIX_MAX);
            return true;
        case TF_CONFIG_KEEPALIVE_S:
            config->keepalive_s = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_CONFIG_SEED:
            tf_read_digest(reader, config->seed);
            return true;
        case TF_CONFIG_PERIOD_S:
            config->period_s = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_CONFIG_WINDOW_MS:
            config->has_window_ms = true;
            config->window_ms = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_CONFIG_TLS:
            config->has_tls = true;
            tf_read_map(reader, TF_TLS_REQUIRED, tls_field, &config->tls);
            return true;
        case TF_CONFIG_SLEEP:
            config->has_sleep = true;
            tf_read_map(reader, TF_SLEEP_REQUIRED, sleep_field, &config->sleep);
            return true;
        case TF_CONFIG_SMP:
            config->smp = (tf_smp_door_t)tf_read_uint(reader, TF_SMP_DOOR_FULL);
            return true;
        default:
            return false;
    }
}

tf_wire_status_t tf_decode_config(const uint8_t *data, uint32_t length, tf_config_t *config) {
    *config = (tf_config_t){0};
    return decode(data, length, TF_MESSAGE_MAX_BYTES, TF_CONFIG_REQUIRED, config_field, config);
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
