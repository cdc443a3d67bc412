/* The node's session over the real MQTT client, on a transport made here: a broker that drops, floods, lies
 * or sends noise, in pieces of any size. What gets through goes to a real update engine. */
#include "../apps/node/entropy.h"
#include "../apps/node/session.h"
#include "check.h"
#include "random.h"
#include "tinyfleet/node_port.h"
#include "world.h"

enum { ROUNDS = 2000, PACKETS = 40 };

static world_t world;
static made_t model;
static settings_t settings;
static session_t session;
static uint32_t clock_ms, seed = 1;
static uint32_t opened, links, wants, chunks;
static bool linked;

static uint32_t below(uint32_t bound) {
    return random_next(&seed) % bound;
}

/* ---- what the node's other files and lwIP are to a session ---- */

uint32_t entropy_next(void) {
    return random_next(&seed);
}

void tf_console(const char *format, ...) {
    (void)format;
}

static uint32_t room(void *context) {
    (void)context;
    return 4096;
}

static int write(void *context, const uint8_t *data, uint32_t size, bool more) {
    (void)context, (void)more;
    CHECK(data != NULL && size <= 4096);
    return 0;
}

static void nothing(void *context) {
    (void)context;
}

tf_mqtt_transport_t tf_link_transport(tf_link_t *link, tf_mqtt_t *client, uint32_t (*now_ms)(void)) {
    (void)client;
    *link = (tf_link_t){.now_ms = now_ms};
    return (tf_mqtt_transport_t){
        .context = link, .room = room, .write = write, .flush = nothing, .close = nothing};
}

bool tf_link_connect(tf_link_t *link, const uint8_t host[4], uint16_t port) {
    CHECK(link == &session.link && memcmp(host, settings.config.host, 4) == 0 && port == 1883);
    opened++;
    return true;
}

/* ---- what a session is to the node ---- */

static void on_link(void *context, bool up) {
    (void)context;
    CHECK(up != linked);
    linked = up;
    links++;
    tf_update_link(&world.update, up, &world.now);
}

static void on_want(void *context, const uint8_t *data, uint32_t size) {
    (void)context;
    CHECK(size <= TF_MESSAGE_MAX_BYTES);
    wants++;
    tf_want_t want;
    if (size == 0)
        tf_update_want(&world.update, NULL, &world.now);
    else if (tf_decode_want(data, size, &want) == TF_WIRE_OK)
        tf_update_want(&world.update, &want, &world.now);
}

static void on_chunk(void *context, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t size) {
    (void)context;
    CHECK(size <= TF_MESSAGE_MAX_BYTES);
    chunks++;
    tf_update_chunk(&world.update, topic, data, size, &world.now);
}

static void on_published(void *context, uint16_t id, bool taken) {
    (void)context, (void)taken;
    CHECK(id != 0);
}

static uint32_t now_ms(void) {
    return clock_ms;
}

static void begin(void) {
    world_open(&world);
    world_boot(&world);
    settings = (settings_t){.device = "node-1", .user = "node-1", .host = "10.0.2.2"};
    settings.config = (tf_config_t){.device = tf_text("node-1"),
                                    .port = 1883,
                                    .user = tf_text("node-1"),
                                    .password = {(const uint8_t *)"secret", 6},
                                    .prefix = tf_text("tf/1"),
                                    .keepalive_s = 30};
    const session_events_t events = {NULL, on_link, on_want, on_chunk, on_published};
    linked = false;
    CHECK_EQUAL(session_init(&session, &settings, 1, &events, now_ms), SESSION_OK);
}

/* In pieces of up to `longest` bytes, each alone in memory so that ASan sees a step beside it. */
static void receive(const uint8_t *bytes, uint32_t size, uint32_t longest) {
    for (uint32_t at = 0; at < size;) {
        uint32_t piece = 1 + below(longest);
        if (piece > size - at) piece = size - at;
        uint8_t *copy = malloc(piece);
        CHECK(copy != NULL);
        memcpy(copy, bytes + at, piece);
        tf_mqtt_input(&session.client, copy, piece, clock_ms);
        free(copy);
        at += piece;
    }
}

/* Lets the session open its transport, then answers CONNECT, SUBSCRIBE and the publish of `conn`. */
static void connect(void) {
    uint32_t before = opened;
    for (uint32_t i = 0; i < 100 && opened == before; i++) clock_ms += session_poll(&session, true, clock_ms);
    CHECK_EQUAL(opened, before + 1);
    tf_mqtt_opened(&session.client, clock_ms);
    static const uint8_t connack[] = {0x20, 3, 0, 0, 0};
    receive(connack, sizeof connack, 5);
    uint8_t high = (uint8_t)(session.want_id >> 8), low = (uint8_t)session.want_id;
    uint16_t conn_id = (uint16_t)(session.want_id + 1u);
    const uint8_t answers[] = {0x90, 4, high, low, 0, 1, 0x40, 2, (uint8_t)(conn_id >> 8), (uint8_t)conn_id};
    receive(answers, sizeof answers, 10);
    CHECK(session.up && linked);
}

