/* A client on a recording transport: what it sent, and a readable log of what it told its caller. */
#ifndef TINYFLEET_MQTT_HARNESS_H
#define TINYFLEET_MQTT_HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/mqtt.h"

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

#define CHECK_TEXT(actual, wanted)                                                                        \
    do {                                                                                                  \
        if (strcmp((actual), (wanted)) != 0) {                                                            \
            fprintf(stderr, "%s:%d: expected\n%s\ngot\n%s\n", __FILE__, __LINE__, (const char *)(wanted), \
                    (actual));                                                                            \
            exit(1);                                                                                      \
        }                                                                                                 \
    } while (0)

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

typedef struct {
    tf_mqtt_t client;
    uint32_t room;
    uint8_t sent[65536];
    uint32_t sent_bytes;
    char log[65536];
    uint32_t log_bytes;
    uint32_t closes;
    uint32_t payload_hash; /* of the message being received */
    uint32_t payload_bytes;
    uint32_t message_bytes;
} harness_t;

void harness_init(harness_t *harness);
tf_mqtt_options_t harness_options(void);
/* Open, CONNECT and a plain CONNACK; log and sent bytes empty afterwards. */
void harness_online(harness_t *harness);
void harness_clear(harness_t *harness);
/* A fixed sequence of numbers. */
uint32_t harness_random(void);

void test_bytes(void);

#endif
