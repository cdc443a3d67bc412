/* Golden sets in flash, found by the digest of their windows (SPEC section 8, record kind 4). One behind the
 * other, each from a sector's start: the record, its windows, the next. */
#ifndef TINYFLEET_BENCH_SETS_H
#define TINYFLEET_BENCH_SETS_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/flash.h"
#include "tinyfleet/wire.h"

typedef struct {
    uint32_t windows;
    uint32_t window_bytes;
    uint8_t digest[32];
    const uint8_t *data;
} golden_set_t;

/* A set that is being stored. Its record is written last, so that half a set is none. */
typedef struct {
    golden_set_t set; /* 0 windows: none is being stored */
    uint32_t offset;
    uint32_t arrived;
} set_writer_t;

/* The set with that digest, its windows checked against it; NULL: the first. False: no such set. */
bool golden_find(const tf_flash_t *flash, const uint8_t *digest, golden_set_t *set);

/* Room for windows behind the last set. */
uint32_t golden_room(const tf_flash_t *flash);

/* Erases the place of a set that is to come. NO_FLASH: there is less room; INPUT_MISMATCH: it adds up to
 * nothing. */
tf_result_t golden_begin(set_writer_t *writer, const tf_flash_t *flash, const golden_set_t *set);
/* The next bytes of its windows, a multiple of the flash's write unit but for the last. With the last, the
 * windows are checked and the record is written: `writer->set.windows` is 0 again. */
tf_result_t golden_put(set_writer_t *writer, const tf_flash_t *flash, uint32_t offset, const uint8_t *data,
                       uint32_t length);
tf_result_t golden_erase(const tf_flash_t *flash);

#endif
