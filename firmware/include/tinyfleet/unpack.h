/* Transported bytes into an image (SPEC section 5): heatshrink streams, and detools' sequential patches whose
 * body is one.
 *
 * Pulls: the input lies whole in memory, the output comes in pieces of any size. It may be fed any bytes: no
 * more than `image_bytes` come out, nothing outside of input and base is read, and no byte of a piece takes
 * more than 150 of the stream (8 idle steps). All state is in the struct: 600 bytes on a 32-bit core. */
#ifndef TINYFLEET_UNPACK_H
#define TINYFLEET_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/wire_keys.h"

typedef struct {
    const uint8_t *data;
    uint32_t length;
    uint32_t at;   /* next byte of the input */
    uint32_t held; /* bits taken from it and not yet used, in the low `bits` */
    uint8_t bits;
    uint8_t window_bits;
    uint8_t lookahead_bits;
    uint16_t head; /* where in the window the next byte goes */
    uint16_t copy_from;
    uint16_t copy_left;
    uint8_t window[1u << TF_HEATSHRINK_WINDOW_BITS_MAX];
} tf_heatshrink_t;

/* Reads the parameters at the beginning of `data`; false: this build has no such window. */
bool tf_heatshrink_open(tf_heatshrink_t *stream, const uint8_t *data, uint32_t length);
/* The next byte, or -1: the stream has ended. */
int32_t tf_heatshrink_next(tf_heatshrink_t *stream);

typedef struct {
    tf_encoding_t encoding; /* COMPRESSED or DELTA */
    const uint8_t *data;    /* as transported */
    uint32_t length;
    const uint8_t *base; /* DELTA: what the base's digest covers */
    uint32_t base_bytes;
    uint32_t image_bytes; /* as the manifest says */
} tf_packed_t;

typedef struct {
    tf_heatshrink_t stream;
    tf_packed_t packed;
    uint32_t made; /* bytes of the image so far */
    uint8_t part;  /* of a step of the patch: what comes next */
    uint8_t idle;  /* steps in a row that made nothing */
    bool broken;
    uint32_t left; /* of that part */
    uint32_t base_at;
    uint32_t step_at; /* `made` when the step began */
} tf_unpack_t;

/* TF_RESULT_SUCCESS; UNSUPPORTED_PROTOCOL: made with what this build does not have; INTEGRITY: damaged. */
tf_result_t tf_unpack_open(tf_unpack_t *unpack, const tf_packed_t *packed);
/* The next bytes of the image, at most `capacity`; fewer than that and than are left: the input is damaged,
 * and nothing more will come. */
uint32_t tf_unpack_read(tf_unpack_t *unpack, uint8_t *out, uint32_t capacity);

#endif
