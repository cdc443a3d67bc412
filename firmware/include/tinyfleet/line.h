/* Which protocol a byte of a board's console belongs to (SPEC section 9). Bytes in, whole items out:
 *
 *   frames     0x00, COBS…, 0x00
 *   SMP        0x06 0x09 or 0x04 0x14, base64, '\n'; one packet may take several such lines
 *   commands   printable text ended by '%'
 *
 * One buffer serves all three, so what begins drops what was not finished. The byte after a delimiter and a
 * first byte tells: no frame has a printable type, 0x09 or 0x14. */
#ifndef TINYFLEET_LINE_H
#define TINYFLEET_LINE_H

#include "tinyfleet/cbor.h"
#include "tinyfleet/console.h"

/* What SMP's length and CRC take beside the packet; a client fills a buffer to the last byte. */
#define TF_LINE_SMP_OVERHEAD 8u

typedef enum {
    TF_LINE_NOTHING = 0,
    TF_LINE_FRAME = 1,
    TF_LINE_SMP = 2,
    TF_LINE_COMMAND = 3,
} tf_line_kind_t;

/* In the buffer, until the next byte. */
typedef struct {
    tf_frame_t frame;  /* FRAME */
    tf_bytes_t packet; /* SMP: header and body, its CRC checked */
    tf_text_t command; /* COMMAND: without the '%', at least one character */
} tf_line_item_t;

typedef struct {
    tf_frame_reader_t frame; /* its buffer is the one of all */
    uint8_t state;
    uint32_t decoded;   /* bytes of an SMP packet so far, length and CRC among them */
    uint32_t quad;      /* base64 digits that make no byte yet */
    uint8_t quad_count; /* of them */
    uint8_t padding;    /* '=' of this line so far */
} tf_line_t;

/* A buffer of TF_FRAME_BUFFER_BYTES holds every frame; SMP packets are bounded by it, too. */
void tf_line_init(tf_line_t *line, uint8_t *buffer, uint32_t capacity);
/* What `byte` completed. */
tf_line_kind_t tf_line_put(tf_line_t *line, uint8_t byte, tf_line_item_t *item);
/* Nothing came for a while: what was begun will not be finished, and a stray delimiter opens no frame. */
void tf_line_quiet(tf_line_t *line);

#endif