static uint32_t pause_ms(void) {
    tf_mqtt_lost(&session.client);
    CHECK(!session.up && !linked);
    return session.retry_ms - clock_ms;
}

/* A broker that takes us on only to drop us, or two nodes of one name that push each other out, must not be
 * asked several times a second for ever. */
static void a_connection_that_does_not_last_is_no_success(void) {
    begin();
    uint32_t longest_ms = 0;
    for (uint32_t i = 0; i < 10; i++) {
        connect();
        clock_ms += 1000;
        uint32_t pause = pause_ms();
        CHECK(pause <= 30000);
        if (pause > longest_ms) longest_ms = pause;
    }
    CHECK(longest_ms >= 15000);
    connect();
    clock_ms += 60000;
    CHECK(pause_ms() <= 500);
    world_close(&world);
}

static void the_clock_may_wrap(void) {
    begin();
    clock_ms = UINT32_MAX - 2000;
    for (uint32_t i = 0; i < 6; i++) {
        connect();
        clock_ms += 900;
        (void)pause_ms();
    }
    CHECK(clock_ms < 1000000);
    world_close(&world);
}

/* A broker that takes smaller packets than the node writes (Maximum Packet Size, MQTT 5.0, 3.2.2.3.6) would
 * leave it waiting for room with its first birth, for ever and at full speed. */
static void a_broker_must_take_our_packets(void) {
    static const uint8_t little[] = {0x20, 8, 0, 0, 5, 0x27, 0, 0, 4, 255};
    static const uint8_t enough[] = {0x20, 8, 0, 0, 5, 0x27, 0, 0, 5, 0};
    begin();
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t before = opened;
        while (opened == before) clock_ms += session_poll(&session, true, clock_ms);
        tf_mqtt_opened(&session.client, clock_ms);
        receive(little, sizeof little, 5);
        CHECK_EQUAL(session.client.state, TF_MQTT_IDLE);
        CHECK_EQUAL(session.failures, i + 1);
        CHECK(strstr(session.trouble, "smaller packets") != NULL);
    }
    clock_ms += 60000;
    (void)session_poll(&session, true, clock_ms);
    tf_mqtt_opened(&session.client, clock_ms);
    receive(enough, sizeof enough, 5);
    CHECK_EQUAL(session.client.state, TF_MQTT_ONLINE);
    tf_mqtt_lost(&session.client);
    world_close(&world);
}

/* ---- noise ---- */

static uint32_t put_publish(uint8_t *out, const char *topic, const uint8_t *payload, uint32_t size) {
    uint32_t topic_bytes = (uint32_t)strlen(topic), at = 0, left = 2 + topic_bytes + 2 + 1 + size;
    out[at++] = 0x32;
    for (; left > 0x7F; left >>= 7) out[at++] = (uint8_t)(left | 0x80u);
    out[at++] = (uint8_t)left;
    out[at++] = (uint8_t)(topic_bytes >> 8);
    out[at++] = (uint8_t)topic_bytes;
    memcpy(out + at, topic, topic_bytes);
    at += topic_bytes;
    out[at++] = 0;
    out[at++] = (uint8_t)(1 + below(200));
    out[at++] = 0;
    if (size > 0) memcpy(out + at, payload, size);
    return at + size;
}

static uint32_t put_want(uint8_t *out, uint32_t generation) {
    tf_writer_t writer;
    tf_writer_init(&writer, out, TF_MESSAGE_MAX_BYTES);
    tf_write_map(&writer, 2);
    tf_write_uint(&writer, TF_WANT_GENERATION);
    tf_write_uint(&writer, generation);
    tf_write_uint(&writer, below(8) == 0 ? TF_WANT_FIRMWARE : TF_WANT_MODEL);
    tf_write_map(&writer, 5);
    tf_write_uint(&writer, TF_WANTED_IMAGE);
    tf_write_bytes(&writer, model.digest, 32);
    tf_write_uint(&writer, TF_WANTED_MANIFEST);
    tf_write_bytes(&writer, model.manifest_digest, 32);
    tf_write_uint(&writer, TF_WANTED_VERSION);
    tf_write_text(&writer, "1", 1);
    tf_write_uint(&writer, TF_WANTED_GROUPS);
    tf_write_uint(&writer, 1);
    tf_write_uint(&writer, TF_WANTED_SIZE_BYTES);
    tf_write_uint(&writer, model.size);
    return tf_writer_end(&writer);
}

