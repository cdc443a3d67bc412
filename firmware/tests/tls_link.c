/* The TLS link between the real MQTT client and a TLS server made of the same library, bytes in pieces of any
 * size; a server that shows what it should not, and bytes that somebody changed on the way.
 *
 *     tls_link <config record> <broker's certificate, DER> <broker's key, 32 bytes>
 *
 * Needs certificates: tests/unit/firmware/test_host.py makes them and runs it. */
#include "check.h"
#include "random.h"
#include "tinyfleet/tls.h"

enum { PIPE = 8192, ROOM = 5840 /* what lwIP takes */, SPOILS = 180, DAYS_TO_1970 = 719528 };
enum { GOOD_DAY = 20454 /* 2026-01-01 */, LATE_DAY = 32000 /* 2057 */ };

typedef struct {
    uint8_t bytes[PIPE];
    uint32_t fill;
} pipe_t;

static tf_config_t config;
static uint8_t record[4096], certificate[1024], key[32];
static uint32_t certificate_bytes;

static tf_mqtt_t client;
static tf_tls_link_t tls;
static pipe_t up, down; /* to the server, to the client */
static bool below_open;
static uint32_t opens, failures, ends, connects, seed = 1;
static int error;

static br_ssl_server_context server;
static br_x509_minimal_context server_x509;
static uint8_t server_buffer[BR_SSL_BUFSIZE_BIDI];

/* ---- the client's side ---- */

static uint32_t room(void *context) {
    (void)context;
    return below_open && up.fill < ROOM ? ROOM - up.fill : 0;
}

static int write(void *context, const uint8_t *data, uint32_t size, bool more) {
    (void)context, (void)more;
    CHECK(size <= room(NULL));
    memcpy(up.bytes + up.fill, data, size);
    up.fill += size;
    return 0;
}

static void flush(void *context) {
    (void)context;
}

static void close_below(void *context) {
    (void)context;
    below_open = false;
}

static void random_bytes(void *context, uint8_t out[32]) {
    (void)context;
    for (uint32_t i = 0; i < 32; i++) out[i] = (uint8_t)random_next(&seed);
}

static void on_open(void *context) {
    (void)context;
    opens++;
}

static void on_failed(void *context, int why) {
    (void)context;
    failures++;
    error = why;
}

static void on_connected(void *context) {
    (void)context;
    connects++;
}

static void on_closed(void *context, tf_mqtt_end_t why, uint8_t reason) {
    (void)context, (void)why, (void)reason;
    ends++;
}

static void on_message(void *context, const tf_mqtt_message_t *message) {
    (void)context, (void)message;
}

static void on_payload(void *context, const uint8_t *data, uint32_t size, bool last) {
    (void)context, (void)data, (void)size, (void)last;
}

static void on_ack(void *context, tf_mqtt_request_t type, uint16_t id, const uint8_t *codes, uint32_t count) {
    (void)context, (void)type, (void)id, (void)codes, (void)count;
}

/* ---- the server's ---- */

