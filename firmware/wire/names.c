#include "tinyfleet/wire.h"

uint32_t tf_latency_bucket(uint32_t latency_us) {
    static const uint32_t bounds_us[] = TF_LATENCY_BOUNDS_US;
    uint32_t bucket = 0;
    while (bucket < TF_LATENCY_BUCKETS - 1u && latency_us > bounds_us[bucket]) bucket++;
    return bucket;
}

const char *tf_update_state_name(tf_update_state_t state) {
    static const char *const names[] = {
        [TF_UPDATE_STATE_IDLE] = "IDLE",           [TF_UPDATE_STATE_OFFERED] = "OFFERED",
        [TF_UPDATE_STATE_DEFERRED] = "DEFERRED",   [TF_UPDATE_STATE_DOWNLOADING] = "DOWNLOADING",
        [TF_UPDATE_STATE_PAUSED] = "PAUSED",       [TF_UPDATE_STATE_VERIFIED] = "VERIFIED",
        [TF_UPDATE_STATE_STAGED] = "STAGED",       [TF_UPDATE_STATE_TRIAL] = "TRIAL",
        [TF_UPDATE_STATE_CONFIRMED] = "CONFIRMED", [TF_UPDATE_STATE_REVERTED] = "REVERTED",
        [TF_UPDATE_STATE_FAILED] = "FAILED",       [TF_UPDATE_STATE_SHADOW] = "SHADOW",
    };
    return (uint32_t)state < sizeof names / sizeof *names ? names[state] : "UNKNOWN";
}