/* A chunk of the group that the engine waits for, or of any. */
static uint32_t put_chunk(uint8_t *out) {
    char topic[TF_TOPIC_MAX];
    uint32_t group = below(4) == 0 ? below(5) : world.update.fetch.group;
    if (group > 3) group = below(4);
    uint32_t index = below(16);
    CHECK(tf_topic_blob(topic, sizeof topic - 8, tf_text("tf/1"), model.manifest_digest, (uint16_t)group) >
          0);
    CHECK(snprintf(topic + strlen(topic) - 1, 8, "%u", group == 0 ? 0 : index) > 0);
    const uint8_t *content =
        group == 0 ? model.manifest : model.bytes + (group - 1) * TF_GROUP_BYTES + index * 1024u;
    uint32_t end = group == 0 ? model.manifest_bytes : model.size;
    uint32_t at = group == 0 ? 0 : (group - 1) * TF_GROUP_BYTES + index * 1024u;
    uint32_t size = at >= end ? 0 : end - at < 1024 ? end - at : 1024;
    if (below(16) == 0) size += below(3000); /* longer than a chunk may be; model.bytes is larger than that */
    return put_publish(out, topic, content, size);
}

static uint32_t put_packet(uint8_t *out, uint32_t capacity, uint32_t *generation) {
    static uint8_t payload[6000];
    uint32_t size = 0;
    switch (below(40)) {
        case 0: /* noise */
            size = below(40);
            for (uint32_t i = 0; i < size; i++) out[i] = (uint8_t)random_next(&seed);
            return size;
        case 1: /* a want of any bytes, perhaps too large */
            size = below(sizeof payload);
            return put_publish(out, "tf/1/node-1/want", payload, size);
        case 2:
            size = put_want(payload, ++*generation);
            break;
        case 3:
            return put_publish(out, "tf/1/node-1/want", NULL, 0);
        case 4:
            return put_publish(out, "tf/1/blob/AAAAAAAAAAAAAAAAAAAAAA/0/99999", payload, below(2000));
        default:
            size = put_chunk(out);
            CHECK(size <= capacity);
            if (below(60) == 0) out[below(size)] ^= (uint8_t)(1u << below(8));
            return size;
    }
    return put_publish(out, "tf/1/node-1/want", payload, size);
}

/* The broker's answer to our last request, SUBACK or UNSUBACK. */
static void answer(uint8_t type) {
    uint16_t id = session.client.next_id;
    const uint8_t packet[] = {type, 4, (uint8_t)(id >> 8), (uint8_t)id, 0, 0};
    receive(packet, sizeof packet, 6);
}

static void take_actions(void) {
    tf_update_action_t action;
    while (session.up && tf_update_next(&world.update, &action)) {
        switch (action.kind) {
            case TF_UPDATE_SUBSCRIBE:
                if (session_subscribe(&session, action.manifest, action.group)) answer(0x90);
                break;
            case TF_UPDATE_UNSUBSCRIBE:
                if (session_unsubscribe(&session, action.manifest, action.group)) answer(0xB0);
                break;
            case TF_UPDATE_TRIAL:
                tf_update_trial(&world.update, TF_RESULT_SUCCESS, NULL, &world.now);
                break;
            case TF_UPDATE_RUN:
                CHECK(action.slot == TF_UPDATE_NO_SLOT || memcmp(action.image.image, model.digest, 32) == 0);
                break;
            case TF_UPDATE_STATUS:
            case TF_UPDATE_RESET:
            case TF_UPDATE_SHADOW:
                break;
        }
    }
}

/* Whatever a broker sends, nothing is read or written out of bounds (ASan), nothing but the signed model is
 * run, and the next connection is as good as the first. */
static void noise_does_no_harm(void) {
    static uint8_t bytes[16384];
    uint32_t ends = 0, confirmed = 0, generation = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (round % 50 == 0) begin(), generation = 0;
        connect();
        world.now.uptime_ms += 1000;
        for (uint32_t i = 0; i < PACKETS && session.up; i++) {
            uint32_t size = put_packet(bytes, sizeof bytes, &generation);
            receive(bytes, size, below(3) == 0 ? 3 : 1500);
            take_actions();
            world.now.uptime_ms += below(700);
            tf_update_tick(&world.update, &world.now);
            clock_ms += below(50);
            (void)session_poll(&session, true, clock_ms);
        }
        ends += !session.up;
        confirmed += tf_update_record(&world.update)->state == TF_UPDATE_STATE_CONFIRMED;
        if (session.client.state != TF_MQTT_IDLE) tf_mqtt_lost(&session.client);
        CHECK(!session.up && !linked);
        if (round % 50 == 49) world_close(&world);
    }
    printf("%u connections ended by noise, %u wants, %u chunks, %u times confirmed\n", ends, wants, chunks,
           confirmed);
    CHECK(ends > ROUNDS / 4 && ends < ROUNDS && wants > 500 && chunks > 500 && confirmed > 0);
}

int main(void) {
    maker_image(&model, 2000, 1, 0, SIGNER_OURS);
    RUN(a_connection_that_does_not_last_is_no_success);
    RUN(the_clock_may_wrap);
    RUN(a_broker_must_take_our_packets);
    RUN(noise_does_no_harm);
    return 0;
}
