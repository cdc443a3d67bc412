/* The SMP server as such: versions, codes, doors, and what is not a request. */
#include "smp_client.h"
#include "tinyfleet/line.h"

static smp_request_t request;
static smp_reply_t reply;
static uint32_t calls;
static tf_smp_result_t next_result;

static tf_smp_result_t do_reset(void *context) {
    (void)context;
    calls++;
    return next_result;
}

static tf_smp_result_t do_hash(void *context, const uint8_t *hash) {
    (void)context, (void)hash;
    calls++;
    return next_result;
}

static tf_smp_result_t do_erase(void *context, uint32_t slot) {
    (void)context, (void)slot;
    calls++;
    return next_result;
}

static tf_smp_result_t do_upload(void *context, const tf_smp_chunk_t *chunk, tf_smp_progress_t *progress) {
    (void)context;
    calls++;
    *progress = (tf_smp_progress_t){chunk->offset + chunk->data.length, chunk->sha != NULL, true};
    return next_result;
}

static bool get_image(void *context, uint32_t index, tf_smp_image_t *image) {
    static const uint8_t hash[32] = {1};
    (void)context;
    *image = (tf_smp_image_t){.slot = (uint8_t)index,
                              .hash = hash,
                              .active = true,
                              .confirmed = true,
                              .pending = true,
                              .bootable = true,
                              .version = {"255.255.65535+4294967295", 24}};
    return index != 2;
}

static bool get_statistic(void *context, uint32_t group, uint32_t index, tf_smp_statistic_t *statistic) {
    (void)context;
    *statistic = (tf_smp_statistic_t){"n", index};
    return index < group + 1;
}

static const char *const groups[] = {"one", "two"};
static const tf_smp_device_t device = {
    .buffer_bytes = 512,
    .bootloader = "test",
    .reset = do_reset,
    .image = get_image,
    .image_count = 4,
    .upload = do_upload,
    .test = do_hash,
    .confirm = do_hash,
    .erase = do_erase,
    .statistic = get_statistic,
    .groups = groups,
    .group_count = 2,
};

static bool ask(tf_smp_door_t door) {
    smp_end(&request);
    return smp_ask(&device, door, &request, &reply);
}

static void echo(int version, const char *text) {
    smp_begin(&request, SMP_WRITE | version, 0, 0, 1);
    smp_key(&request, "d");
    tf_write_text(&request.body, text, (uint32_t)strlen(text));
}

static void both_versions_are_spoken(void) {
    echo(SMP_V1, "hello");
    CHECK(ask(TF_SMP_DOOR_FULL) && strcmp(reply.text, "hello") == 0);
    echo(SMP_V2, "h\xc3\xa9llo");
    CHECK(ask(TF_SMP_DOOR_FULL) && strcmp(reply.text, "h\xc3\xa9llo") == 0);
    echo(16, "of version 3");
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == TF_SMP_TOO_NEW);
    /* A code of a group, told in the words of either. */
    next_result = (tf_smp_result_t){TF_SMP_IMAGE_NONE, NULL};
    for (int version = SMP_V1; version <= SMP_V2; version += SMP_V2) {
        smp_begin(&request, SMP_WRITE | version, 1, 0, 1);
        smp_bytes(&request, "hash", (const uint8_t *)"0123456789abcdef0123456789abcdef", 32);
        CHECK(ask(TF_SMP_DOOR_FULL));
        CHECK_EQUAL(reply.rc, version == SMP_V2 ? 3 : TF_SMP_NOT_FOUND);
        CHECK_EQUAL(reply.group, version == SMP_V2 ? 1 : -1);
    }
    next_result = (tf_smp_result_t){TF_SMP_DENIED, "why"};
    smp_begin(&request, SMP_WRITE | SMP_V2, 0, 5, 0);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == TF_SMP_DENIED && reply.group == -1);
    CHECK(strcmp(reply.reason, "why") == 0);
}

