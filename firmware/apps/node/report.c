/* What the node says of itself: birth, telemetry, events, statuses. */
#include <stdio.h>
#include <string.h>

#include "layout.h"
#include "node.h"
#include "tinyfleet/runtime.h"

#define REPORT_BYTES 1024u

static uint8_t message[REPORT_BYTES];

uint64_t node_uptime_ms(const node_t *node) {
    return node->port->now_us() / 1000;
}

/* False: not now. A message that cannot be encoded is a fault of ours; waiting would not mend it. */
static bool publish(node_t *node, const char *leaf, uint32_t size, bool retain) {
    if (size == 0) {
        tf_console("report: %s cannot be encoded", leaf);
        return true;
    }
    return session_publish(&node->session, leaf, message, size, retain);
}

/* A model may have a longer name than a birth: cut between two characters. */
static tf_text_t shortened(tf_text_t text, uint32_t most) {
    if (text.length <= most) return text;
    while (most > 0 && ((uint8_t)text.text[most] & 0xC0) == 0x80) most--;
    text.length = most;
    return text;
}

static void add_model(node_t *node, tf_birth_t *birth, char *version) {
    const tf_image_t *active = tf_update_active(&node->update);
    /* One that verifies and yet cannot run here (flashed by hand, say) is in its slot, and runs nowhere. */
    if (active == NULL || !node->sampler.running) return;
    birth->has_model = true;
    birth->model.has_image = true;
    memcpy(birth->model.image, active->image, sizeof birth->model.image);
    birth->model.version = (tf_text_t){version, tf_image_version_text(&active->version, version)};
    birth->model.security_counter = active->security_counter;
    birth->model.name = shortened(node->sampler.model.name, TF_IMAGE_INFO_NAME_MAX);
    birth->model.has_slot = true;
    birth->model.slot = tf_update_record(&node->update)->active;
}

static void add_shadow(node_t *node, tf_birth_t *birth, char *version) {
    const shadow_t *shadow = &node->shadow;
    birth->has_shadow_bytes = true;
    birth->shadow_bytes = shadow_room_bytes(shadow);
    if (!shadow->running) return;
    birth->has_shadow = true;
    birth->shadow.has_image = true;
    memcpy(birth->shadow.image, shadow->counts.model, sizeof birth->shadow.image);
    birth->shadow.version = (tf_text_t){version, tf_image_version_text(&shadow->version, version)};
    birth->shadow.security_counter = shadow->security_counter;
    birth->shadow.name = shortened(shadow->model.name, TF_IMAGE_INFO_NAME_MAX);
    birth->shadow.has_slot = true;
    birth->shadow.slot = tf_update_record(&node->update)->active == 0 ? 1 : 0;
}

static void add_firmware(node_t *node, tf_birth_t *birth, char *version) {
    const tf_image_t *image = &node->firmware;
    birth->firmware.version = tf_text(TINYFLEET_VERSION);
    if (node->handoff == NULL) return;
    birth->firmware.version = (tf_text_t){version, tf_image_version_text(&image->version, version)};
    birth->firmware.has_image = true;
    memcpy(birth->firmware.image, image->image, sizeof birth->firmware.image);
    /* What is refused from now on, not what the image carries: on trial it has raised nothing. */
    birth->firmware.security_counter = node->boot.record.security_counter;
    birth->firmware.has_slot = true;
    birth->firmware.slot = (uint8_t)node->handoff->slot;
    for (uint8_t i = 0; i < TF_BOOT_SLOTS; i++) {
        tf_slot_info_t *slot = &birth->slots[birth->slot_count++];
        slot->kind = TF_ARTIFACT_KIND_FIRMWARE;
        slot->index = i;
        slot->size_bytes = node->boot.layout->slot_bytes;
        if (tf_update_record(&node->update)->firmware_slots[i] < TF_UPDATE_SLOT_CANDIDATE) continue;
        tf_image_t held;
        const uint8_t *bytes = tf_boot_slot(node->boot.layout, i);
        slot->has_image = tf_image_read(bytes, slot->size_bytes, &held) == TF_RESULT_SUCCESS;
        if (slot->has_image) memcpy(slot->image, held.image, sizeof slot->image);
    }
}

static void add_slots(node_t *node, tf_birth_t *birth) {
    static const uint32_t offsets[TF_UPDATE_SLOTS] = {LAYOUT_MODEL_A, LAYOUT_MODEL_B};
    const tf_flash_t *flash = node->port->flash();
    for (uint8_t i = 0; i < TF_UPDATE_SLOTS; i++) {
        tf_slot_info_t *slot = &birth->slots[birth->slot_count++];
        slot->kind = TF_ARTIFACT_KIND_MODEL;
        slot->index = i;
        slot->size_bytes = LAYOUT_MODEL_BYTES;
        if (tf_update_record(&node->update)->slots[i] < TF_UPDATE_SLOT_CANDIDATE) continue;
        tf_image_t image;
        const uint8_t *bytes = flash->map(flash->context, offsets[i], LAYOUT_MODEL_BYTES);
        slot->has_image = tf_image_read(bytes, LAYOUT_MODEL_BYTES, &image) == TF_RESULT_SUCCESS;
        if (slot->has_image) memcpy(slot->image, image.image, sizeof slot->image);
    }
}

