/* SMP on a bench board: what it is and what it runs, and a reset. Images come by the probe that holds the
 * board, so none is taken here. */
#ifndef TINYFLEET_BENCH_MANAGE_H
#define TINYFLEET_BENCH_MANAGE_H

#include "bench.h"
#include "tinyfleet/cbor.h"

/* Answers one packet. True: a reset was asked for. */
bool manage_answer(const bench_t *bench, tf_bytes_t packet);

#endif
