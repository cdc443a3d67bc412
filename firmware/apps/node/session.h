/* The node's connection to its broker: opens it, again and again with growing pauses; says who is there
 * (conn); takes `want` and chunks in; publishes what the others hand over. */
#ifndef TINYFLEET_NODE_SESSION_H
#define TINYFLEET_NODE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"
#include "tinyfleet/mqtt.h"
#include "tinyfleet/link.h"
#include "tinyfleet/wire.h"

typedef struct {
    void *context;
    /* The broker has acknowledged the subscription to `want`; or the connection has ended after that. */
    void (*on_link)(void *context, bool up);
    void (*on_want)(void *context, const uint8_t *data, uint32_t size);
    void (*on_chunk)(void *context, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t size);
    /* The broker has taken the message that session_publish gave this id, or refused it. */
    void (*on_published)(void *context, uint16_t id, bool taken);
} session_events_t;

/* What keeps a session from ever working: topics too long, or TLS asked for where this build has none. */
typedef enum { SESSION_OK, SESSION_TOPIC, SESSION_NO_TLS } session_problem_t;

typedef enum { MESSAGE_OTHER, MESSAGE_WANT, MESSAGE_CHUNK } message_kind_t;

typedef struct {
    const settings_t *settings;
    session_events_t events;
    tf_mqtt_t client;
    tf_link_t link;
    uint32_t boot;
    uint32_t conn;
    uint32_t failures;   /* connections in a row that did not last */
    uint32_t retry_ms;   /* the next attempt, when idle */
    const char *trouble; /* why the last connection ended */
    uint32_t refusals;   /* how often TLS was the reason since it was last told of (report.c) */
    const char *refusal; /* the last time's reason */
    bool up;
    uint32_t up_ms;   /* since when */
    bool heard_want;  /* since then */
    bool closes;      /* on purpose, to sleep */
    bool says_asleep; /* ASLEEP with `next_wake_s` is to be published */
    uint32_t next_wake_s;
    uint16_t published; /* id of the last publish */
    uint16_t want_id;   /* of the subscription, until it is acknowledged */
    char want_topic[TF_TOPIC_MAX];
    char conn_topic[TF_TOPIC_MAX];
    uint8_t will[32];
    message_kind_t kind; /* of the message being received */
    tf_blob_topic_t chunk;
    uint32_t fill;
    bool too_large;
    uint8_t message[TF_MESSAGE_MAX_BYTES];
} session_t;

session_problem_t session_init(session_t *session, const settings_t *settings, uint32_t boot,
                               const session_events_t *events, uint32_t (*now_ms)(void));

/* The settings are others now: ends the connection, if there is one, and begins anew with them. Not to be
 * called from an event. */
session_problem_t session_renew(session_t *session);

/* Connects when it is time (`network`: there is an address), keeps alive, times out. Milliseconds until it
 * must be called again. */
uint32_t session_poll(session_t *session, bool network, uint32_t now_ms);

/* True when a message of `bytes` can be published now. */
bool session_ready(const session_t *session, uint32_t bytes);

/* {prefix}/{device}/{leaf}, QoS 1. False: not now, try again. */
bool session_publish(session_t *session, const char *leaf, const uint8_t *payload, uint32_t size,
                     bool retain);

/* To sleep: publishes ASLEEP (when it can; until then `says_asleep` stays), ends the connection, connects
 * again at once. */
void session_say_asleep(session_t *session);
void session_close(session_t *session);
void session_wake(session_t *session);

/* Chunks of one group of a blob. False: not now, try again. */
bool session_subscribe(session_t *session, const uint8_t manifest[16], uint16_t group);
bool session_unsubscribe(session_t *session, const uint8_t manifest[16], uint16_t group);

#endif
