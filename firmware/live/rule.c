#include "tinyfleet/rule.h"

#include <string.h>

const tf_event_rule_t tf_rule_default = {.windows = 1, .hits = 1, .hold_off_s = 10};

bool tf_classes_have(const tf_classes_t *classes, uint32_t class_index) {
    for (uint32_t i = 0; i < classes->count; i++) {
        if (classes->index[i] == class_index) return true;
    }
    return classes->count == 0;
}

static bool same_rule(const tf_event_rule_t *left, const tf_event_rule_t *right) {
    return left->classes.count == right->classes.count &&
           memcmp(left->classes.index, right->classes.index, left->classes.count) == 0 &&
           left->min_score == right->min_score && left->windows == right->windows &&
           left->hits == right->hits && left->hold_off_s == right->hold_off_s;
}

void tf_rule_set(tf_rule_t *rule, const tf_event_rule_t *wanted) {
    tf_event_rule_t clean = *wanted;
    if (clean.hits > clean.windows) clean.hits = clean.windows;
    if (same_rule(&rule->rule, &clean)) return;
    rule->rule = clean;
    tf_rule_forget(rule);
}

void tf_rule_forget(tf_rule_t *rule) {
    for (uint32_t i = 0; i < TF_RULE_WINDOWS_MAX; i++) rule->seen[i] = TF_RULE_NO_CLASS;
    rule->at = 0;
    rule->on = rule->told = TF_RULE_NO_CLASS;
}

static uint32_t hits(const tf_rule_t *rule, uint32_t class_index) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rule->rule.windows; i++) count += rule->seen[i] == class_index ? 1u : 0u;
    return count;
}

void tf_rule_add(tf_rule_t *rule, tf_verdict_t verdict) {
    const uint16_t class_index = verdict.class_index;
    const bool counts =
        verdict.score >= rule->rule.min_score && tf_classes_have(&rule->rule.classes, class_index);
    rule->seen[rule->at] = counts ? class_index : TF_RULE_NO_CLASS;
    rule->at = (uint8_t)((rule->at + 1u) % rule->rule.windows);
    if (counts && hits(rule, class_index) >= rule->rule.hits) {
        rule->on = class_index;
        rule->score = verdict.score;
    } else if (rule->on != TF_RULE_NO_CLASS && hits(rule, rule->on) == 0) {
        /* Gone: the same one may be told again. */
        rule->on = rule->told = TF_RULE_NO_CLASS;
    }
}

bool tf_rule_due(const tf_rule_t *rule, uint64_t now_ms) {
    return rule->on != TF_RULE_NO_CLASS && rule->on != rule->told && now_ms >= rule->free_ms;
}

void tf_rule_told(tf_rule_t *rule, uint64_t now_ms) {
    rule->told = rule->on;
    rule->free_ms = now_ms + (uint64_t)rule->rule.hold_off_s * 1000u;
}
