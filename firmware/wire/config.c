/* A node's configuration: read from flash, changed by a want, written again. SPEC sections 3 and 8. */
#include "config.h"

#include "put.h"

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

static void read_ipv4(tf_reader_t *reader, uint8_t host[4]) {
    tf_text_t dotted = tf_read_text(reader, TF_CONFIG_HOST_MIN, TF_CONFIG_HOST_MAX);
    if (!parse_ipv4(dotted, host)) tf_reader_fail(reader, TF_WIRE_RANGE);
}

/* 1 to 65535 without leading zeros; 0: it is none. */
static uint16_t parse_port(const char *text, uint32_t length) {
    uint32_t port = 0;
    if (length == 0 || length > 5 || text[0] == '0') return 0;
    for (uint32_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        port = port * 10u + (uint32_t)(text[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static void read_server(tf_reader_t *reader, tf_server_t *server) {
    tf_text_t text = tf_read_text(reader, TF_CONFIG_SNTP_MIN, TF_CONFIG_SNTP_MAX);
    uint32_t length = 0;
    while (length < text.length && text.text[length] != ':') length++;
    bool good = parse_ipv4((tf_text_t){text.text, length}, server->host);
    if (good && length < text.length) {
        server->port = parse_port(text.text + length + 1, text.length - length - 1);
        good = server->port != 0;
    }
    if (!good) tf_reader_fail(reader, TF_WIRE_RANGE);
}

static bool tls_change_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_config_change_t *change = out;
    switch (key) {
        case TF_TLS_CHANGE_SERVER:
            change->server = tf_read_text(reader, TF_TLS_CHANGE_SERVER_MIN, TF_TLS_CHANGE_SERVER_MAX);
            return true;
        case TF_TLS_CHANGE_CA_NAME:
            change->ca_name = tf_read_bytes(reader, TF_TLS_CHANGE_CA_NAME_MIN, TF_TLS_CHANGE_CA_NAME_MAX);
            return true;
        case TF_TLS_CHANGE_CA_KEY:
            change->ca_key = tf_read_bytes(reader, TF_TLS_CHANGE_CA_KEY_MIN, TF_TLS_CHANGE_CA_KEY_MAX);
            return true;
        case TF_TLS_CHANGE_CERTIFICATE:
            change->certificate =
                tf_read_bytes(reader, TF_TLS_CHANGE_CERTIFICATE_MIN, TF_TLS_CHANGE_CERTIFICATE_MAX);
            return true;
        case TF_TLS_CHANGE_DAY:
            change->has_day = true;
            change->day = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        default:
            return false;
    }
}

static bool config_change_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_config_change_t *change = out;
    switch (key) {
        case TF_CONFIG_CHANGE_SEQUENCE:
            change->sequence = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_CONFIG_CHANGE_HOST:
            change->has_host = true;
            read_ipv4(reader, change->host);
            return true;
        case TF_CONFIG_CHANGE_PORT:
            change->has_port = true;
            change->port = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_CONFIG_CHANGE_KEEPALIVE_S:
            change->has_keepalive_s = true;
            change->keepalive_s = (uint16_t)tf_read_uint(reader, UINT16_MAX);
            return true;
        case TF_CONFIG_CHANGE_PERIOD_S:
            change->has_period_s = true;
            change->period_s = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_CONFIG_CHANGE_TLS:
            change->has_tls = true;
            tf_read_map(reader, TF_TLS_CHANGE_REQUIRED, tls_change_field, change);
            return true;
        case TF_CONFIG_CHANGE_SNTP:
            change->has_sntp = true;
            read_server(reader, &change->sntp);
            return true;
        default:
            return false;
    }
}

void wire_read_config_change(tf_reader_t *reader, tf_config_change_t *change) {
    tf_read_map(reader, TF_CONFIG_CHANGE_REQUIRED, config_change_field, change);
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

void wire_read_sleep(tf_reader_t *reader, tf_sleep_t *sleep) {
    tf_read_map(reader, TF_SLEEP_REQUIRED, sleep_field, sleep);
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
    switch (key) {
        case TF_CONFIG_DEVICE:
            config->device = tf_read_text(reader, TF_CONFIG_DEVICE_MIN, TF_CONFIG_DEVICE_MAX);
            if (!is_device_id(config->device)) tf_reader_fail(reader, TF_WIRE_RANGE);
            return true;
        case TF_CONFIG_HOST:
            read_ipv4(reader, config->host);
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
        case TF_CONFIG_SNTP:
            config->has_sntp = true;
            read_server(reader, &config->sntp);
            return true;
        case TF_CONFIG_SEQUENCE:
            config->sequence = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_CONFIG_SMP:
            config->smp = (tf_smp_door_t)tf_read_uint(reader, TF_SMP_DOOR_FULL);
            return true;
        case TF_CONFIG_SLEEP:
            config->has_sleep = true;
            wire_read_sleep(reader, &config->sleep);
            return true;
        default:
            return false;
    }
}

tf_wire_status_t tf_decode_config(const uint8_t *data, uint32_t length, tf_config_t *config) {
    *config = (tf_config_t){0};
    tf_reader_t reader;
    tf_reader_init(&reader, data, length);
    if (length > TF_MESSAGE_MAX_BYTES) tf_reader_fail(&reader, TF_WIRE_TOO_LARGE);
    tf_read_map(&reader, TF_CONFIG_REQUIRED, config_field, config);
    return tf_reader_end(&reader);
}

static void put_bytes(tf_writer_t *writer, uint32_t key, tf_bytes_t value, uint32_t max) {
    if (value.length > max) writer->overflow = true;
    tf_write_uint(writer, key);
    tf_write_bytes(writer, value.data, value.length);
}

static uint32_t put_digits(char *out, uint32_t value) {
    uint32_t length = 1;
    for (uint32_t rest = value; rest >= 10; rest /= 10) length++;
    for (uint32_t i = length; i > 0; i--, value /= 10) out[i - 1] = (char)('0' + value % 10);
    return length;
}

/* Dotted; without a port where that is 0. */
static void put_server(tf_writer_t *writer, uint32_t key, const uint8_t host[4], uint16_t port) {
    char text[sizeof "255.255.255.255:65535"];
    uint32_t length = 0;
    for (uint32_t i = 0; i < 4; i++) {
        if (i > 0) text[length++] = '.';
        length += put_digits(text + length, host[i]);
    }
    if (port != 0) {
        text[length++] = ':';
        length += put_digits(text + length, port);
    }
    tf_write_uint(writer, key);
    tf_write_text(writer, text, length);
}

void wire_put_sleep(tf_writer_t *writer, const tf_sleep_t *sleep) {
    tf_write_map(writer, PAIRS(1, sleep->has_budget_bytes, sleep->has_awake_ms));
    put_uint(writer, TF_SLEEP_WAKE_S, sleep->wake_s);
    if (sleep->has_budget_bytes) put_uint(writer, TF_SLEEP_BUDGET_BYTES, sleep->budget_bytes);
    if (sleep->has_awake_ms) put_uint(writer, TF_SLEEP_AWAKE_MS, sleep->awake_ms);
}

static void put_tls(tf_writer_t *writer, const tf_tls_t *tls) {
    tf_write_map(writer, 6);
    put_text(writer, TF_TLS_SERVER, tls->server, TF_TLS_SERVER_MAX);
    put_bytes(writer, TF_TLS_CA_NAME, tls->ca_name, TF_TLS_CA_NAME_MAX);
    put_bytes(writer, TF_TLS_CA_KEY, tls->ca_key, TF_TLS_CA_KEY_MAX);
    put_bytes(writer, TF_TLS_CERTIFICATE, tls->certificate, TF_TLS_CERTIFICATE_MAX);
    put_bytes(writer, TF_TLS_KEY, tls->key, TF_TLS_KEY_MAX);
    put_uint(writer, TF_TLS_DAY, tls->day);
}

uint32_t tf_encode_config(const tf_config_t *config, uint8_t *out, uint32_t capacity) {
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    tf_write_map(&writer, PAIRS(9, config->has_window_ms, config->has_tls, config->has_sntp,
                                config->sequence != 0, config->has_sleep, config->smp != TF_SMP_DOOR_OFF));
    put_text(&writer, TF_CONFIG_DEVICE, config->device, TF_CONFIG_DEVICE_MAX);
    put_server(&writer, TF_CONFIG_HOST, config->host, 0);
    put_uint(&writer, TF_CONFIG_PORT, config->port);
    put_text(&writer, TF_CONFIG_USER, config->user, TF_CONFIG_USER_MAX);
    put_bytes(&writer, TF_CONFIG_PASSWORD, config->password, TF_CONFIG_PASSWORD_MAX);
    put_text(&writer, TF_CONFIG_PREFIX, config->prefix, TF_CONFIG_PREFIX_MAX);
    put_uint(&writer, TF_CONFIG_KEEPALIVE_S, config->keepalive_s);
    put_digest(&writer, TF_CONFIG_SEED, config->seed);
    put_uint(&writer, TF_CONFIG_PERIOD_S, config->period_s);
    if (config->has_window_ms) put_uint(&writer, TF_CONFIG_WINDOW_MS, config->window_ms);
    if (config->has_tls) {
        tf_write_uint(&writer, TF_CONFIG_TLS);
        put_tls(&writer, &config->tls);
    }
    if (config->has_sntp) put_server(&writer, TF_CONFIG_SNTP, config->sntp.host, config->sntp.port);
    if (config->sequence != 0) put_uint(&writer, TF_CONFIG_SEQUENCE, config->sequence);
    if (config->has_sleep) {
        tf_write_uint(&writer, TF_CONFIG_SLEEP);
        wire_put_sleep(&writer, &config->sleep);
    }
    if (config->smp != TF_SMP_DOOR_OFF) put_uint(&writer, TF_CONFIG_SMP, config->smp);
    return tf_writer_end(&writer);
}
