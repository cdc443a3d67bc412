/* A node's surroundings for tests of the update engine: flash, a broker with retained chunks, a clock, and a
 * trial. It carries the engine's actions out as a node does, and holds at every step what must always hold:
 * nothing is run or tried that does not verify. */
#ifndef TINYFLEET_TESTS_WORLD_H
#define TINYFLEET_TESTS_WORLD_H

#include "flash_sim.h"
#include "image_maker.h"
#include "tinyfleet/update.h"

enum {
    WORLD_FLASH_BYTES = 0x80000,
    WORLD_STATE = 0x1000,
    WORLD_SLOT_A = 0x10000,
    WORLD_SLOT_B = 0x40000,
    WORLD_SLOT_BYTES = 0x30000,
    WORLD_STAGING = 0x70000,
    WORLD_STAGING_BYTES = 0x10000,
    WORLD_LOG_MAX = 256,
    WORLD_CHUNK_OVERHEAD = 100, /* what a chunk costs besides itself, of now.left_bytes */
};

/* How the broker serves chunks. */
typedef enum { ORDER_UP = 0, ORDER_DOWN, ORDER_TWICE, ORDER_MIXED } order_t;

typedef struct world {
    flash_sim_t flash;
    tf_update_t update;
    tf_update_config_t config;
    tf_update_now_t now;
    tf_trust_t trust;

    const made_t *blob;  /* what the broker holds */
    const made_t *other; /* and this, if it is not NULL */
    const made_t *third; /* and this */
    order_t order;
    /* Group served damaged, so many times; UINT32_MAX: always. NO_GROUP: none. */
    uint16_t bad_group;
    uint32_t bad_times;
    uint32_t bad_index;
    bool bad_length;       /* a byte too short instead of a flipped bit */
    uint16_t silent_group; /* nothing comes of it */
    uint16_t withdrawn_group;
    uint32_t random;

    /* The answer to TRIAL: this, or what `trial` says. */
    tf_result_t trial_result;
    tf_result_t (*trial)(struct world *world, const tf_update_action_t *action);
    bool trial_hangs;
    uint32_t trials;
    bool reset_wanted; /* the engine asked for one: nothing more is done before world_boot */
    uint32_t runs;
    uint8_t running[32]; /* image of the last RUN; zero: none */
    /* The answer to SHADOW, and the image of the last one; zero: none. */
    tf_result_t shadow_result;
    bool shadow_hangs;
    uint32_t shadows;
    uint8_t beside[32];

    uint16_t subscribed;
    uint8_t subscribed_manifest[16];
    uint32_t subscriptions;
    uint32_t chunks;
    uint8_t *chunk; /* being delivered; a power cut leaves it behind */
    tf_status_t log[WORLD_LOG_MAX];
    uint32_t log_count;
} world_t;

void world_open(world_t *world);
void world_close(world_t *world);
/* `made` in slot A, before the first start. */
void world_install(world_t *world, const made_t *made);
/* A reset: RAM is gone, flash stays. The link is down. */
void world_boot(world_t *world);
void world_link(world_t *world, bool up);
tf_want_t world_want(const made_t *made, uint32_t generation);
/* Whole file; its absence or a larger one ends the program. */
void world_read_file(const char *path, uint8_t *out, uint32_t capacity, uint32_t *size);
/* An image from a file, with the manifest of its bytes; the trust record from another. */
void world_read_image(const char *path, made_t *made);
void world_read_trust(world_t *world, const char *path);
/* Hands the want to the engine. */
void world_offer(world_t *world, const made_t *made, uint32_t generation);
/* Takes actions and lets time pass until the update is settled, or nothing would ever happen again. */
void world_run(world_t *world);
/* As world_run, but at most until this state was reached or `steps` actions and ticks were done. */
void world_run_until(world_t *world, tf_update_state_t state, uint32_t steps);
/* A wake of a node that may spend so many bytes: the link comes, the want with it, and the link goes once the
 * update is settled, deferred, or asks for a reset. */
void world_wake(world_t *world, const tf_want_t *want, uint32_t budget_bytes);
/* Statuses that said so. */
uint32_t world_told(const world_t *world, tf_update_state_t state, tf_result_t result);
bool world_runs(const world_t *world, const made_t *made);
/* Whether that challenger runs beside the active model (NULL: none). */
bool world_shadows(const world_t *world, const made_t *made);
/* Names a challenger in a want. */
void world_challenge(tf_want_t *want, const made_t *challenger);

#endif
