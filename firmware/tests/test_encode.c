/* What the encoders write is, byte for byte, what wire/vectors holds for the same values. */
#include "check.h"
#include "tinyfleet/wire.h"

static char folder[512];
static const uint8_t image[32] = {0x93, 0x72, 0xc4, 0x70, 0xee, 0xad, 0xd5, 0xec, 0xd9, 0xc3, 0xc7,
                                  0x4c, 0x2b, 0x3c, 0xb6, 0x33, 0xf8, 0xe2, 0xf2, 0xfa, 0xd7, 0x99,
                                  0x25, 0x0a, 0x0f, 0x70, 0xd6, 0x52, 0xb6, 0xb8, 0x25, 0xe4};
/* SHA-256 of "windows" */
static const uint8_t windows[32] = {0x34, 0x0d, 0x60, 0x03, 0x92, 0x81, 0x8d, 0xf2, 0x41, 0x33, 0x82,
                                    0xdc, 0x7d, 0x83, 0x25, 0xc3, 0x60, 0xd8, 0x3e, 0xa4, 0x9a, 0x26,
                                    0x2d, 0x31, 0x76, 0x03, 0x48, 0x48, 0x4b, 0xbc, 0x10, 0xb5};

static const uint8_t challenger[32] = {0xe7, 0xac, 0x82, 0x7c, 0x27, 0xb0, 0xac, 0xaa, 0x1a, 0xad, 0xe4,
                                       0xf5, 0x0c, 0xad, 0x29, 0x7d, 0x99, 0x6e, 0x86, 0x2c, 0x76, 0x57,
                                       0xdf, 0x81, 0xf5, 0xc3, 0x59, 0x5a, 0x90, 0xc1, 0x85, 0x47};

typedef uint32_t (*encode_t)(const void *message, uint8_t *out, uint32_t capacity);

static void expect(const char *name, encode_t encode, const void *message) {
    char path[1200];
    uint8_t vector[TF_MESSAGE_MAX_BYTES], out[TF_MESSAGE_MAX_BYTES];
    snprintf(path, sizeof path, "%s/accept/%s.bin", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) perror(path);
    CHECK(file != NULL);
    uint32_t size = (uint32_t)fread(vector, 1, sizeof vector, file);
    fclose(file);
    CHECK_EQUAL(encode(message, out, sizeof out), size);
    CHECK(memcmp(out, vector, size) == 0);
    /* One byte less than needed: nothing, and not a byte beyond. */
    for (uint32_t capacity = 0; capacity < size; capacity++) {
        uint8_t *tight = malloc(capacity > 0 ? capacity : 1);
        CHECK_EQUAL(encode(message, tight, capacity), 0);
        free(tight);
    }
}

#define ENCODER(type)                                                                     \
    static uint32_t encode_##type(const void *message, uint8_t *out, uint32_t capacity) { \
        return tf_encode_##type(message, out, capacity);                                  \
    }
ENCODER(birth)
ENCODER(conn)
ENCODER(status)
ENCODER(tele)
ENCODER(event)
ENCODER(hello)
ENCODER(sample)
ENCODER(config)