static void a_door_lets_through_what_it_shall(void) {
    static const struct {
        uint8_t how, group, command;
        bool harmless;
    } asked[] = {
        {SMP_WRITE, 0, 5, false}, {SMP_READ, 0, 6, true},   {SMP_READ, 0, 8, true},   {SMP_READ, 1, 0, true},
        {SMP_WRITE, 1, 0, false}, {SMP_WRITE, 1, 1, false}, {SMP_WRITE, 1, 5, false}, {SMP_READ, 2, 1, true},
    };
    for (uint32_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        smp_begin(&request, asked[i].how | SMP_V2, asked[i].group, asked[i].command, 0);
        CHECK(!ask(TF_SMP_DOOR_OFF));
        calls = 0;
        CHECK(ask(TF_SMP_DOOR_READ));
        CHECK_EQUAL(reply.rc, asked[i].harmless ? -1 : TF_SMP_DENIED);
        CHECK_EQUAL(calls, 0);
    }
}

static void requests_are_complete_or_refused(void) {
    next_result = (tf_smp_result_t){0};
    const uint8_t hash[32] = {0};
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 2);
    smp_number(&request, "len", 100);
    smp_bytes(&request, "data", hash, 32);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == 20 && reply.group == 1);
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 1);
    smp_number(&request, "off", 0);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == TF_SMP_INVALID);
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 3);
    smp_number(&request, "off", 0);
    smp_bytes(&request, "data", hash, 32);
    smp_bytes(&request, "sha", hash, 31);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == 24 && reply.group == 1);
    /* Keys in any order, and one that nobody knows. */
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, 5);
    smp_bytes(&request, "sha", hash, 32);
    smp_key(&request, "unknown");
    tf_write_array(&request.body, 1);
    tf_write_bool(&request.body, true);
    smp_number(&request, "off", 7);
    smp_bytes(&request, "data", hash, 5);
    smp_number(&request, "image", 1);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == -1 && reply.off == 12 && reply.match == 1);
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 0, 0);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == 24); /* test what? */
    smp_begin(&request, SMP_READ | SMP_V2, 2, 0, 1);
    smp_key(&request, "name");
    tf_write_text(&request.body, "three", 5);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == 2 && reply.group == 2);
    smp_begin(&request, SMP_READ | SMP_V2, 0, 77, 0);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == TF_SMP_UNSUPPORTED);
    smp_begin(&request, SMP_READ | SMP_V2, 9, 0, 0);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.rc == TF_SMP_UNSUPPORTED);
    smp_begin(&request, SMP_READ | SMP_V2, 1, 0, 0);
    CHECK(ask(TF_SMP_DOOR_FULL) && reply.images == 3);
    CHECK(reply.length <= TF_SMP_REPLY_BYTES);
}

static void what_is_no_request_is_not_answered(void) {
    echo(SMP_V2, "x");
    smp_end(&request);
    for (uint8_t op = 0; op < 8; op++) {
        request.bytes[0] = (uint8_t)(SMP_V2 | op);
        const bool asks = op == SMP_READ || op == SMP_WRITE;
        uint8_t out[64];
        const uint32_t length =
            tf_smp_answer(&device, TF_SMP_DOOR_FULL, request.bytes, request.length, out, sizeof out);
        CHECK_EQUAL(length > 0, asks);
    }
    for (uint32_t length = 0; length < 8; length++) {
        uint8_t out[64];
        CHECK_EQUAL(tf_smp_answer(&device, TF_SMP_DOOR_FULL, request.bytes, length, out, sizeof out), 0);
    }
}

