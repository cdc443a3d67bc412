/* CBOR, topics and records where vectors do not reach: every cut, every flipped bit, every bound. */
#include "check.h"
#include "random.h"
#include "tinyfleet/wire.h"

static void decode_all(const uint8_t *data, uint32_t size) {
    tf_want_t want;
    tf_manifest_t manifest;
    tf_trust_t trust;
    tf_config_t config;
    tf_replay_t replay;
    (void)tf_decode_want(data, size, &want);
    if (tf_decode_manifest(data, size, &manifest) == TF_WIRE_OK) (void)tf_manifest_adds_up(&manifest);
    (void)tf_manifest_length(data, size);
    if (tf_decode_trust(data, size, &trust) != TF_WIRE_OK) CHECK_EQUAL(trust.key_count, 0);
    (void)tf_decode_config(data, size, &config);
    (void)tf_decode_replay(data, size, &replay);
    tf_feed_t line;
    (void)tf_decode_feed(data, size, &line);
}

/* Sanitizers watch: nothing is read outside of what came. */
static void hostile_bytes_are_survived(void) {
    uint32_t random = 7;
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t size = random_next(&random) % 80u;
        uint8_t *data = malloc(size > 0 ? size : 1);
        CHECK(data != NULL);
        for (uint32_t i = 0; i < size; i++) data[i] = (uint8_t)random_next(&random);
        /* Mostly maps, or nothing gets past the first byte. */
        if (size > 0 && round % 4 != 0) data[0] = (uint8_t)(0xA0u | data[0] % 8u);
        if (size > 1 && round % 4 != 0) data[1] = 0;
        decode_all(data, size);
        free(data);
    }
}

static uint32_t sample_want(uint8_t *out, uint32_t capacity) {
    static const uint8_t digest[32] = {1};
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    tf_write_map(&writer, 3);
    tf_write_uint(&writer, TF_WANT_GENERATION);
    tf_write_uint(&writer, 70000);
    tf_write_uint(&writer, TF_WANT_MODEL);
    tf_write_map(&writer, 5);
    tf_write_uint(&writer, TF_WANTED_IMAGE);
    tf_write_bytes(&writer, digest, sizeof digest);
    tf_write_uint(&writer, TF_WANTED_MANIFEST);
    tf_write_bytes(&writer, digest, sizeof digest);
    tf_write_uint(&writer, TF_WANTED_VERSION);
    tf_write_text(&writer, "1.0", 3);
    tf_write_uint(&writer, TF_WANTED_GROUPS);
    tf_write_uint(&writer, 7);
    tf_write_uint(&writer, TF_WANTED_SIZE_BYTES);
    tf_write_uint(&writer, 100000);
    /* An unknown key with everything nested in it that may be. */
    tf_write_uint(&writer, 90);
    tf_write_map(&writer, 2);
    tf_write_uint(&writer, 0);
    tf_write_array(&writer, 2);
    tf_write_int(&writer, -5);
    tf_write_map(&writer, 1);
    tf_write_uint(&writer, 3);
    tf_write_text(&writer, "\xe2\x82\xac", 3);
    tf_write_uint(&writer, 4);
    tf_write_bool(&writer, true);
    return tf_writer_end(&writer);
}

