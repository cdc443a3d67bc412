/* What a node says and hears (wire/SPEC.md): plain structs, bounded encoders and strict decoders, topics and
 * records.
 *
 * Encoders answer the number of bytes written, 0 when a value is out of bounds or does not fit. Decoders
 * answer TF_WIRE_OK or why they refused; texts and bytes they hand out point into the message. */
#ifndef TINYFLEET_WIRE_H
#define TINYFLEET_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/cbor.h"
#include "tinyfleet/wire_keys.h"

/* "": an empty text; a NULL pointer: absent. */
tf_text_t tf_text(const char *zero_terminated);

/* When the radio is on (SPEC section 10). */
typedef struct {
    uint32_t wake_s; /* 0: always */
    bool has_budget_bytes;
    uint32_t budget_bytes;
    bool has_awake_ms;
    uint32_t awake_ms;
} tf_sleep_t;

/* ---- up ---- */

typedef struct {
    uint32_t size_bytes;
    uint32_t held;
    uint32_t lost;
} tf_ring_info_t;

typedef struct {
    bool has_image;
    uint8_t image[32];
    tf_text_t version;
    uint32_t security_counter;
    tf_text_t name; /* optional */
    bool has_slot;
    uint8_t slot;
} tf_image_info_t;

typedef struct {
    tf_artifact_kind_t kind;
    uint8_t index;
    uint32_t size_bytes;
    bool has_image;
    uint8_t image[32];
} tf_slot_info_t;

typedef struct {
    uint32_t sequence;
    bool has_refused; /* with result; detail stays optional */
    uint32_t refused;
    tf_result_t result;
    tf_text_t detail; /* optional */
} tf_config_report_t;

typedef struct {
    tf_clock_source_t source;
    bool has_unix_s;
    uint64_t unix_s;
} tf_clock_report_t;

typedef struct {
    uint32_t boot;
    uint32_t seq;
    uint32_t generation;
    tf_update_state_t state;
    tf_result_t result;
    tf_text_t device_type;
    tf_text_t hw_rev;
    tf_image_info_t firmware;
    bool has_model;
    tf_image_info_t model;
    uint32_t slot_count;
    tf_slot_info_t slots[TF_BIRTH_SLOTS_MAX];
    uint16_t abi;
    tf_bytes_t ops;
    uint32_t arena_bytes;
    uint32_t golden_bytes;
    uint32_t period_s;
    tf_power_source_t power;
    tf_text_t sensor;
    tf_timing_t timing;
    tf_core_variant_t core;
    uint64_t uptime_ms;
    bool emulated;
    uint8_t decodes; /* bit n: Encoding n; 0: only RAW, and nothing is said */
    uint32_t staging_bytes;
    bool captures; /* acts on want's capture and event rule */
    bool has_shadow;
    tf_image_info_t shadow;
    bool has_shadow_bytes; /* runs challengers */
    uint32_t shadow_bytes;
    bool has_sleep;
    tf_sleep_t sleep;
    bool has_config;
    tf_config_report_t config;
    bool has_clock;
    tf_clock_report_t clock;
    bool has_ring;
    tf_ring_info_t ring;
} tf_birth_t;

typedef struct {
    uint32_t boot;
    uint32_t conn;
    tf_conn_state_t state;
    bool has_next_wake_s;
    uint32_t next_wake_s;
} tf_conn_t;

typedef struct {
    uint32_t elapsed_ms;
    uint32_t mqtt_rx_bytes;
    uint32_t mqtt_tx_bytes;
    uint32_t ip_rx_bytes;
    uint32_t ip_tx_bytes;
} tf_transfer_t;

typedef struct {
    uint32_t boot;
    uint32_t seq;
    uint32_t generation;
    tf_update_state_t state;
    tf_result_t result;
    uint32_t offset_bytes;
    uint32_t size_bytes;
    tf_text_t detail; /* optional */
    bool has_transfer;
    tf_transfer_t transfer;
    bool has_kind;
    tf_artifact_kind_t kind; /* what the update is of */
} tf_status_t;

