#include "settings.h"

#include <stdio.h>
#include <string.h>

#include "layout.h"
#include "tinyfleet/node_port.h"

static const char *why(tf_wire_status_t status) {
    switch (status) {
        case TF_WIRE_NO_RECORD:
            return "there is none";
        case TF_WIRE_CHECKSUM:
            return "its checksum differs";
        default:
            return "it is malformed";
    }
}

static bool copy_text(char *to, uint32_t capacity, tf_text_t text) {
    if (text.length >= capacity) return false;
    memcpy(to, text.text, text.length);
    to[text.length] = 0;
    return true;
}

bool settings_take_up(settings_t *settings, const tf_config_store_t *store, const tf_flash_t *flash) {
    tf_config_t *config = &settings->config;
    const uint8_t *area = flash->map(flash->context, tf_config_in_use(store), LAYOUT_CONFIG_BYTES);
    if (tf_record_config(area, LAYOUT_CONFIG_BYTES, config) != TF_WIRE_OK) return false;
    (void)snprintf(settings->host, sizeof settings->host, "%u.%u.%u.%u", config->host[0], config->host[1],
                   config->host[2], config->host[3]);
    return copy_text(settings->device, sizeof settings->device, config->device) &&
           copy_text(settings->user, sizeof settings->user, config->user);
}

static bool read_config(settings_t *settings, tf_config_store_t *store, const tf_flash_t *flash) {
    static tf_config_layout_t layout = {.region_offset = {LAYOUT_CONFIG_A, LAYOUT_CONFIG_B},
                                        .region_bytes = LAYOUT_CONFIG_BYTES,
                                        .state_offset = {LAYOUT_CONFIG_STATE_A, LAYOUT_CONFIG_STATE_B}};
    layout.flash = flash;
    bool any = tf_config_open(store, &layout);
    /* Region B holds nothing until the first change: worth a line only where there is no other. */
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t place = layout.region_offset[i];
        const uint8_t *area = flash->map(flash->context, place, LAYOUT_CONFIG_BYTES);
        tf_wire_status_t status = tf_record_config(area, LAYOUT_CONFIG_BYTES, &settings->config);
        if (status == TF_WIRE_OK || (any && i > 0)) continue;
        tf_console("config record at 0x%06lx: %s", (unsigned long)place, why(status));
    }
    return any;
}

bool settings_read(settings_t *settings, tf_config_store_t *store, const tf_flash_t *flash) {
    memset(settings, 0, sizeof *settings);
    const uint8_t *area = flash->map(flash->context, LAYOUT_TRUST, LAYOUT_TRUST_BYTES);
    tf_wire_status_t status = tf_record_trust(area, LAYOUT_TRUST_BYTES, &settings->trust);
    if (status != TF_WIRE_OK) {
        tf_console("trust record at 0x%06lx: %s", (unsigned long)LAYOUT_TRUST, why(status));
        return false;
    }
    if (!read_config(settings, store, flash)) return false;
    if (!settings_take_up(settings, store, flash)) {
        tf_console("config record: device or user is too long");
        return false;
    }
    area = flash->map(flash->context, LAYOUT_REPLAY, LAYOUT_REPLAY_BYTES);
    status = tf_record_replay(area, LAYOUT_REPLAY_BYTES, &settings->replay);
    settings->has_replay = status == TF_WIRE_OK && settings->replay.windows > 0;
    if (settings->has_replay) {
        settings->windows = (const int16_t *)(const void *)(area + TF_REPLAY_DATA_OFFSET);
        return true;
    }
    tf_wire_status_t line = tf_record_feed(area, LAYOUT_REPLAY_BYTES, &settings->feed);
    settings->has_feed = line == TF_WIRE_OK;
    if (settings->has_feed) return true;
    if (line != TF_WIRE_NO_RECORD) status = line;
    tf_console("replay record at 0x%06lx: %s; no inferences", (unsigned long)LAYOUT_REPLAY, why(status));
    return true;
}