static bool publish_birth(node_t *node) {
    if (!session_ready(&node->session, REPORT_BYTES)) return false;
    const tf_node_port_t *port = node->port;
    const tf_update_record_t *record = tf_update_record(&node->update);
    uint8_t ops[TF_BIRTH_OPS_MAX];
    char version[TF_IMAGE_VERSION_MAX];
    tf_runtime_ops(ops);
    tf_birth_t birth = {
        .boot = record->boot,
        .seq = node->birth_seq,
        .generation = record->generation,
        .state = (tf_update_state_t)record->state,
        .result = (tf_result_t)record->result,
        .device_type = tf_text(port->device_type),
        .hw_rev = tf_text(port->hw_rev),
        .abi = TF_RUNTIME_ABI,
        .ops = {ops, sizeof ops},
        .arena_bytes = SAMPLER_ARENA_BYTES,
        .golden_bytes = LAYOUT_MODEL_BYTES, /* golden vectors stay in the model's slot */
        .period_s = node->period_s,
        .power = (tf_power_source_t)port->power_source,
        .sensor = tf_text(node->sampler.source != NULL ? node->sampler.source->name : "none"),
        .timing = (tf_timing_t)port->timing,
        .core = (tf_core_variant_t)tf_runtime_core(),
        .uptime_ms = node_uptime_ms(node),
        .emulated = port->emulated,
        .decodes = 1u << TF_ENCODING_RAW | 1u << TF_ENCODING_COMPRESSED | 1u << TF_ENCODING_DELTA,
        .staging_bytes = LAYOUT_STAGING_BYTES,
        .captures = true,
        .has_ring = true,
        .ring = {LAYOUT_RING_BYTES, node->outbox.ring.held, node->outbox.ring.lost},
        .has_sleep = node->sleeper.policy.wake_s > 0,
        .sleep = node->sleeper.policy,
        .has_config = true,
        .config = rotation_report(node),
        .has_clock = true,
        .clock = clock_report(&node->clock, node_uptime_ms(node)),
    };
    char firmware_version[TF_IMAGE_VERSION_MAX], shadow_version[TF_IMAGE_VERSION_MAX];
    add_model(node, &birth, version);
    add_slots(node, &birth);
    add_firmware(node, &birth, firmware_version);
    add_shadow(node, &birth, shadow_version);
    if (!publish(node, "birth", tf_encode_birth(&birth, message, sizeof message), true)) return false;
    node->birth_seq++;
    return true;
}

/* A snapshot in `message`. */
static uint32_t make_tele(node_t *node) {
    tf_tele_t tele;
    tf_telemetry_snapshot(&node->sampler.telemetry, tf_update_record(&node->update)->boot,
                          node_uptime_ms(node), &tele);
    if (node->shadow.counting) tele.shadow = &node->shadow.counts;
    tele.unix_s = clock_unix_s(&node->clock, node_uptime_ms(node));
    tele.has_unix_s = tele.unix_s != 0;
    tele.has_lost = node->outbox.ring.lost > 0;
    tele.lost = node->outbox.ring.lost;
    return tf_encode_tele(&tele, message, sizeof message);
}

/* One that is lost with its connection costs nothing, for the next one says as much. Without a connection
 * each waits in flash; of a node that sleeps one a wake is enough. */
static bool tell_tele(node_t *node) {
    if (node->session.up) {
        return session_ready(&node->session, REPORT_BYTES) && publish(node, "tele", make_tele(node), false);
    }
    if (node->sleeper.policy.wake_s > 0) return false;
    (void)outbox_keep(&node->outbox, TF_RING_TELE, message, make_tele(node));
    return true;
}

void report_event(node_t *node, tf_event_t *event) {
    event->boot = tf_update_record(&node->update)->boot;
    event->seq = node->event_seq++;
    event->uptime_ms = node_uptime_ms(node);
    uint32_t size = tf_encode_event(event, message, sizeof message);
    if (!outbox_put(&node->outbox, TF_RING_EVENT, message, size)) tf_console("report: an event is lost");
}

static void tell_crash(node_t *node) {
    const tf_crash_t *crash = &node->crash;
    char text[TF_EVENT_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%.11s pc=%08lx lr=%08lx cfsr=%08lx addr=%08lx after %lu ms",
                   crash->cause, (unsigned long)crash->pc, (unsigned long)crash->lr,
                   (unsigned long)crash->fault_status, (unsigned long)crash->fault_address,
                   (unsigned long)(crash->uptime_us / 1000));
    tf_event_t event = {.kind = TF_EVENT_KIND_CRASH, .text = tf_text(text)};
    report_event(node, &event);
}

