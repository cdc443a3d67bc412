/* A flash with a configuration in region A, for tests of the store. A configuration is told by its port. */
#ifndef TINYFLEET_TESTS_CONFIG_WORLD_H
#define TINYFLEET_TESTS_CONFIG_WORLD_H

#include "flash_sim.h"
#include "tinyfleet/config_store.h"

enum {
    CONFIG_WORLD_STATE = 0x1000,
    CONFIG_WORLD_A = 0x4000,
    CONFIG_WORLD_B = 0xC000,
    CONFIG_WORLD_REGION = 0x8000,
    CONFIG_WORLD_BYTES = 0x14000,
    CONFIG_WORLD_PORT = 1883, /* as provisioned */
};

typedef struct {
    flash_sim_t flash;
    tf_config_layout_t layout;
    tf_config_store_t store;
    bool plain; /* without a key for TLS */
} config_world_t;

/* Provisioned and started. */
void config_world_open(config_world_t *world);
void config_world_close(config_world_t *world);
/* Region A as a manager writes it; noise in B and the state's sectors erased. Started. */
void config_world_provision(config_world_t *world);
/* A reset. */
void config_world_boot(config_world_t *world);
void config_world_offer(config_world_t *world, uint32_t sequence, uint16_t port);
void config_world_read(const config_world_t *world, tf_config_t *config);
/* Of the configuration in use. */
uint32_t config_world_port(const config_world_t *world);

#endif