static void broken_packets_get_a_code(void) {
    echo(SMP_V2, "x");
    smp_end(&request);
    request.length--; /* its header says more */
    CHECK(smp_ask(&device, TF_SMP_DOOR_FULL, &request, &reply) && reply.rc == TF_SMP_CORRUPT);
    static const char *const bodies[] = {
        "\xa1\x61"
        "d\x62x", /* ends inside */
        "\xa1\x61"
        "d\x61x\x00", /* more behind it */
        "\xa2\x61"
        "d\x61x\x61"
        "d\x61y", /* a key twice */
        "\xbf\x61"
        "d\x61x\xff", /* indefinite */
        "\xa1\x61"
        "d\x78\x01x", /* a long form */
        "\xa1\x61"
        "d\x41x",        /* another type */
        "\xa1\x01\x61x", /* a number as key */
        "\x81\x61x",     /* no map */
        "\xa1\x61"
        "d\x61\xff", /* no UTF-8 */
    };
    for (uint32_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        smp_begin(&request, SMP_WRITE | SMP_V2, 0, 0, 0);
        const uint32_t length = i == 1 ? 6 : (uint32_t)strlen(bodies[i]);
        memcpy(request.bytes + 8, bodies[i], length);
        request.bytes[3] = (uint8_t)length;
        request.length = 8 + length;
        CHECK(smp_ask(&device, TF_SMP_DOOR_FULL, &request, &reply));
        CHECK_EQUAL(reply.rc, TF_SMP_INVALID);
    }
    /* Without its map, as some clients ask. */
    smp_begin(&request, SMP_READ | SMP_V2, 0, 6, 0);
    request.bytes[3] = 0;
    request.length = 8;
    CHECK(smp_ask(&device, TF_SMP_DOOR_FULL, &request, &reply) && reply.rc == -1);
}

static void a_reply_stays_in_its_room(void) {
    echo(SMP_V2, "a text that is longer than some rooms");
    smp_end(&request);
    for (uint32_t capacity = 0; capacity < 64; capacity++) {
        uint8_t *out = malloc(capacity + 1u);
        CHECK(out != NULL);
        out[capacity] = 0x5A;
        const uint32_t length =
            tf_smp_answer(&device, TF_SMP_DOOR_FULL, request.bytes, request.length, out, capacity);
        CHECK(length <= capacity && out[capacity] == 0x5A);
        if (length > 8 && capacity < 45) CHECK(out[length - 1u] == TF_SMP_TOO_LARGE);
        free(out);
    }
}

static uint8_t lines[4096];
static uint32_t lines_bytes;

static void sink(const uint8_t *data, uint32_t length) {
    CHECK(length >= 3 && length <= 127 && data[length - 1u] == '\n');
    memcpy(lines + lines_bytes, data, length);
    lines_bytes += length;
}

/* What is written as lines, a line reader takes for the same packet, in a buffer not larger than it must be.
 */
static void lines_bring_any_packet(void) {
    static uint8_t packet[1500], buffer[1500 + TF_LINE_SMP_OVERHEAD];
    for (uint32_t i = 0; i < sizeof packet; i++) packet[i] = (uint8_t)(i * 7u);
    for (uint32_t length = 0; length <= sizeof packet;
         length = length < 300 ? length + 1 : length * 2 - 100) {
        lines_bytes = 0;
        tf_smp_write_lines(packet, length, sink);
        tf_line_t line;
        tf_line_init(&line, buffer, length + 4u);
        tf_line_item_t item;
        uint32_t found = 0;
        for (uint32_t i = 0; i < lines_bytes; i++) {
            if (tf_line_put(&line, lines[i], &item) != TF_LINE_SMP) continue;
            found++;
            CHECK_EQUAL(i, lines_bytes - 1u);
            CHECK_EQUAL(item.packet.length, length);
            CHECK(memcmp(item.packet.data, packet, length) == 0);
        }
        CHECK_EQUAL(found, 1);
    }
}

int main(void) {
    RUN(both_versions_are_spoken);
    RUN(a_door_lets_through_what_it_shall);
    RUN(requests_are_complete_or_refused);
    RUN(what_is_no_request_is_not_answered);
    RUN(broken_packets_get_a_code);
    RUN(a_reply_stays_in_its_room);
    RUN(lines_bring_any_packet);
    return 0;
}
