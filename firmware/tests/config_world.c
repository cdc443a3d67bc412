#include "config_world.h"

#include <string.h>

#include "check.h"

void config_world_open(config_world_t *world) {
    memset(world, 0, sizeof *world);
    flash_sim_open(&world->flash, CONFIG_WORLD_BYTES, 4);
    world->layout = (tf_config_layout_t){.flash = &world->flash.port,
                                         .region_offset = {CONFIG_WORLD_A, CONFIG_WORLD_B},
                                         .region_bytes = CONFIG_WORLD_REGION,
                                         .state_offset = {CONFIG_WORLD_STATE, CONFIG_WORLD_STATE + 0x1000}};
    config_world_provision(world);
}

void config_world_close(config_world_t *world) {
    flash_sim_close(&world->flash);
}

void config_world_provision(config_world_t *world) {
    static uint8_t area[TF_CONFIG_RECORD_MAX];
    static const uint8_t bytes[300] = {0x30, 1, 2, 3};
    const tf_config_t config = {.device = tf_text("node-1"),
                                .host = {10, 0, 2, 2},
                                .port = CONFIG_WORLD_PORT,
                                .user = tf_text("node-1"),
                                .password = {bytes, 43},
                                .prefix = tf_text("tf/1"),
                                .keepalive_s = 30,
                                .seed = {1, 2, 3},
                                .period_s = 5,
                                .has_window_ms = true,
                                .window_ms = 250,
                                .has_tls = !world->plain,
                                .tls = {.server = tf_text("broker.tinyfleet"),
                                        .ca_name = {bytes, 20},
                                        .ca_key = {bytes, 65},
                                        .certificate = {bytes, sizeof bytes},
                                        .key = {bytes + 1, 32},
                                        .day = 20000}};
    uint32_t body = tf_encode_config(&config, area + TF_RECORD_HEADER_BYTES, sizeof area - 16);
    uint32_t size = tf_record_seal(area, sizeof area, TF_RECORD_KIND_CONFIG, body);
    CHECK(body > 0 && size > 0);
    flash_sim_program(&world->flash, CONFIG_WORLD_A, area, size);
    config_world_boot(world);
}

void config_world_boot(config_world_t *world) {
    CHECK(tf_config_open(&world->store, &world->layout));
    CHECK(config_world_port(world) != 0);
}

void config_world_offer(config_world_t *world, uint32_t sequence, uint16_t port) {
    const tf_config_change_t change = {.sequence = sequence, .has_port = true, .port = port};
    tf_config_offer(&world->store, &change);
}

void config_world_read(const config_world_t *world, tf_config_t *config) {
    const uint8_t *area = world->flash.bytes + tf_config_in_use(&world->store);
    CHECK_EQUAL(tf_record_config(area, CONFIG_WORLD_REGION, config), TF_WIRE_OK);
}

uint32_t config_world_port(const config_world_t *world) {
    tf_config_t config;
    config_world_read(world, &config);
    return config.port;
}