static void births(void) {
    static const uint8_t ops[] = {0xfe, 0x03};
    tf_birth_t birth = {
        .boot = 3,
        .seq = 1,
        .generation = 41,
        .state = TF_UPDATE_STATE_CONFIRMED,
        .result = TF_RESULT_SUCCESS,
        .device_type = tf_text("mps2-an386"),
        .hw_rev = tf_text("qemu"),
        .firmware = {.version = tf_text("0.1.0")},
        .has_model = true,
        .model = {.has_image = true,
                  .version = tf_text("1.2.3+4"),
                  .security_counter = 7,
                  .name = tf_text("activity"),
                  .has_slot = true,
                  .slot = 1},
        .slot_count = 2,
        .slots = {{.kind = TF_ARTIFACT_KIND_MODEL, .index = 0, .size_bytes = 2097152},
                  {.kind = TF_ARTIFACT_KIND_MODEL, .index = 1, .size_bytes = 2097152, .has_image = true}},
        .abi = 1,
        .ops = {ops, sizeof ops},
        .arena_bytes = 131072,
        .golden_bytes = 65536,
        .period_s = 10,
        .power = TF_POWER_SOURCE_MAINS,
        .sensor = tf_text("replay"),
        .timing = TF_TIMING_INSTRUCTIONS,
        .core = TF_CORE_VARIANT_PORTABLE,
        .uptime_ms = 8589934592u,
        .emulated = true,
    };
    memcpy(birth.model.image, image, sizeof image);
    memcpy(birth.slots[1].image, image, sizeof image);
    expect("birth", encode_birth, &birth);
    tf_birth_t decodes = birth;
    decodes.decodes = 7;
    decodes.staging_bytes = 2097152;
    expect("birth_decodes", encode_birth, &decodes);
    birth.captures = true;
    expect("birth_captures", encode_birth, &birth);
    birth.captures = false;
    birth.has_sleep = true;
    birth.sleep = (tf_sleep_t){3600, true, 40000, true, 20000};
    expect("birth_sleeps", encode_birth, &birth);
    birth.has_sleep = false;
    birth.state = TF_UPDATE_STATE_SHADOW;
    birth.has_shadow = birth.has_shadow_bytes = true;
    birth.shadow = (tf_image_info_t){
        .has_image = true, .version = tf_text("2.0.0"), .security_counter = 7, .has_slot = true};
    memcpy(birth.shadow.image, challenger, sizeof challenger);
    birth.shadow_bytes = 65536;
    expect("birth_shadow", encode_birth, &birth);
    birth.state = TF_UPDATE_STATE_CONFIRMED;
    birth.has_shadow = birth.has_shadow_bytes = false;
    birth.has_config = true;
    birth.config = (tf_config_report_t){.sequence = 5,
                                        .has_refused = true,
                                        .refused = 6,
                                        .result = TF_RESULT_CONNECTION_LOST,
                                        .detail = tf_text("no answer in time")};
    birth.has_clock = true;
    birth.clock = (tf_clock_report_t){TF_CLOCK_SOURCE_SNTP, true, 1790000000};
    expect("birth_config", encode_birth, &birth);
    birth.has_config = birth.has_clock = false;
    birth.has_ring = true;
    birth.ring = (tf_ring_info_t){262144, 3, 1};
    expect("birth_ring", encode_birth, &birth);
    tf_birth_t bare = {
        .boot = UINT32_MAX,
        .device_type = tf_text(""),
        .hw_rev = tf_text(""),
        .firmware = {.version = tf_text("0.1.0")},
        .power = TF_POWER_SOURCE_USB,
        .sensor = tf_text(""),
        .core = TF_CORE_VARIANT_MVE,
    };
    expect("birth_bare", encode_birth, &bare);
}

static void conns(void) {
    tf_conn_t conn = {.boot = 3, .conn = 2, .state = TF_CONN_STATE_ONLINE};
    expect("conn_online", encode_conn, &conn);
    conn.state = TF_CONN_STATE_LOST;
    expect("conn_lost", encode_conn, &conn);
    conn = (tf_conn_t){3, 2, TF_CONN_STATE_ASLEEP, true, 3600};
    expect("conn_asleep", encode_conn, &conn);
}

static void statuses(void) {
    tf_status_t status = {
        .boot = 3,
        .seq = 9,
        .generation = 41,
        .state = TF_UPDATE_STATE_VERIFIED,
        .result = TF_RESULT_SUCCESS,
        .offset_bytes = 100000,
        .size_bytes = 100000,
        .detail = tf_text("verified"),
        .has_transfer = true,
        .transfer = {1500, 103000, 600, 112000, 8000},
    };
    expect("status", encode_status, &status);
    tf_status_t refused = {.boot = 3,
                           .seq = 10,
                           .generation = 42,
                           .state = TF_UPDATE_STATE_FAILED,
                           .result = TF_RESULT_SIGNATURE,
                           .size_bytes = 100000};
    expect("status_refused", encode_status, &refused);
}

