/* Inside of wire: what a want or a birth shares with the configuration. */
#ifndef TINYFLEET_WIRE_CONFIG_H
#define TINYFLEET_WIRE_CONFIG_H

#include "tinyfleet/wire.h"

void wire_read_config_change(tf_reader_t *reader, tf_config_change_t *change);
void wire_read_sleep(tf_reader_t *reader, tf_sleep_t *sleep);
void wire_put_sleep(tf_writer_t *writer, const tf_sleep_t *sleep);

#endif
