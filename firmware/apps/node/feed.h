/* Which source a node has: what was provisioned says so. */
#ifndef TINYFLEET_NODE_FEED_H
#define TINYFLEET_NODE_FEED_H

#include "settings.h"
#include "tinyfleet/node_port.h"
#include "tinyfleet/source.h"

/* NULL: no windows, and so no inferences. */
const tf_source_t *feed_source(const settings_t *settings, const tf_node_port_t *port);

#endif