typedef struct {
    uint8_t active;
    uint8_t challenger;
    uint32_t windows;
} tf_class_pair_t;

/* windows = agreements + all of pairs + rest */
typedef struct {
    uint8_t model[32];
    uint32_t run;
    uint32_t windows;
    uint32_t agreements;
    uint32_t skipped;
    uint32_t missed;
    uint32_t pair_count;
    tf_class_pair_t pairs[TF_COMPARISON_PAIRS_MAX];
    uint32_t rest;
} tf_comparison_t;

typedef struct {
    uint32_t boot;
    uint32_t epoch;
    uint32_t seq;
    uint64_t uptime_ms;
    uint8_t model[32];
    uint32_t inferences;
    uint32_t class_count;
    const uint32_t *classes;
    uint32_t latency[TF_LATENCY_BUCKETS];
    uint64_t latency_sum_us;
    uint32_t confidence[TF_CONFIDENCE_BUCKETS];
    uint32_t dropped;
    bool has_energy_uj; /* measured, never estimated */
    uint64_t energy_uj;
    bool has_battery_mv;
    uint32_t battery_mv;
    bool has_temperature_mc;
    int32_t temperature_mc;
    bool has_rssi_dbm;
    int32_t rssi_dbm;
    bool has_margin; /* a model with classes to choose between */
    uint32_t margin[TF_MARGIN_BUCKETS];
    bool has_live; /* the rest */
    uint32_t switches;
    uint32_t paused;
    uint32_t captured;
    uint32_t skipped;
    const tf_comparison_t *shadow; /* optional */
    bool has_lost;                 /* messages, since the ring was new */
    uint32_t lost;
    bool has_unix_s; /* the clock is known */
    uint64_t unix_s;
} tf_tele_t;

typedef struct {
    uint32_t boot;
    uint32_t seq;
    tf_event_kind_t kind;
    uint64_t uptime_ms;
    bool has_class;
    uint8_t class_index;
    bool has_score;
    uint8_t score;
    tf_text_t text; /* optional */
    bool has_model;
    uint8_t model[32];
} tf_event_t;

/* A window that was asked for, or a part of it. */
typedef struct {
    uint32_t boot;
    uint32_t seq;
    uint8_t part;
    uint8_t parts;
    uint64_t uptime_ms;
    uint8_t model[32];
    uint8_t class_index;
    tf_bytes_t scores;
    bool has_margin;
    uint8_t margin;
    tf_text_t sensor;
    tf_text_t unit;
    uint32_t rate_mhz;
    uint16_t samples;
    uint16_t channels;
    uint32_t offset;
    tf_bytes_t data;
} tf_sample_t;

/* A bench board's answer to HELLO (SPEC section 9). */
typedef struct {
    tf_text_t app;
    tf_text_t device_type;
    bool has_model;
    uint8_t model[32];
    tf_text_t version; /* optional */
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t golden;
    uint32_t arena_bytes;
    uint16_t abi;
    tf_core_variant_t core;
    bool has_window_bytes;
    uint32_t window_bytes;
    bool has_golden_bytes;
    uint32_t golden_bytes;
    bool has_golden_set;
    uint8_t golden_set[32];
    bool has_load_bytes;
    uint32_t load_bytes;
    bool has_emulated;
    bool emulated;
    tf_bytes_t ops; /* optional */
} tf_hello_t;

uint32_t tf_encode_birth(const tf_birth_t *birth, uint8_t *out, uint32_t capacity);
uint32_t tf_encode_conn(const tf_conn_t *conn, uint8_t *out, uint32_t capacity);
uint32_t tf_encode_status(const tf_status_t *status, uint8_t *out, uint32_t capacity);
uint32_t tf_encode_tele(const tf_tele_t *tele, uint8_t *out, uint32_t capacity);
uint32_t tf_encode_event(const tf_event_t *event, uint8_t *out, uint32_t capacity);
uint32_t tf_encode_sample(const tf_sample_t *sample, uint8_t *out, uint32_t capacity);
uint32_t tf_encode_hello(const tf_hello_t *hello, uint8_t *out, uint32_t capacity);

