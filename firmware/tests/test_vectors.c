/* Reads wire/vectors as wire/vectors/README.md says; what Python takes C takes, what Python refuses C
 * refuses. */
#include "check.h"
#include "tinyfleet/image.h"
#include "tinyfleet/wire.h"

enum { FILE_MAX = 16384, LINE_MAX = 512 };

static char folder[512];
static tf_trust_t trust;

/* On the heap and just as long as the file, so that reading past it is seen. NULL ends the test. */
static uint8_t *read_file(const char *dir, const char *name, uint32_t *size) {
    char path[1200];
    static uint8_t content[FILE_MAX];
    snprintf(path, sizeof path, "%s/%s/%s", folder, dir, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) perror(path);
    CHECK(file != NULL);
    size_t got = fread(content, 1, sizeof content, file);
    CHECK(feof(file) || fgetc(file) == EOF);
    fclose(file);
    uint8_t *data = malloc(got > 0 ? got : 1);
    CHECK(data != NULL);
    memcpy(data, content, got);
    *size = (uint32_t)got;
    return data;
}

static tf_result_t verify(const char *kind, const uint8_t *data, uint32_t size) {
    tf_image_policy_t policy = {
        .kind = strcmp(kind, "image_firmware") == 0 ? TF_ARTIFACT_KIND_FIRMWARE : TF_ARTIFACT_KIND_MODEL,
        .device_type = tf_text("vector-board"),
        .security_counter = 5,
        .cores = 1u << TF_CORE_VARIANT_PORTABLE,
        .abi = 1,
        .trust = &trust,
        .accept_unsigned = strcmp(kind, "image_bench") == 0,
        .firmware = {1, 2, 3, 0},
    };
    tf_image_t image;
    tf_result_t result = tf_image_verify(data, size, &policy, &image);
    CHECK(image.reason != NULL && strlen(image.reason) <= TF_STATUS_DETAIL_MAX);
    CHECK((result == TF_RESULT_SUCCESS) == (image.reason[0] == '\0'));
    return result;
}

static const char *result_name(tf_result_t result) {
    switch (result) {
        case TF_RESULT_SUCCESS:
            return "SUCCESS";
        case TF_RESULT_INTEGRITY:
            return "INTEGRITY";
        case TF_RESULT_SIGNATURE:
            return "SIGNATURE";
        case TF_RESULT_UNSUPPORTED_TYPE:
            return "UNSUPPORTED_TYPE";
        case TF_RESULT_DOWNGRADE:
            return "DOWNGRADE";
        default:
            return "another";
    }
}

/* Whether the bytes were taken as `kind`; false in `known`: a kind that no node reads. */
static bool takes(const char *kind, const uint8_t *data, uint32_t size, bool *known) {
    *known = true;
    if (strcmp(kind, "want") == 0) {
        tf_want_t want;
        return tf_decode_want(data, size, &want) == TF_WIRE_OK;
    }
    if (strcmp(kind, "manifest") == 0) {
        tf_manifest_t manifest;
        return tf_decode_manifest(data, size, &manifest) == TF_WIRE_OK && tf_manifest_adds_up(&manifest);
    }
    tf_trust_t keys;
    tf_config_t config;
    tf_replay_t replay;
    tf_feed_t feed;
    if (strcmp(kind, "feed") == 0) return tf_decode_feed(data, size, &feed) == TF_WIRE_OK;
    if (strcmp(kind, "record_feed") == 0) return tf_record_feed(data, size, &feed) == TF_WIRE_OK;
    if (strcmp(kind, "trust") == 0) return tf_decode_trust(data, size, &keys) == TF_WIRE_OK;
    if (strcmp(kind, "config") == 0) return tf_decode_config(data, size, &config) == TF_WIRE_OK;
    if (strcmp(kind, "replay") == 0) return tf_decode_replay(data, size, &replay) == TF_WIRE_OK;
    if (strcmp(kind, "record_trust") == 0) return tf_record_trust(data, size, &keys) == TF_WIRE_OK;
    if (strcmp(kind, "record_config") == 0) return tf_record_config(data, size, &config) == TF_WIRE_OK;
    if (strcmp(kind, "record_replay") == 0) return tf_record_replay(data, size, &replay) == TF_WIRE_OK;
    *known = false;
    return false;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Topics that a node hears are a chunk's; any other must not be taken for one. */
static bool check_topic(bool accept, const char *name, const uint8_t *data, uint32_t size) {
    tf_blob_topic_t topic;
    bool chunk = tf_topic_blob_parse((tf_text_t){(const char *)data, size}, tf_text(TF_PREFIX), &topic);
    return chunk == (accept && ends_with(name, "topic_chunk.bin"));
}

static void check_line(char *line, uint32_t *accepted, uint32_t *rejected) {
    char *column[5] = {NULL};
    uint32_t columns = 0;
    for (char *at = strtok(line, "\t\n"); at != NULL && columns < 5; at = strtok(NULL, "\t\n"))
        column[columns++] = at;
    CHECK_EQUAL(columns, 5);
    uint32_t size;
    uint8_t *data = read_file(column[0], column[1], &size);
    const char *kind = column[2];
    bool accept = strcmp(column[0], "accept") == 0, known = true, good;
    if (strcmp(kind, "topic") == 0) {
        good = check_topic(accept, column[1], data, size);
    } else if (strcmp(kind, "image_file") == 0) {
        /* A slot is longer than its image, so a node cannot see what follows. */
        good = true;
    } else if (strncmp(kind, "image", 5) == 0) {
        const char *result = result_name(verify(kind, data, size));
        good = strcmp(result, column[3]) == 0;
        if (!good) fprintf(stderr, "%s: expected %s, got %s\n", column[1], column[3], result);
    } else {
        good = takes(kind, data, size, &known) == accept || !known;
    }
    if (!good) fprintf(stderr, "%s/%s (%s): %s\n", column[0], column[1], kind, column[4]);
    CHECK(good);
    if (known) ++*(accept ? accepted : rejected);
    free(data);
}

int main(int count, char **arguments) {
    CHECK_EQUAL(count, 2);
    snprintf(folder, sizeof folder, "%s", arguments[1]);
    uint32_t size;
    uint8_t *record = read_file("accept", "trust_of_images.bin", &size);
    CHECK_EQUAL(tf_record_trust(record, size, &trust), TF_WIRE_OK);
    free(record);
    char path[1200], line[LINE_MAX];
    snprintf(path, sizeof path, "%s/index.tsv", folder);
    FILE *index = fopen(path, "r");
    CHECK(index != NULL);
    uint32_t accepted = 0, rejected = 0;
    while (fgets(line, sizeof line, index) != NULL) {
        CHECK(strchr(line, '\n') != NULL);
        if (line[0] != '#') check_line(line, &accepted, &rejected);
    }
    fclose(index);
    printf("%u vectors accepted, %u refused, as the index says\n", accepted, rejected);
    /* An index that lost its lines must not pass. */
    CHECK(accepted >= 20 && rejected >= 100);
    return 0;
}
