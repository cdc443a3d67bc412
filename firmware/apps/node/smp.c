/* SMP on the node: over the console, whose holder has the board in his hands, and over UDP as far as the
 * configuration opens it. */
#include <string.h>

#include "images.h"
#include "layout.h"
#include "node.h"
#include "tinyfleet/line.h"
#include "tinyfleet/udp.h"

/* A datagram without IP fragments; smpclient sends as many bytes whatever it is told. */
#define PACKET_BYTES 1472u
#define RESET_AFTER_MS 200u /* the reply has left */
#define BYTES_A_POLL 512u   /* then the rest of the loop has its turn, however many still come */

enum { GROUP_NODE, GROUP_MODEL, GROUP_NETWORK, GROUP_RUNTIME, GROUPS };

static const char *const groups[GROUPS] = {"node", "model", "network", "runtime"};

static images_t images;
static tf_smp_device_t device;
static tf_line_t line;
static uint8_t line_buffer[PACKET_BYTES + TF_LINE_SMP_OVERHEAD];
static uint8_t reply[PACKET_BYTES];
static uint32_t packets;

static tf_smp_result_t reset(void *context) {
    (void)context;
    node_t *node = device.context;
    tf_console("smp: reset");
    updates_reset(node, RESET_AFTER_MS);
    return (tf_smp_result_t){.code = TF_SMP_OK};
}

static bool heard(void *context) {
    return updates_heard(context);
}

typedef struct {
    const char *name;
    uint64_t value;
} pair_t;

static bool pick(const pair_t *pairs, uint32_t count, uint32_t index, tf_smp_statistic_t *statistic) {
    if (index >= count) return false;
    *statistic = (tf_smp_statistic_t){pairs[index].name, pairs[index].value};
    return true;
}

#define PICK(pairs) pick(pairs, sizeof pairs / sizeof *pairs, index, statistic)

static uint32_t ops_word(const uint8_t ops[32], uint32_t index) {
    const uint8_t *const at = ops + 4 * index;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* What a birth says of the runtime, for who speaks for a node without a network. */
static bool runtime_statistic(const node_t *node, uint32_t index, tf_smp_statistic_t *statistic) {
    uint8_t ops[TF_BIRTH_OPS_MAX];
    tf_runtime_ops(ops);
    const tf_boot_t *boot = node->update.config.boot;
    const pair_t pairs[] = {
        {"abi", TF_RUNTIME_ABI},
        {"core", tf_runtime_core()},
        {"timing", (uint64_t)node->port->timing},
        {"emulated", node->port->emulated},
        {"arena_bytes", SAMPLER_ARENA_BYTES},
        {"model_bytes", LAYOUT_MODEL_BYTES},
        /* 0: nothing starts another firmware here. */
        {"firmware_bytes", boot != NULL ? boot->layout->slot_bytes : 0},
        {"ops_0", ops_word(ops, 0)},
        {"ops_1", ops_word(ops, 1)},
        {"ops_2", ops_word(ops, 2)},
        {"ops_3", ops_word(ops, 3)},
        {"ops_4", ops_word(ops, 4)},
        {"ops_5", ops_word(ops, 5)},
        {"ops_6", ops_word(ops, 6)},
        {"ops_7", ops_word(ops, 7)},
    };
    return PICK(pairs);
}

static bool statistic_of(void *context, uint32_t group, uint32_t index, tf_smp_statistic_t *statistic) {
    const node_t *node = context;
    const tf_update_record_t *record = tf_update_record(&node->update);
    if (group == GROUP_NODE) {
        const bool has_boot = node->update.config.boot != NULL;
        const pair_t pairs[] = {
            {"boot", record->boot},
            {"uptime_ms", node_uptime_ms(node)},
            {"generation", record->generation},
            {"update_state", record->state},
            {"update_result", record->result},
            {"security_counter", record->security_counter},
            {"firmware_counter", has_boot ? node->boot.record.security_counter : 0},
            {"smp_packets", packets},
        };
        return PICK(pairs);
    }
    if (group == GROUP_MODEL) {
        const tf_telemetry_t *telemetry = &node->sampler.telemetry;
        const pair_t pairs[] = {
            {"inferences", telemetry->inferences},
            {"latency_sum_us", telemetry->latency_sum_us},
            {"dropped", telemetry->dropped},
        };
        return PICK(pairs);
    }
    if (group == GROUP_RUNTIME) return runtime_statistic(node, index, statistic);
    uint32_t rx = 0, tx = 0;
    const bool counted = node->port->net_bytes != NULL;
    if (counted) node->port->net_bytes(&rx, &tx);
    const pair_t pairs[] = {
        {"connections", node->session.conn},
        {"mqtt_rx_bytes", node->session.client.counters.rx_bytes},
        {"mqtt_tx_bytes", node->session.client.counters.tx_bytes},
        {"ip_rx_bytes", rx},
        {"ip_tx_bytes", tx},
    };
    /* What nobody counts is not told. */
    return pick(pairs, counted ? 5 : 3, index, statistic);
}

static uint32_t answer(tf_smp_door_t door, const uint8_t *packet, uint32_t length) {
    packets++;
    return tf_smp_answer(&device, door, packet, length, reply, sizeof reply);
}

static uint32_t on_datagram(void *context, const uint8_t *packet, uint32_t length, const uint8_t **out) {
    const node_t *node = context;
    *out = reply;
    return answer(node->settings.config.smp, packet, length);
}

void smp_start(node_t *node) {
    images =
        (images_t){.update = &node->update, .now_us = node->port->now_us, .context = node, .heard = heard};
    device = (tf_smp_device_t){
        .context = node,
        .buffer_bytes = PACKET_BYTES,
        .bootloader = node->handoff != NULL ? "tinyfleet" : NULL,
        .reset = reset,
        IMAGES_OF(&images),
        .statistic = statistic_of,
        .groups = groups,
        .group_count = GROUPS,
    };
    tf_line_init(&line, line_buffer, sizeof line_buffer);
    const tf_smp_door_t door = node->settings.config.smp;
    if (door == TF_SMP_DOOR_OFF) return;
    const bool open = tf_udp_open(TF_SMP_UDP_PORT, node, on_datagram);
    tf_console(open ? "smp: UDP port %u, %s" : "smp: cannot open UDP port %u, %s", TF_SMP_UDP_PORT,
               door == TF_SMP_DOOR_FULL ? "to all, for all" : "for reading only");
}

void smp_poll(node_t *node) {
    const tf_node_port_t *port = node->port;
    if (port->console_read == NULL) return;
    tf_line_item_t item;
    uint8_t byte;
    for (uint32_t i = 0; i < BYTES_A_POLL && port->console_read(&byte); i++) {
        if (tf_line_put(&line, byte, &item) != TF_LINE_SMP) continue;
        const uint32_t length = answer(TF_SMP_DOOR_FULL, item.packet.data, item.packet.length);
        if (length > 0) tf_smp_write_lines(reply, length, port->console_write);
        return;
    }
}