/* ---- down ---- */

typedef struct {
    uint8_t image[32];
    uint8_t manifest[32];
    tf_text_t version;
    uint16_t groups; /* group 0 not counted */
    uint32_t size_bytes;
} tf_wanted_t;

typedef struct {
    uint32_t inferences;
    bool has_latency_us;
    uint32_t latency_us;
    bool has_energy_uj;
    uint32_t energy_uj;
} tf_trial_t;

/* Classes that a setting is about; none: all are. */
typedef struct {
    uint32_t count;
    uint8_t index[TF_CAPTURE_CLASSES_MAX];
} tf_classes_t;

typedef struct {
    tf_classes_t classes;
    bool has_margin_below;
    uint8_t margin_below;
    uint32_t per_day;
    uint32_t day_bytes;
} tf_capture_t;

typedef struct {
    tf_classes_t classes;
    uint8_t min_score;
    uint8_t windows;
    uint8_t hits;
    uint32_t hold_off_s;
} tf_event_rule_t;

/* An address, and a port where it is not the usual one (0). */
typedef struct {
    uint8_t host[4];
    uint16_t port;
} tf_server_t;

/* What a want changes of the configuration; what it does not name stays. */
typedef struct {
    uint32_t sequence;
    bool has_host;
    uint8_t host[4];
    bool has_port;
    uint16_t port;
    bool has_keepalive_s;
    uint16_t keepalive_s;
    bool has_period_s;
    uint32_t period_s;
    bool has_tls;
    tf_text_t server;       /* this and the following: optional */
    tf_bytes_t ca_name;     /* DER */
    tf_bytes_t ca_key;      /* P-256 point, 65 bytes */
    tf_bytes_t certificate; /* DER, for the key that the node has */
    bool has_day;
    uint32_t day;
    bool has_sntp;
    tf_server_t sntp;
} tf_config_change_t;

typedef struct {
    uint32_t generation;
    bool has_firmware;
    tf_wanted_t firmware;
    bool has_model;
    tf_wanted_t model;
    bool has_not_before;
    uint64_t not_before;
    bool has_deadline;
    uint64_t deadline;
    bool has_min_battery_pct;
    uint8_t min_battery_pct;
    bool has_trial;
    tf_trial_t trial;
    bool has_period_s;
    uint32_t period_s;
    bool has_capture;
    tf_capture_t capture;
    bool has_event_rule;
    tf_event_rule_t event_rule;
    bool has_shadow;
    tf_wanted_t shadow;
    bool has_sleep;
    tf_sleep_t sleep;
    bool has_config;
    tf_config_change_t config; /* its texts and bytes point into the message */
} tf_want_t;

typedef struct {
    uint32_t size_bytes;
    tf_encoding_t encoding;
    bool has_base;
    uint8_t base[32];
    uint32_t image_bytes;
    tf_bytes_t sectors; /* 16 bytes for each sector */
} tf_manifest_t;

tf_wire_status_t tf_decode_want(const uint8_t *data, uint32_t length, tf_want_t *want);
tf_wire_status_t tf_decode_manifest(const uint8_t *data, uint32_t length, tf_manifest_t *manifest);
/* Whether sizes and sector hashes agree (SPEC section 5); decoding looks at each value alone. */
bool tf_manifest_adds_up(const tf_manifest_t *manifest);
/* Length of a whole manifest, told by its beginning (its first chunk); 0 when that is no manifest. */
uint32_t tf_manifest_length(const uint8_t *beginning, uint32_t length);

/* ---- records in flash (SPEC section 8) ---- */

typedef struct {
    uint32_t key_count;
    uint8_t keys[TF_TRUST_KEYS_MAX][32];
} tf_trust_t;

typedef struct {
    tf_text_t server;
    tf_bytes_t ca_name; /* DER */
    tf_bytes_t ca_key;  /* P-256 point, 65 bytes */
    tf_bytes_t certificate;
    tf_bytes_t key; /* P-256 scalar, 32 bytes */
    uint32_t day;   /* since 1970-01-01 */
} tf_tls_t;

