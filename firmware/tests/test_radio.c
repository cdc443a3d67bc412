/* What a wake may still send: the radio's budgets with a session that always has more to say. The session,
 * the update and the link are the test's. */
#include "../apps/node/entropy.h"
#include "../apps/node/node.h"
#include "check.h"

static node_t node;
static uint64_t uptime_ms;
static uint32_t sent_bytes;
static tf_update_record_t record;
static bool power, settled;

void tf_console(const char *format, ...) {
    (void)format;
}

uint64_t node_uptime_ms(const node_t *self) {
    (void)self;
    return uptime_ms;
}

uint32_t entropy_next(void) {
    return 0;
}

const tf_update_record_t *tf_update_record(const tf_update_t *update) {
    (void)update;
    return &record;
}

bool tf_mqtt_settled(const tf_mqtt_t *client) {
    (void)client;
    return settled;
}

void session_say_asleep(session_t *session) {
    session->says_asleep = false;
}

void session_close(session_t *session) {
    session->up = false;
}

void session_wake(session_t *session) {
    session->up = true;
}

void tf_link_power(tf_link_t *link, bool on) {
    (void)link;
    power = on;
}

bool rotation_is_settled(const node_t *self) {
    (void)self;
    return true;
}

bool report_is_done(const node_t *self) {
    return !radio_may_send(self);
}

bool live_is_done(const node_t *self) {
    return !radio_may_send(self);
}

static void net_bytes(uint32_t *rx, uint32_t *tx) {
    *rx = 0;
    *tx = sent_bytes;
}

static const tf_node_port_t port = {.net_bytes = net_bytes};

static void begin(uint32_t budget_bytes) {
    memset(&node, 0, sizeof node);
    node.port = &port;
    node.settings.config.has_sleep = true;
    node.settings.config.sleep = (tf_sleep_t){.wake_s = 3600,
                                              .has_budget_bytes = true,
                                              .budget_bytes = budget_bytes,
                                              .has_awake_ms = true,
                                              .awake_ms = 60000};
    uptime_ms = 1000;
    sent_bytes = UINT32_MAX - 5000;
    record.state = TF_UPDATE_STATE_CONFIRMED;
    power = true;
    settled = false;
    radio_init(&node);
    (void)radio_poll(&node);
    node.session.up = node.session.heard_want = true;
    (void)radio_poll(&node);
    CHECK_EQUAL(node.sleeper.state, SLEEPER_AWAKE);
}

/* What waits is sent as long as it may be; how much that was. */
static uint32_t sends(void) {
    const uint32_t before = sent_bytes;
    for (uint32_t turns = 0; power && turns < 100000; turns++, uptime_ms += 10) {
        settled = !radio_may_send(&node) || !node.session.up;
        if (!settled) sent_bytes += 1000;
        (void)radio_poll(&node);
    }
    CHECK(!power);
    return sent_bytes - before;
}

/* Not one message more, though the node is still connected to say that it goes. */
static void a_wake_ends_with_its_bytes(void) {
    begin(20000);
    CHECK_EQUAL(sends(), 20000);
    CHECK(uptime_ms < 2000);
}

static void an_update_has_half_of_them(void) {
    begin(20000);
    record.state = TF_UPDATE_STATE_DEFERRED;
    CHECK_EQUAL(sends(), 10000);
}

static void a_wake_ends_with_its_time(void) {
    begin(UINT32_MAX);
    CHECK(sends() > 1000000);
    CHECK(uptime_ms < 1000 + 60000 + 1000);
}

/* Whose radio is always on has no budget. */
static void without_a_policy_nothing_is_held_back(void) {
    begin(1000);
    const tf_want_t want = {.has_sleep = true};
    sent_bytes += 5000;
    CHECK(!radio_may_send(&node));
    radio_policy(&node, &want);
    CHECK(node.birth_due && radio_may_send(&node));
}

/* The broker comes back after the wake would have been over. */
static void a_firmware_that_tests_itself_stays_awake(void) {
    begin(20000);
    record.firmware = true;
    record.state = TF_UPDATE_STATE_TRIAL;
    node.self_test.open = true;
    node.session.up = false;
    for (uint32_t i = 0; i < 200; i++, uptime_ms += 1000) {
        (void)radio_poll(&node);
        CHECK(radio_on(&node) && power);
    }
    CHECK_EQUAL(radio_wait_ms(&node), UINT32_MAX); /* the trial's own end is the update's to wake for */
    node.session.up = true;
    (void)radio_poll(&node);
    CHECK_EQUAL(node.sleeper.state, SLEEPER_AWAKE);
    /* It passed. */
    node.self_test.open = false;
    record.state = TF_UPDATE_STATE_CONFIRMED;
    CHECK_EQUAL(radio_wait_ms(&node), 0);
    (void)sends();
    record.firmware = false;
}

int main(void) {
    RUN(a_wake_ends_with_its_bytes);
    RUN(an_update_has_half_of_them);
    RUN(a_wake_ends_with_its_time);
    RUN(a_firmware_that_tests_itself_stays_awake);
    RUN(without_a_policy_nothing_is_held_back);
    return 0;
}
