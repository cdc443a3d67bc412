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

static bool read_config(settings_t *settings, const tf_flash_t *flash) {
    static const uint32_t places[] = {LAYOUT_CONFIG_A, LAYOUT_CONFIG_B};
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t *area = flash->map(flash->context, places[i], LAYOUT_CONFIG_BYTES);
        tf_wire_status_t status = tf_record_config(area, LAYOUT_CONFIG_BYTES, &settings->config);
        if (status == TF_WIRE_OK) return true;
        tf_console("config record at 0x%06lx: %s", (unsigned long)places[i], why(status));
    }
    return false;
}

bool settings_read(settings_t *settings, const tf_flash_t *flash) {
    memset(settings, 0, sizeof *settings);
    const uint8_t *area = flash->map(flash->context, LAYOUT_TRUST, LAYOUT_TRUST_BYTES);
    tf_wire_status_t status = tf_record_trust(area, LAYOUT_TRUST_BYTES, &settings->trust);
    if (status != TF_WIRE_OK) {
        tf_console("trust record at 0x%06lx: %s", (unsigned long)LAYOUT_TRUST, why(status));
        return false;
    }
    if (!read_config(settings, flash)) return false;
    const tf_config_t *config = &settings->config;
    if (!copy_text(settings->device, sizeof settings->device, config->device) ||
        !copy_text(settings->user, sizeof settings->user, config->user)) {
        tf_console("config record: device or user is too long");
        return false;
    }
    (void)snprintf(settings->host, sizeof settings->host, "%u.%u.%u.%u", config->host[0], config->host[1],
                   config->host[2], config->host[3]);
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