static void tell_ended(node_t *node) {
    const tf_comparison_t *ended = &node->ended;
    char text[TF_EVENT_TEXT_MAX];
    (void)snprintf(text, sizeof text, "an update ended the shadow challenger: %lu of %lu windows agreed",
                   (unsigned long)ended->agreements, (unsigned long)ended->windows);
    tf_event_t event = {.kind = TF_EVENT_KIND_LOG, .text = tf_text(text), .has_model = true};
    memcpy(event.model, ended->model, sizeof event.model);
    report_event(node, &event);
}

/* One for all the times since the last connection, so that a broker that is none floods nobody. */
static void tell_refusal(node_t *node) {
    char text[TF_EVENT_TEXT_MAX];
    (void)snprintf(text, sizeof text, "tls: %s, %lu times", node->session.refusal,
                   (unsigned long)node->session.refusals);
    tf_event_t event = {.kind = TF_EVENT_KIND_LOG, .text = tf_text(text)};
    report_event(node, &event);
}

void report_last_tele(node_t *node) {
    if (!node->sampler.running || node->sampler.telemetry.inferences == 0) return;
    (void)outbox_put(&node->outbox, TF_RING_TELE, message, make_tele(node));
}

void report_before_reset(node_t *node) {
    if (node->sampler.running && node->sampler.telemetry.inferences > 0) {
        (void)outbox_keep(&node->outbox, TF_RING_TELE, message, make_tele(node));
    }
    outbox_link_down(&node->outbox);
}

bool report_status(node_t *node, tf_status_t *status) {
    if (!session_ready(&node->session, REPORT_BYTES)) return false;
    return publish(node, "status", tf_encode_status(status, message, sizeof message), false);
}

/* Steps on the way of an update are told by statuses; a birth tells where it stands still. */
static bool is_settled(uint8_t state) {
    return state == TF_UPDATE_STATE_IDLE || state == TF_UPDATE_STATE_CONFIRMED ||
           state == TF_UPDATE_STATE_REVERTED || state == TF_UPDATE_STATE_FAILED ||
           state == TF_UPDATE_STATE_SHADOW;
}

static birth_key_t birth_key(const node_t *node) {
    const tf_update_record_t *record = tf_update_record(&node->update);
    birth_key_t key;
    memset(&key, 0, sizeof key);
    key.generation = record->generation;
    key.state = record->state;
    key.result = record->result;
    key.active = record->active;
    key.clock = (uint8_t)node->clock.source;
    const tf_image_t *active = tf_update_active(&node->update);
    if (active != NULL) memcpy(key.image, active->image, sizeof key.image);
    return key;
}

static bool birth_wanted(const node_t *node, const birth_key_t *key) {
    return node->birth_due || (is_settled(key->state) && memcmp(key, &node->birth_key, sizeof *key) != 0);
}

/* Nothing is counted without a model or a sensor: then a birth each period says that the node is there. One
 * that sleeps has said so by waking. */
static bool tells_by_births(const node_t *node) {
    return !node->sampler.running && node->session.up && node->sleeper.policy.wake_s == 0;
}

void report_poll(node_t *node) {
    uint64_t now_ms = node_uptime_ms(node);
    uint64_t next_tele_ms = now_ms + (uint64_t)node->period_s * 1000;
    if (tells_by_births(node) && now_ms >= node->tele_due_ms) {
        node->birth_due = true;
        node->tele_due_ms = next_tele_ms;
    }
    birth_key_t key = birth_key(node);
    /* Not between the end of a trial and the start of the new model: the engine has told, but it does not run
     * yet. */
    if (node->session.up && !node->has_action && birth_wanted(node, &key) && publish_birth(node)) {
        node->birth_due = false;
        node->birth_key = key;
    }
    if (node->has_crash) tell_crash(node);
    if (node->ended_due) tell_ended(node);
    node->has_crash = node->ended_due = false;
    /* Once it has ended, with the count of them all. */
    if (node->session.up && node->session.refusals > 0) {
        tell_refusal(node);
        node->session.refusals = 0;
    }
    if (node->sampler.running && now_ms >= node->tele_due_ms && tell_tele(node)) {
        node->tele_due_ms = next_tele_ms;
    }
    outbox_poll(&node->outbox, radio_may_send(node));
}

bool report_is_done(const node_t *node) {
    birth_key_t key = birth_key(node);
    bool sent =
        outbox_is_empty(&node->outbox) || (!radio_may_send(node) && !outbox_is_under_way(&node->outbox));
    return sent && !node->has_action && !birth_wanted(node, &key) &&
           !(node->sampler.running && node_uptime_ms(node) >= node->tele_due_ms);
}

uint32_t report_wait_ms(const node_t *node) {
    /* What cannot be sent now waits for the broker, whose answer wakes the loop; or for the next wake. */
    bool waits =
        node->session.up ? !session_ready(&node->session, REPORT_BYTES) : node->sleeper.policy.wake_s > 0;
    if (waits || !(node->sampler.running || tells_by_births(node))) return UINT32_MAX;
    uint64_t now_ms = node_uptime_ms(node);
    return node->tele_due_ms <= now_ms ? 0 : (uint32_t)(node->tele_due_ms - now_ms);
}
