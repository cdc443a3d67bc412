/* What was provisioned: trust, configuration and where windows come from, read from flash once at start. */
#ifndef TINYFLEET_NODE_SETTINGS_H
#define TINYFLEET_NODE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/config_store.h"
#include "tinyfleet/flash.h"
#include "tinyfleet/wire.h"

#define HOST_TEXT_BYTES 16u /* "255.255.255.255" and NUL */

typedef struct {
    tf_trust_t trust;
    tf_config_t config; /* its texts point into flash */
    bool has_replay;
    tf_replay_t replay;
    const int16_t *windows; /* [windows][samples][channels] */
    bool has_feed;
    tf_feed_t feed;
    /* For those who need NUL-terminated text. */
    char device[TF_DEVICE_ID_MAX + 1];
    char user[TF_DEVICE_ID_MAX + 1];
    char host[HOST_TEXT_BYTES];
} settings_t;

/* False when the node cannot work: no trust or no configuration. Says on the console what is missing and why.
 * `store` knows from then on which configuration is in use. */
bool settings_read(settings_t *settings, tf_config_store_t *store, const tf_flash_t *flash);

/* Takes up the configuration in use. False: device or user is too long. */
bool settings_take_up(settings_t *settings, const tf_config_store_t *store, const tf_flash_t *flash);

#endif