static void teles(void) {
    static const uint32_t classes[] = {23, 24, 255, 256};
    tf_tele_t tele = {
        .boot = 3,
        .epoch = 2,
        .seq = 60,
        .uptime_ms = 600000,
        .inferences = UINT32_MAX,
        .class_count = 4,
        .classes = classes,
        .latency = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 65536},
        .latency_sum_us = 1099511627776u,
        .confidence = {0, 0, 0, 1, 2, 3, 5, 8, 13, 21},
        .dropped = 4,
    };
    memcpy(tele.model, image, sizeof image);
    expect("tele", encode_tele, &tele);
    tf_tele_t kept = tele;
    kept.seq = 63;
    kept.has_lost = kept.has_unix_s = true;
    kept.lost = UINT32_MAX;
    kept.unix_s = 1700000000;
    expect("tele_kept", encode_tele, &kept);
    tele.seq = 62;
    tele.has_margin = tele.has_live = true;
    for (uint32_t i = 0; i < TF_MARGIN_BUCKETS; i++) tele.margin[i] = 9 - i;
    tele.switches = 31;
    tele.paused = 2;
    tele.captured = 5;
    tele.skipped = UINT32_MAX;
    expect("tele_live", encode_tele, &tele);
    tf_tele_t measured = {
        .boot = 3,
        .epoch = 2,
        .seq = 61,
        .uptime_ms = 610000,
        .has_energy_uj = true,
        .energy_uj = 123456789012u,
        .has_battery_mv = true,
        .battery_mv = 3700,
        .has_temperature_mc = true,
        .temperature_mc = -12500,
        .has_rssi_dbm = true,
        .rssi_dbm = -70,
    };
    memcpy(measured.model, image, sizeof image);
    expect("tele_measured", encode_tele, &measured);
    tf_comparison_t comparison = {
        .run = 1,
        .windows = 1000,
        .agreements = 900,
        .skipped = 3,
        .missed = 1,
        .pair_count = 2,
        .pairs = {{0, 3, 70}, {2, 0, 25}},
        .rest = 5,
    };
    memcpy(comparison.model, challenger, sizeof challenger);
    measured.seq = 62;
    measured.shadow = &comparison;
    expect("tele_shadow", encode_tele, &measured);
}

static void events(void) {
    tf_event_t inference = {.boot = 3,
                            .seq = 1,
                            .uptime_ms = 1,
                            .has_class = true,
                            .class_index = 2,
                            .has_score = true,
                            .score = 255};
    expect("event_inference", encode_event, &inference);
    tf_event_t log = {.boot = 3,
                      .seq = 2,
                      .kind = TF_EVENT_KIND_LOG,
                      .uptime_ms = 2,
                      .text = tf_text("gr\xc3\xb6\xc3\x9f"
                                      "er")};
    expect("event_log", encode_event, &log);
}

/* The bytes of a vector's `data`: no test knows them by heart. */
static void read_tail(const char *name, uint8_t *data, uint32_t size) {
    char path[1200];
    uint8_t vector[TF_MESSAGE_MAX_BYTES];
    snprintf(path, sizeof path, "%s/accept/%s.bin", folder, name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t got = fread(vector, 1, sizeof vector, file);
    fclose(file);
    CHECK(got > size);
    memcpy(data, vector + got - size, size);
}

static void samples(void) {
    static const uint8_t scores[] = {3, 100, 120, 33};
    uint8_t data[128];
    read_tail("sample", data, sizeof data);
    tf_sample_t sample = {
        .boot = 3,
        .seq = 7,
        .part = 1,
        .parts = 2,
        .uptime_ms = 601000,
        .class_index = 2,
        .scores = {scores, sizeof scores},
        .has_margin = true,
        .margin = 20,
        .sensor = tf_text("accelerometer"),
        .unit = tf_text("mg"),
        .rate_mhz = 25000,
        .samples = 128,
        .channels = 3,
        .offset = 640,
        .data = {data, sizeof data},
    };
    memcpy(sample.model, image, sizeof image);
    expect("sample", encode_sample, &sample);
    sample.part = 0;
    sample.parts = 1;
    sample.scores.length = sample.offset = 0;
    sample.has_margin = false;
    expect("sample_bare", encode_sample, &sample);
    uint8_t out[TF_MESSAGE_MAX_BYTES];
    sample.parts = 0;
    CHECK_EQUAL(tf_encode_sample(&sample, out, sizeof out), 0);
    sample.parts = 1;
    sample.data.length = 0;
    CHECK_EQUAL(tf_encode_sample(&sample, out, sizeof out), 0);
}

static void hellos(void) {
    tf_hello_t hello = {
        .app = tf_text("bench"),
        .device_type = tf_text("microbit"),
        .has_model = true,
        .version = tf_text("1.2.3"),
        .input_bytes = 384,
        .output_bytes = 4,
        .golden = 16,
        .arena_bytes = 8192,
        .abi = 1,
    };
    memcpy(hello.model, image, sizeof image);
    expect("hello", encode_hello, &hello);
    hello.has_window_bytes = hello.has_golden_bytes = hello.has_golden_set = hello.has_load_bytes = true;
    hello.window_bytes = 8192;
    hello.golden_bytes = 8388352;
    hello.load_bytes = 4147280;
    hello.has_emulated = hello.emulated = true;
    memcpy(hello.golden_set, windows, sizeof windows);
    expect("hello_windowed", encode_hello, &hello);
    static const uint8_t ops[] = {0xFE, 0x03};
    hello.ops = (tf_bytes_t){ops, sizeof ops};
    expect("hello_ops", encode_hello, &hello);
}

/* A node writes what it has read, but for what was changed. */
static void configs(void) {
    static const char *const names[] = {"config", "config_tls", "config_changed", "config_sleep",
                                        "config_smp"};
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[1200];
        uint8_t vector[TF_MESSAGE_MAX_BYTES];
        snprintf(path, sizeof path, "%s/accept/%s.bin", folder, names[i]);
        FILE *file = fopen(path, "rb");
        CHECK(file != NULL);
        uint32_t size = (uint32_t)fread(vector, 1, sizeof vector, file);
        fclose(file);
        tf_config_t config;
        CHECK_EQUAL(tf_decode_config(vector, size, &config), TF_WIRE_OK);
        expect(names[i], encode_config, &config);
    }
}