typedef struct {
    tf_text_t device;
    uint8_t host[4];
    uint16_t port;
    tf_text_t user;
    tf_bytes_t password;
    tf_text_t prefix;
    uint16_t keepalive_s;
    uint8_t seed[32];
    uint32_t period_s;
    bool has_window_ms;
    uint32_t window_ms;
    bool has_tls;
    tf_tls_t tls;
    bool has_sleep;
    tf_sleep_t sleep;
    tf_smp_door_t smp; /* over UDP */
    bool has_sntp;
    tf_server_t sntp;
    uint32_t sequence; /* 0: as provisioned */
} tf_config_t;

typedef struct {
    tf_text_t sensor;
    tf_text_t unit;
    uint32_t rate_mhz;
    uint16_t samples;
    uint16_t channels;
    uint32_t windows;
} tf_replay_t;

typedef struct {
    tf_text_t sensor;
    tf_text_t unit;
    uint32_t rate_mhz;
    uint16_t samples;
    uint16_t channels;
} tf_feed_t;

/* Checks magic, kind, length and CRC at the start of `area`; `body` is the CBOR map. */
tf_wire_status_t tf_record_read(const uint8_t *area, uint32_t area_bytes, uint16_t kind, tf_bytes_t *body);
/* Puts header and CRC around a body that stands at out + TF_RECORD_HEADER_BYTES; answers the whole length, a
 * multiple of 4, or 0 when it does not fit. */
uint32_t tf_record_seal(uint8_t *out, uint32_t capacity, uint16_t kind, uint32_t body_bytes);
uint32_t tf_crc32(const uint8_t *data, uint32_t length);

/* Each takes the region where its record stands. */
tf_wire_status_t tf_record_trust(const uint8_t *area, uint32_t area_bytes, tf_trust_t *trust);
tf_wire_status_t tf_record_config(const uint8_t *area, uint32_t area_bytes, tf_config_t *config);
/* Also checks that the windows fit the area. */
tf_wire_status_t tf_record_replay(const uint8_t *area, uint32_t area_bytes, tf_replay_t *replay);
/* Also checks that a window is one that the node has room for. */
tf_wire_status_t tf_record_feed(const uint8_t *area, uint32_t area_bytes, tf_feed_t *feed);
/* The maps alone, for their vectors. */
tf_wire_status_t tf_decode_trust(const uint8_t *data, uint32_t length, tf_trust_t *trust);
tf_wire_status_t tf_decode_config(const uint8_t *data, uint32_t length, tf_config_t *config);
tf_wire_status_t tf_decode_replay(const uint8_t *data, uint32_t length, tf_replay_t *replay);
tf_wire_status_t tf_decode_feed(const uint8_t *data, uint32_t length, tf_feed_t *feed);
/* The configuration's map, for a node that writes a changed one. */
uint32_t tf_encode_config(const tf_config_t *config, uint8_t *out, uint32_t capacity);

/* ---- topics (SPEC section 2); all answer the length without the NUL, 0 when it does not fit ---- */

#define TF_TOPIC_MAX 96u

/* {prefix}/{device}/{leaf} */
uint32_t tf_topic_device(char *out, uint32_t capacity, tf_text_t prefix, tf_text_t device, const char *leaf);
/* {prefix}/blob/{manifest}/{group}/+ ; the blob's name is the first 16 bytes of the manifest digest. */
uint32_t tf_topic_blob(char *out, uint32_t capacity, tf_text_t prefix, const uint8_t manifest[16],
                       uint16_t group);

typedef struct {
    uint8_t manifest[16];
    uint16_t group;
    uint16_t index;
} tf_blob_topic_t;

/* False: not a chunk's topic in its one canonical spelling. */
bool tf_topic_blob_parse(tf_text_t topic, tf_text_t prefix, tf_blob_topic_t *out);

/* ---- histograms ---- */

/* Bucket of SPEC section 6, 0..14. */
uint32_t tf_latency_bucket(uint32_t latency_us);

const char *tf_update_state_name(tf_update_state_t state);

#endif
