/* When a class is worth an event (SPEC section 3, event_rule): seen often enough, sure enough, and not told
 * too often. */
#ifndef TINYFLEET_RULE_H
#define TINYFLEET_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/telemetry.h"
#include "tinyfleet/wire.h"

#define TF_RULE_NO_CLASS 256u

typedef struct {
    tf_event_rule_t rule;
    uint16_t
        seen[TF_RULE_WINDOWS_MAX]; /* class of each of the last windows, TF_RULE_NO_CLASS: none that counts */
    uint8_t at;
    uint16_t on;   /* the class that is on */
    uint16_t told; /* the last one told, until none is on */
    uint8_t score; /* of its last window */
    uint64_t free_ms;
} tf_rule_t;

/* What a node does until it is told otherwise: any change of class, at most once in 10 s. */
extern const tf_event_rule_t tf_rule_default;

/* True when the class is one of them, or none is named. */
bool tf_classes_have(const tf_classes_t *classes, uint32_t class_index);

/* The same rule again changes nothing; another begins with nothing seen. A zeroed struct has no rule yet. */
void tf_rule_set(tf_rule_t *rule, const tf_event_rule_t *wanted);
/* Another model: its classes are others. */
void tf_rule_forget(tf_rule_t *rule);
void tf_rule_add(tf_rule_t *rule, tf_verdict_t verdict);
/* Whether there is something to tell: class rule->on with rule->score. */
bool tf_rule_due(const tf_rule_t *rule, uint64_t now_ms);
void tf_rule_told(tf_rule_t *rule, uint64_t now_ms);

#endif