static void start_server(void) {
    static br_x509_certificate chain;
    static br_ec_private_key secret;
    static br_x509_trust_anchor authority;
    chain = (br_x509_certificate){certificate, certificate_bytes};
    secret = (br_ec_private_key){BR_EC_secp256r1, key, sizeof key};
    authority = (br_x509_trust_anchor){
        .dn = {(uint8_t *)(uintptr_t)config.tls.ca_name.data, config.tls.ca_name.length},
        .flags = BR_X509_TA_CA,
        .pkey = {.key_type = BR_KEYTYPE_EC,
                 .key.ec = {BR_EC_secp256r1, (uint8_t *)(uintptr_t)config.tls.ca_key.data, 65}}};
    br_ssl_server_init_full_ec(&server, &chain, 1, BR_KEYTYPE_EC, &secret);
    br_ssl_engine_set_default_ecdsa(&server.eng); /* or it asks for no certificate that we have */
    br_x509_minimal_init(&server_x509, &br_sha256_vtable, &authority, 1);
    br_x509_minimal_set_hash(&server_x509, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_ecdsa(&server_x509, &br_ec_p256_m31, &br_ecdsa_i31_vrfy_asn1);
    br_x509_minimal_set_time(&server_x509, GOOD_DAY + DAYS_TO_1970, 0);
    br_ssl_engine_set_x509(&server.eng, &server_x509.vtable);
    br_ssl_server_set_trust_anchor_names_alt(&server, &authority, 1);
    br_ssl_engine_set_buffer(&server.eng, server_buffer, sizeof server_buffer, 1);
    uint8_t noise[32];
    random_bytes(NULL, noise);
    br_ssl_engine_inject_entropy(&server.eng, noise, sizeof noise);
    CHECK(br_ssl_server_reset(&server));
}

/* Moves what can be moved through the server's engine; false: nothing did. */
static bool turn_server(void) {
    size_t size;
    unsigned state = br_ssl_engine_current_state(&server.eng);
    if ((state & BR_SSL_SENDREC) != 0) {
        const uint8_t *bytes = br_ssl_engine_sendrec_buf(&server.eng, &size);
        if (size > PIPE - down.fill) size = PIPE - down.fill;
        if (size == 0) return false;
        memcpy(down.bytes + down.fill, bytes, size);
        down.fill += (uint32_t)size;
        br_ssl_engine_sendrec_ack(&server.eng, size);
        return true;
    }
    if ((state & BR_SSL_RECVREC) == 0 || up.fill == 0) return false;
    uint8_t *to = br_ssl_engine_recvrec_buf(&server.eng, &size);
    if (size > up.fill) size = up.fill;
    memcpy(to, up.bytes, size);
    br_ssl_engine_recvrec_ack(&server.eng, size);
    up.fill -= (uint32_t)size;
    memmove(up.bytes, up.bytes + size, up.fill);
    return true;
}

/* What the client sent, as the server reads it. */
static uint32_t server_reads(uint8_t *out, uint32_t capacity) {
    size_t size;
    const uint8_t *text = br_ssl_engine_recvapp_buf(&server.eng, &size);
    if (text == NULL) return 0;
    CHECK(size <= capacity);
    memcpy(out, text, size);
    br_ssl_engine_recvapp_ack(&server.eng, size);
    return (uint32_t)size;
}

static void server_writes(const uint8_t *data, uint32_t size) {
    size_t free_bytes;
    uint8_t *to = br_ssl_engine_sendapp_buf(&server.eng, &free_bytes);
    CHECK(to != NULL && free_bytes >= size);
    memcpy(to, data, size);
    br_ssl_engine_sendapp_ack(&server.eng, size);
    br_ssl_engine_flush(&server.eng, 0);
}

/* ---- between the two ---- */

static void begin(const tf_tls_t *as) {
    static const tf_mqtt_events_t mqtt = {NULL, on_connected, on_closed, on_message, on_payload, on_ack};
    static const tf_tls_events_t events = {NULL, random_bytes, on_open, on_failed};
    static const tf_mqtt_options_t options = {.client_id = "node-1",
                                              .user = "node-1",
                                              .password = (const uint8_t *)"x",
                                              .password_bytes = 1,
                                              .keepalive_s = 30,
                                              .receive_maximum = 8,
                                              .maximum_packet_bytes = 4096,
                                              .answer_timeout_ms = 10000};
    const tf_mqtt_transport_t below = {NULL, room, write, flush, close_below};
    up.fill = down.fill = opens = failures = ends = connects = 0;
    error = 0;
    below_open = true;
    start_server();
    tf_tls_init(&tls, &client, &below, as, &events);
    const tf_mqtt_transport_t transport = tf_tls_transport(&tls);
    tf_mqtt_init(&client, &transport, &mqtt);
    CHECK(tf_mqtt_open(&client, &options, 0));
}

static void client_hears(const uint8_t *data, uint32_t size) {
    const tf_link_upper_t upper = tf_tls_upper(&tls);
    /* On the heap and just as long, so that reading past it is seen. */
    uint8_t *piece = malloc(size);
    CHECK(piece != NULL);
    memcpy(piece, data, size);
    upper.input(upper.context, piece, size, 0);
    free(piece);
}

/* Lets the two talk until neither has anything to say. `spoil`: the byte sent to the client that is changed
 * on the way, from 1; 0: none. */
static void talk(uint32_t longest, uint32_t spoil) {
    const tf_link_upper_t upper = tf_tls_upper(&tls);
    uint32_t heard = 0;
    for (uint32_t idle = 0; idle < 3;) {
        bool moved = turn_server();
        if (down.fill > 0 && below_open) {
            uint32_t size = 1 + random_next(&seed) % longest;
            if (size > down.fill) size = down.fill;
            if (spoil > heard && spoil <= heard + size) down.bytes[spoil - heard - 1] ^= 0x20u;
            heard += size;
            client_hears(down.bytes, size);
            down.fill -= size;
            memmove(down.bytes, down.bytes + size, down.fill);
            moved = true;
        }
        if (below_open) upper.writable(upper.context, 0);
        idle = moved ? 0 : idle + 1;
    }
}

static void open_below(void) {
    const tf_link_upper_t upper = tf_tls_upper(&tls);
    upper.opened(upper.context, 0);
}

static void a_message_goes_through_in_pieces_of_any_size(void) {
    static const uint32_t longest[] = {1, 7, 100, 1460, 8000};
    for (uint32_t i = 0; i < sizeof longest / sizeof *longest; i++) {
        static uint8_t text[4096];
        begin(&config.tls);
        open_below();
        talk(longest[i], 0);
        CHECK(opens == 1 && failures == 0 && ends == 0);
        CHECK(server_reads(text, sizeof text) > 20 && text[0] == 0x10);
        static const uint8_t connack[] = {0x20, 3, 0, 0, 0};
        server_writes(connack, sizeof connack);
        talk(longest[i], 0);
        CHECK(connects == 1 && client.state == TF_MQTT_ONLINE);
        CHECK(tf_mqtt_publish(&client, "t", text, 900, 1, false) > 0);
        talk(longest[i], 0);
        uint32_t got = 0;
        for (uint32_t size; (size = server_reads(text, sizeof text)) > 0; talk(longest[i], 0)) got += size;
        CHECK(got > 900);
        tf_mqtt_close(&client, 0);
        CHECK(ends == 1 && !below_open && failures == 0);
    }
}

/* Which of the days counts: the clock's, unless that is before the configuration's. */
static void validity_is_checked_on_the_day_of_the_clock(void) {
    static const struct {
        uint32_t configured;
        uint64_t clock_day;
        bool good;
    } cases[] = {{GOOD_DAY, 0, true},
                 {LATE_DAY, 0, false},
                 {GOOD_DAY, LATE_DAY, false},
                 {LATE_DAY, GOOD_DAY, false},
                 {GOOD_DAY, GOOD_DAY + 30, true},
                 {100, 200, false}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tf_tls_t as = config.tls;
        as.day = cases[i].configured;
        begin(&as);
        tls.unix_s = cases[i].clock_day * 86400u + 43200u;
        open_below();
        talk(1460, 0);
        CHECK_EQUAL(opens == 1, cases[i].good);
        CHECK_EQUAL(error, cases[i].good ? BR_ERR_OK : BR_ERR_X509_EXPIRED);
        CHECK_EQUAL(ends, cases[i].good ? 0 : 1);
    }
}

/* It ends, once, and says so once; nothing of MQTT was said before. */
static void expect_failure(uint32_t why) {
    open_below();
    talk(1460, 0);
    CHECK(opens == 0 && failures == 1 && ends == 1 && !below_open);
    CHECK_EQUAL(error, (int)why);
    client_hears((const uint8_t *)"late", 4);
    CHECK(failures == 1 && ends == 1);
}

static void a_server_that_is_not_ours_is_refused(void) {
    static uint8_t point[65];
    tf_tls_t as = config.tls;
    as.server = tf_text("broker.elsewhere");
    begin(&as);
    expect_failure(BR_ERR_X509_BAD_SERVER_NAME);
    as = config.tls;
    as.ca_name.length--;
    begin(&as);
    expect_failure(BR_ERR_X509_NOT_TRUSTED);
    as = config.tls;
    memcpy(point, as.ca_key.data, sizeof point);
    point[64] ^= 1;
    as.ca_key.data = point;
    begin(&as);
    expect_failure(BR_ERR_X509_NOT_TRUSTED);
}

/* Every byte matters: a handshake that was changed anywhere never opens, a record that was never reaches the
 * client. */
static void what_was_changed_on_the_way_is_not_taken(void) {
    uint32_t reached = 0;
    for (uint32_t spoil = 1; spoil <= SPOILS * 5; spoil += 5) {
        begin(&config.tls);
        open_below();
        talk(1460, spoil);
        /* Beyond what the handshake is long nothing was changed. */
        reached += opens;
        if (opens > 0) CHECK(failures == 0 && ends == 0);
        if (opens == 0) CHECK(failures <= 1 && ends <= 1);
        if (ends > 0) CHECK(!below_open);
        if (below_open) tf_mqtt_lost(&client);
    }
    printf("%u changed handshakes, %u beyond their end\n", SPOILS - reached, reached);
    CHECK(reached < SPOILS / 2);
}

static void noise_ends_it_once(void) {
    for (uint32_t round = 0; round < 200; round++) {
        begin(&config.tls);
        open_below();
        for (uint32_t i = 0; i < 40 && below_open; i++) {
            uint8_t noise[300];
            uint32_t size = 1 + random_next(&seed) % sizeof noise;
            for (uint32_t k = 0; k < size; k++) noise[k] = (uint8_t)random_next(&seed);
            if (round % 2 == 0 && i == 0) memcpy(noise, "\x16\x03\x03\x00\x40\x02\x00\x00\x3c\x03\x03", 11);
            client_hears(noise, size);
        }
        CHECK(opens == 0 && failures <= 1 && ends == failures && below_open == (failures == 0));
    }
}

static void read_file(const char *path, uint8_t *out, uint32_t capacity, uint32_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) perror(path);
    CHECK(file != NULL);
    *size = (uint32_t)fread(out, 1, capacity, file);
    fclose(file);
}

int main(int count, char **arguments) {
    uint32_t size;
    CHECK_EQUAL(count, 4);
    read_file(arguments[1], record, sizeof record, &size);
    CHECK_EQUAL(tf_record_config(record, size, &config), TF_WIRE_OK);
    CHECK(config.has_tls);
    read_file(arguments[2], certificate, sizeof certificate, &certificate_bytes);
    read_file(arguments[3], key, sizeof key, &size);
    CHECK_EQUAL(size, sizeof key);
    RUN(a_message_goes_through_in_pieces_of_any_size);
    RUN(validity_is_checked_on_the_day_of_the_clock);
    RUN(a_server_that_is_not_ours_is_refused);
    RUN(what_was_changed_on_the_way_is_not_taken);
    RUN(noise_ends_it_once);
    return 0;
}