static void every_cut_and_flip_of_a_want(void) {
    uint8_t whole[256];
    uint32_t size = sample_want(whole, sizeof whole);
    tf_want_t want;
    CHECK_EQUAL(tf_decode_want(whole, size, &want), TF_WIRE_OK);
    CHECK_EQUAL(want.generation, 70000);
    CHECK(want.has_model && !want.has_firmware && !want.has_trial);
    CHECK_EQUAL(want.model.groups, 7);
    CHECK_EQUAL(want.model.size_bytes, 100000);
    CHECK_EQUAL(want.model.version.length, 3);
    for (uint32_t cut = 0; cut < size; cut++) {
        uint8_t *data = malloc(cut > 0 ? cut : 1);
        CHECK(data != NULL);
        memcpy(data, whole, cut);
        CHECK(tf_decode_want(data, cut, &want) != TF_WIRE_OK);
        free(data);
    }
    for (uint32_t bit = 0; bit < size * 8u; bit++) {
        whole[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
        decode_all(whole, size);
        whole[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
    }
}

static void integers_at_their_bounds(void) {
    static const int64_t values[] = {
        0,  23,  24,  255,  256,  65535,  65536,  UINT32_MAX, 1LL + UINT32_MAX, INT64_MAX,
        -1, -24, -25, -256, -257, -65536, -65537, INT32_MIN,  INT64_MIN};
    for (uint32_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t bytes[9];
        tf_writer_t writer;
        tf_writer_init(&writer, bytes, sizeof bytes);
        tf_write_int(&writer, values[i]);
        tf_reader_t reader;
        tf_reader_init(&reader, bytes, tf_writer_end(&writer));
        CHECK_EQUAL(tf_read_int(&reader), values[i]);
        CHECK_EQUAL(tf_reader_end(&reader), TF_WIRE_OK);
    }
}

static void manifest_tells_its_length(void) {
    static uint8_t bytes[TF_MANIFEST_MAX_BYTES], hashes[TF_SECTORS_MAX * TF_SECTOR_HASH_BYTES];
    static const uint32_t counts[] = {0, 1, 2, 15, 16, 17, 64, 512};
    for (uint32_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        tf_writer_t writer;
        tf_writer_init(&writer, bytes, sizeof bytes);
        tf_write_map(&writer, 4);
        for (uint32_t key = 0; key < 5; key++) {
            if (key == TF_MANIFEST_BASE) continue;
            tf_write_uint(&writer, key);
            if (key < TF_MANIFEST_SECTORS) tf_write_uint(&writer, 0);
        }
        tf_write_bytes(&writer, hashes, counts[i] * TF_SECTOR_HASH_BYTES);
        uint32_t size = tf_writer_end(&writer);
        CHECK(size > 0);
        CHECK_EQUAL(tf_manifest_length(bytes, size), size);
        if (size > TF_CHUNK_BYTES) CHECK_EQUAL(tf_manifest_length(bytes, TF_CHUNK_BYTES), size);
        tf_manifest_t manifest;
        CHECK_EQUAL(tf_decode_manifest(bytes, size, &manifest), TF_WIRE_OK);
    }
    CHECK_EQUAL(tf_manifest_length((const uint8_t *)"\x01", 1), 0);
}

static void records_are_sealed_and_checked(void) {
    for (uint32_t body = 0; body < 40; body++) {
        uint8_t record[64];
        memset(record, 0xA5, sizeof record);
        uint32_t size = tf_record_seal(record, sizeof record, 9, body);
        CHECK(size >= body + 12u && size % 4u == 0);
        tf_bytes_t found;
        CHECK_EQUAL(tf_record_read(record, size, 9, &found), TF_WIRE_OK);
        CHECK_EQUAL(found.length, body);
        CHECK_EQUAL(tf_record_read(record, size, 8, &found), TF_WIRE_NO_RECORD);
        for (uint32_t bit = 0; bit < size * 8u; bit++) {
            record[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
            CHECK(tf_record_read(record, size, 9, &found) != TF_WIRE_OK);
            record[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
        }
        CHECK_EQUAL(tf_record_seal(record, size - 1u, 9, body), 0);
    }
    /* The check value of this CRC (IEEE 802.3). */
    CHECK_EQUAL(tf_crc32((const uint8_t *)"123456789", 9), 0xCBF43926u);
}

static void topics_go_both_ways(void) {
    char topic[TF_TOPIC_MAX];
    uint32_t random = 3;
    for (uint32_t round = 0; round < 500; round++) {
        uint8_t manifest[16];
        for (uint32_t i = 0; i < sizeof manifest; i++) manifest[i] = (uint8_t)random_next(&random);
        uint16_t group = (uint16_t)random_next(&random);
        uint32_t length = tf_topic_blob(topic, sizeof topic, tf_text(TF_PREFIX), manifest, group);
        CHECK(length > 0 && topic[length] == '\0' && topic[length - 1u] == '+');
        topic[length - 1u] = '7';
        tf_blob_topic_t found;
        CHECK(tf_topic_blob_parse((tf_text_t){topic, length}, tf_text(TF_PREFIX), &found));
        CHECK(memcmp(found.manifest, manifest, sizeof manifest) == 0);
        CHECK_EQUAL(found.group, group);
        CHECK_EQUAL(found.index, 7);
        CHECK_EQUAL(tf_topic_blob(topic, length, tf_text(TF_PREFIX), manifest, group), 0);
    }
    uint32_t length = tf_topic_device(topic, sizeof topic, tf_text(TF_PREFIX), tf_text("cow-17"), "want");
    CHECK_EQUAL(length, strlen("tf/1/cow-17/want"));
    CHECK(strcmp(topic, "tf/1/cow-17/want") == 0);
    CHECK_EQUAL(tf_topic_device(topic, length, tf_text(TF_PREFIX), tf_text("cow-17"), "want"), 0);
}

static void latencies_fall_into_their_buckets(void) {
    CHECK_EQUAL(tf_latency_bucket(0), 0);
    CHECK_EQUAL(tf_latency_bucket(100), 0);
    CHECK_EQUAL(tf_latency_bucket(101), 1);
    CHECK_EQUAL(tf_latency_bucket(13400), 7);
    CHECK_EQUAL(tf_latency_bucket(2000000), 13);
    CHECK_EQUAL(tf_latency_bucket(2000001), 14);
    CHECK_EQUAL(tf_latency_bucket(UINT32_MAX), 14);
}

static void states_have_names(void) {
    CHECK(strcmp(tf_update_state_name(TF_UPDATE_STATE_IDLE), "IDLE") == 0);
    CHECK(strcmp(tf_update_state_name(TF_UPDATE_STATE_FAILED), "FAILED") == 0);
    CHECK(strcmp(tf_update_state_name((tf_update_state_t)99), "UNKNOWN") == 0);
}

int main(void) {
    RUN(hostile_bytes_are_survived);
    RUN(every_cut_and_flip_of_a_want);
    RUN(integers_at_their_bounds);
    RUN(manifest_tells_its_length);
    RUN(records_are_sealed_and_checked);
    RUN(topics_go_both_ways);
    RUN(latencies_fall_into_their_buckets);
    RUN(states_have_names);
    return 0;
}
