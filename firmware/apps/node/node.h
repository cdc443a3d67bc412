/* The node: its parts, and what they owe the manager. */
#ifndef TINYFLEET_NODE_NODE_H
#define TINYFLEET_NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "outbox.h"
#include "sampler.h"
#include "session.h"
#include "settings.h"
#include "shadow.h"
#include "sleeper.h"
#include "tinyfleet/collector.h"
#include "tinyfleet/node_port.h"
#include "tinyfleet/rule.h"
#include "tinyfleet/update.h"

/* What a birth tells; another one is due when it has changed. */
typedef struct {
    uint32_t generation;
    uint8_t state;
    uint8_t result;
    uint8_t active;
    uint8_t clock; /* its source */
    uint8_t image[32];
} birth_key_t;

/* A firmware on trial tests itself: the running model's golden vectors, and its broker. */
typedef struct {
    bool open;
    bool vectors; /* passed, or there are none to run */
    bool online;
} self_test_t;

/* Byte counters when an update was offered; what it took is the difference, kept once it is verified. */
typedef struct {
    bool open;
    tf_transfer_t base;
    tf_transfer_t total;
} transfer_t;

/* A configuration on trial. */
typedef struct {
    tf_config_store_t store;
    bool switched;     /* another configuration is in use than the session knows */
    uint32_t failures; /* of the session, already counted as attempts */
    uint64_t late_ms;  /* when the trial has taken too long */
    bool slept;        /* since then: the next wake's attempts begin */
} rotation_t;

typedef struct {
    const tf_node_port_t *port;
    settings_t settings;
    rotation_t rotation;
    node_clock_t clock;
    session_t session;
    outbox_t outbox;
    sampler_t sampler;
    shadow_t shadow;
    sleeper_t sleeper;
    tf_update_t update;
    const tf_handoff_t *handoff; /* NULL: no bootloader started this */
    tf_boot_t boot;
    tf_image_t firmware; /* what runs, by its slot's image */
    self_test_t self_test;
    bool resetting; /* the update asked for a reset, which waits for `reset_ms` */
    uint64_t reset_ms;
    bool reset_asked; /* over SMP, for `asked_ms` */
    uint64_t asked_ms;
    uint32_t period_s;
    uint32_t birth_seq;
    uint32_t event_seq;
    bool birth_due;
    birth_key_t birth_key;
    uint64_t tele_due_ms;
    transfer_t transfer;
    bool has_action; /* taken from the update engine, not yet carried out */
    tf_update_action_t action;
    bool ended_due; /* an update ended a challenger: to be told */
    tf_comparison_t ended;
    bool has_crash;
    tf_crash_t crash;
    tf_rule_t rule;
    tf_collector_t collector;
} node_t;

uint64_t node_uptime_ms(const node_t *node);

/* report.c: each publishes what is due and can be sent now. */
void report_poll(node_t *node);
/* live.c: what follows from a window that the running model saw, and what a want says of it. */
void live_init(node_t *node);
void live_verdict(node_t *node, const sampler_outcome_t *outcome);
void live_want(node_t *node, const tf_want_t *want);
void live_poll(node_t *node);
void live_link(node_t *node, bool up);
/* No window waits that was chosen before this connection: only such a one is worth staying awake for. */
bool live_is_done(const node_t *node);
/* Another model runs from now on. */
void live_model(node_t *node);

/* An event, numbered; it is sent once it can be. */
void report_event(node_t *node, tf_event_t *event);
/* The last counters of a model that is being replaced, or of a challenger. */
void report_last_tele(node_t *node);
/* What only RAM knows goes into flash. */
void report_before_reset(node_t *node);
bool report_status(node_t *node, tf_status_t *status);
/* Nothing is left to say now, and the engine has no action that was not carried out. */
bool report_is_done(const node_t *node);
/* Milliseconds until a report is due. */
uint32_t report_wait_ms(const node_t *node);

/* updates.c: joins the update engine with session and sampler. */
bool updates_start(node_t *node);
void updates_poll(node_t *node);
uint32_t updates_wait_ms(const node_t *node);
void updates_link(node_t *node, bool up);
void updates_want(node_t *node, const uint8_t *data, uint32_t size);
void updates_chunk(node_t *node, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t size);
/* Before updates_start: what the bootloader left. */
void updates_meet_bootloader(node_t *node);
/* The node cannot work: a firmware on trial is none then, and the one before comes back. */
void updates_give_up(node_t *node);
/* Someone asked for a reset: in a moment, whatever the update does. */
void updates_reset(node_t *node, uint32_t after_ms);
/* Who brought a firmware hears it by SMP, which stands for the broker's answer. False: its golden vectors
 * have not passed yet. */
bool updates_heard(node_t *node);
/* Of a challenger: its golden vectors passed, or it must not go on. */
void updates_challenger(node_t *node, shadow_outcome_t outcome);
void updates_trial_ended(node_t *node, tf_result_t result, const char *detail);

/* radio.c: joins the sleeper with session, update and the network. */
void radio_init(node_t *node);
/* The policy of a want, or the configuration's where it has none. */
void radio_policy(node_t *node, const tf_want_t *want);
/* What this wake has left for an update. */
void radio_budget(const node_t *node, tf_update_now_t *now);
/* Whether this wake has bytes for what waits in flash and for windows: an update has its share first. */
bool radio_may_send(const node_t *node);
bool radio_on(const node_t *node);
/* True when it did something: the rest of the node is to be polled before it idles. */
bool radio_poll(node_t *node);
uint32_t radio_wait_ms(const node_t *node);
/* smp.c; after tf_link_start. */
void smp_start(node_t *node);
/* Takes at most one packet off the console. */
void smp_poll(node_t *node);

/* rotation.c: another configuration, staged by a want, kept when the broker was reached with it. */
void rotation_start(node_t *node);
void rotation_want(node_t *node, const tf_config_change_t *change);
void rotation_link(node_t *node, bool up);
void rotation_poll(node_t *node);
bool rotation_is_settled(const node_t *node);
uint32_t rotation_wait_ms(const node_t *node);
tf_config_report_t rotation_report(const node_t *node);

#endif