/* Every value there is, at its longest: a node's reports and its ring of them have so much room. */
static void the_longest_telemetry_fits_a_report(void) {
    enum { REPORT_BYTES = 1024 };
    static uint32_t classes[TF_TELE_CLASSES_MAX];
    static tf_comparison_t comparison;
    static tf_tele_t tele;
    uint8_t out[TF_MESSAGE_MAX_BYTES];
    memset(classes, 0xFF, sizeof classes);
    memset(&comparison, 0xFF, sizeof comparison);
    comparison.pair_count = TF_COMPARISON_PAIRS_MAX;
    memset(&tele, 0xFF, sizeof tele);
    tele.has_energy_uj = tele.has_battery_mv = tele.has_temperature_mc = tele.has_rssi_dbm = true;
    tele.has_margin = tele.has_live = tele.has_lost = tele.has_unix_s = true;
    tele.temperature_mc = tele.rssi_dbm = INT32_MIN;
    tele.class_count = TF_TELE_CLASSES_MAX;
    tele.classes = classes;
    tele.shadow = &comparison;
    uint32_t size = tf_encode_tele(&tele, out, sizeof out);
    CHECK(size > 900 && size <= REPORT_BYTES);
    printf("the longest telemetry: %u bytes\n", size);
}

static void out_of_bounds_is_never_sent(void) {
    uint8_t out[TF_MESSAGE_MAX_BYTES];
    char long_text[TF_EVENT_TEXT_MAX + 1];
    memset(long_text, 'x', sizeof long_text);
    tf_event_t event = {.text = {long_text, TF_EVENT_TEXT_MAX}};
    CHECK(tf_encode_event(&event, out, sizeof out) > 0);
    event.text.length++;
    CHECK_EQUAL(tf_encode_event(&event, out, sizeof out), 0);
    event.text = tf_text("\xc3");
    CHECK_EQUAL(tf_encode_event(&event, out, sizeof out), 0);
    tf_tele_t tele = {.class_count = TF_TELE_CLASSES_MAX + 1};
    CHECK_EQUAL(tf_encode_tele(&tele, out, sizeof out), 0);
    tf_comparison_t comparison = {.pair_count = TF_COMPARISON_PAIRS_MAX};
    tele = (tf_tele_t){.shadow = &comparison};
    CHECK(tf_encode_tele(&tele, out, sizeof out) > 0);
    comparison.pair_count++;
    CHECK_EQUAL(tf_encode_tele(&tele, out, sizeof out), 0);
    tf_birth_t birth = {
        .device_type = tf_text("b"), .hw_rev = tf_text(""), .firmware = {.version = tf_text("")}};
    CHECK_EQUAL(tf_encode_birth(&birth, out, sizeof out), 0); /* no sensor */
    birth.sensor = tf_text("");
    CHECK(tf_encode_birth(&birth, out, sizeof out) > 0);
    birth.slot_count = TF_BIRTH_SLOTS_MAX + 1;
    CHECK_EQUAL(tf_encode_birth(&birth, out, sizeof out), 0);
}

int main(int count, char **arguments) {
    CHECK_EQUAL(count, 2);
    snprintf(folder, sizeof folder, "%s", arguments[1]);
    RUN(births);
    RUN(conns);
    RUN(statuses);
    RUN(teles);
    RUN(events);
    RUN(hellos);
    RUN(samples);
    RUN(configs);
    RUN(the_longest_telemetry_fits_a_report);
    RUN(out_of_bounds_is_never_sent);
    return 0;
}
