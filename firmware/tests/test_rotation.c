/* How a node tries another configuration: what counts as an attempt, over wakes too. The session, the radio
 * and the clock are the test's. */
#include "../apps/node/node.h"
#include "check.h"
#include "config_world.h"

static config_world_t world;
static node_t node;
static uint64_t uptime_ms;
static bool radio;
static uint32_t renewed;

void tf_console(const char *format, ...) {
    (void)format;
}

uint64_t node_uptime_ms(const node_t *self) {
    (void)self;
    return uptime_ms;
}

bool radio_on(const node_t *self) {
    (void)self;
    return radio;
}

session_problem_t session_renew(session_t *session) {
    session->failures = 0;
    session->up = false;
    renewed++;
    return SESSION_OK;
}

void clock_server(node_clock_t *clock, const tf_config_t *config) {
    (void)clock, (void)config;
}

bool settings_take_up(settings_t *settings, const tf_config_store_t *store, const tf_flash_t *flash) {
    const uint8_t *area = flash->map(flash->context, tf_config_in_use(store), CONFIG_WORLD_REGION);
    return tf_record_config(area, CONFIG_WORLD_REGION, &settings->config) == TF_WIRE_OK;
}

static const tf_flash_t *flash(void) {
    return &world.flash.port;
}

static void no_reset(void) {
    CHECK(false);
}

static const tf_node_port_t port = {.flash = flash, .reset = no_reset};

/* Connected, and a change of the broker's port was wanted. */
static void begin(void) {
    config_world_open(&world);
    memset(&node, 0, sizeof node);
    node.port = &port;
    CHECK(tf_config_open(&node.rotation.store, &world.layout));
    CHECK(settings_take_up(&node.settings, &node.rotation.store, flash()));
    uptime_ms = 1000;
    radio = true;
    renewed = 0;
    rotation_start(&node);
    node.session.up = true;
    const tf_config_change_t change = {.sequence = 1, .has_port = true, .port = 1884};
    rotation_want(&node, &change);
    rotation_poll(&node);
    CHECK_EQUAL(renewed, 1);
    CHECK_EQUAL(node.settings.config.port, 1884);
    CHECK(!rotation_is_settled(&node));
}

static void end(void) {
    config_world_close(&world);
}

static void expect_before(void) {
    CHECK(rotation_is_settled(&node));
    CHECK_EQUAL(node.settings.config.port, CONFIG_WORLD_PORT);
    CHECK_EQUAL(node.rotation.store.record.refused, 1);
}

/* The radio goes off for a while, and on again: radio.c and session_wake. */
static void sleep(void) {
    radio = false;
    for (uint32_t i = 0; i < 3; i++, uptime_ms += 1000) rotation_poll(&node);
    radio = true;
    node.session.failures = 0;
}

static void each_failed_connection_is_an_attempt(void) {
    begin();
    for (uint32_t i = 1; i < TF_CONFIG_TRIES; i++) {
        node.session.failures++;
        rotation_poll(&node);
        rotation_poll(&node);
        CHECK_EQUAL(node.rotation.store.record.tries, i + 1u);
    }
    node.session.failures++;
    rotation_poll(&node);
    expect_before();
    end();
}

static void the_time_for_all_of_them_is_bounded(void) {
    begin();
    uptime_ms += TF_CONFIG_TRIAL_MS - 1;
    rotation_poll(&node);
    CHECK(!rotation_is_settled(&node));
    CHECK_EQUAL(rotation_wait_ms(&node), 1);
    uptime_ms++;
    rotation_poll(&node);
    expect_before();
    end();
}

/* A broker that swallows everything: its time-out is longer than the wake. */
static void a_wake_without_an_answer_is_an_attempt(void) {
    begin();
    for (uint32_t wake = 1; wake < TF_CONFIG_TRIES; wake++) {
        uptime_ms += 5000;
        rotation_poll(&node);
        CHECK_EQUAL(node.rotation.store.record.tries, wake);
        sleep();
        CHECK_EQUAL(node.rotation.store.record.tries, wake + 1u);
    }
    uptime_ms += 5000;
    rotation_poll(&node);
    sleep();
    rotation_poll(&node);
    expect_before();
    CHECK_EQUAL(renewed, 2);
    end();
}

/* One in which connections failed has counted them; that the session begins to count anew is none. */
static void an_attempt_is_counted_once(void) {
    begin();
    node.session.failures = 2;
    rotation_poll(&node);
    CHECK_EQUAL(node.rotation.store.record.tries, 2);
    sleep();
    rotation_poll(&node);
    CHECK_EQUAL(node.rotation.store.record.tries, 2);
    sleep();
    rotation_poll(&node);
    CHECK_EQUAL(node.rotation.store.record.tries, 3);
    /* The broker answers in a later wake. */
    node.session.up = true;
    rotation_link(&node, true);
    rotation_poll(&node);
    CHECK(rotation_is_settled(&node));
    CHECK_EQUAL(node.settings.config.port, 1884);
    end();
}

int main(void) {
    RUN(each_failed_connection_is_an_attempt);
    RUN(the_time_for_all_of_them_is_bounded);
    RUN(a_wake_without_an_answer_is_an_attempt);
    RUN(an_attempt_is_counted_once);
    return 0;
}
