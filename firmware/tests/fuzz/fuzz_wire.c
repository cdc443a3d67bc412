/* What a node reads of CBOR: the first byte chooses the message, record or topic, the rest is it. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/wire.h"

/* The order is that of tests/fuzz/corpus.py. */
enum {
    WANT,
    MANIFEST,
    TRUST,
    CONFIG,
    REPLAY,
    RECORD_TRUST,
    RECORD_CONFIG,
    RECORD_REPLAY,
    TOPIC,
    FEED,
    RECORD_FEED,
    KINDS
};

static const char *const names[KINDS] = {"want",   "manifest",     "trust",         "config",
                                         "replay", "record_trust", "record_config", "record_replay",
                                         "topic",  "feed",         "record_feed"};
static unsigned long taken[KINDS], refused[KINDS];

static void touch_text(tf_text_t text) {
    if (text.text != NULL) fuzz_touch(text.text, text.length);
}

static void touch_bytes(tf_bytes_t bytes) {
    if (bytes.data != NULL) fuzz_touch(bytes.data, bytes.length);
}

static bool read_want(const uint8_t *data, uint32_t size) {
    tf_want_t want;
    if (tf_decode_want(data, size, &want) != TF_WIRE_OK) return false;
    if (want.has_firmware) touch_text(want.firmware.version);
    if (want.has_model) touch_text(want.model.version);
    if (want.capture.classes.count > TF_CAPTURE_CLASSES_MAX) abort();
    if (want.has_event_rule && (want.event_rule.windows == 0 || want.event_rule.hits == 0)) abort();
    return true;
}

static bool read_manifest(const uint8_t *data, uint32_t size) {
    tf_manifest_t manifest;
    const uint32_t told = tf_manifest_length(data, size);
    if (tf_decode_manifest(data, size, &manifest) != TF_WIRE_OK) return false;
    /* Its length is told by its beginning, before the rest has come. */
    if (told != 0 && told != size) abort();
    touch_bytes(manifest.sectors);
    (void)tf_manifest_adds_up(&manifest);
    return true;
}

static bool read_config(const uint8_t *data, uint32_t size, bool record) {
    tf_config_t config;
    const tf_wire_status_t status =
        record ? tf_record_config(data, size, &config) : tf_decode_config(data, size, &config);
    if (status != TF_WIRE_OK) return false;
    touch_text(config.device);
    touch_text(config.user);
    touch_text(config.prefix);
    touch_bytes(config.password);
    return true;
}

static bool read_replay(const uint8_t *data, uint32_t size, bool record) {
    tf_replay_t replay;
    const tf_wire_status_t status =
        record ? tf_record_replay(data, size, &replay) : tf_decode_replay(data, size, &replay);
    if (status != TF_WIRE_OK) return false;
    touch_text(replay.sensor);
    touch_text(replay.unit);
    return true;
}

static bool read_feed(const uint8_t *data, uint32_t size, bool record) {
    tf_feed_t feed;
    const tf_wire_status_t status =
        record ? tf_record_feed(data, size, &feed) : tf_decode_feed(data, size, &feed);
    if (status != TF_WIRE_OK) return false;
    touch_text(feed.sensor);
    touch_text(feed.unit);
    return true;
}

static bool read_trust(const uint8_t *data, uint32_t size, bool record) {
    tf_trust_t trust;
    const tf_wire_status_t status =
        record ? tf_record_trust(data, size, &trust) : tf_decode_trust(data, size, &trust);
    if (status != TF_WIRE_OK) return false;
    if (trust.key_count > TF_TRUST_KEYS_MAX) abort();
    return true;
}

/* A topic has one spelling: what was read, written again, is what was read. */
static bool read_topic(const uint8_t *data, uint32_t size) {
    tf_blob_topic_t topic;
    const tf_text_t text = {(const char *)data, size};
    if (!tf_topic_blob_parse(text, tf_text(TF_PREFIX), &topic)) return false;
    char filter[TF_TOPIC_MAX + 1];
    const uint32_t length =
        tf_topic_blob(filter, sizeof filter, tf_text(TF_PREFIX), topic.manifest, topic.group);
    /* All but the chunk's own number, which the filter leaves open. */
    if (length == 0 || length > size || memcmp(filter, data, length - 1) != 0) abort();
    return true;
}

static bool read_any(uint32_t kind, const uint8_t *data, uint32_t size) {
    switch (kind) {
        case WANT:
            return read_want(data, size);
        case MANIFEST:
            return read_manifest(data, size);
        case TRUST:
        case RECORD_TRUST:
            return read_trust(data, size, kind == RECORD_TRUST);
        case CONFIG:
        case RECORD_CONFIG:
            return read_config(data, size, kind == RECORD_CONFIG);
        case REPLAY:
        case RECORD_REPLAY:
            return read_replay(data, size, kind == RECORD_REPLAY);
        case FEED:
        case RECORD_FEED:
            return read_feed(data, size, kind == RECORD_FEED);
        default:
            return read_topic(data, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const uint32_t kind = data[0] % KINDS;
    /* On its own, so that one byte beyond is seen. */
    uint8_t *const message = malloc(size > 1 ? size - 1 : 1);
    if (message == NULL) abort();
    memcpy(message, data + 1, size - 1);
    if (read_any(kind, message, (uint32_t)size - 1)) {
        taken[kind]++;
    } else {
        refused[kind]++;
    }
    free(message);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: taken/refused:");
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        printf(" %s %lu/%lu", names[kind], taken[kind], refused[kind]);
    }
    printf("\n");
}
