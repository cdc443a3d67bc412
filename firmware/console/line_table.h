/* Inside of console: the demultiplexer's states, for its test, too. */
#ifndef TINYFLEET_CONSOLE_LINE_TABLE_H
#define TINYFLEET_CONSOLE_LINE_TABLE_H

#include <stdint.h>

typedef enum {
    LINE_TEXT = 0, /* outside of frames and packets */
    LINE_SIX,      /* 0x06 came there */
    LINE_FOUR,     /* 0x04 came there */
    LINE_OPEN,     /* a delimiter came, and nothing since */
    LINE_FIRST,    /* and one byte since */
    LINE_FIRST_SIX,
    LINE_FIRST_FOUR,
    LINE_FRAME,  /* the second byte was a frame's type */
    LINE_PACKET, /* in a line of SMP */
    LINE_STATES
} line_state_t;

typedef enum {
    BYTE_ZERO = 0,
    BYTE_SIX,    /* 0x06 */
    BYTE_NINE,   /* 0x09 */
    BYTE_FOUR,   /* 0x04 */
    BYTE_TWENTY, /* 0x14 */
    BYTE_END,    /* '\n' */
    BYTE_PERCENT,
    BYTE_PRINT, /* any other printable one */
    BYTE_OTHER,
    BYTE_CLASSES
} line_byte_t;

typedef enum {
    LINE_NOTHING = 0,
    LINE_FORGET,  /* the text before it */
    LINE_KEEP,    /* into the buffer, as text or frame */
    LINE_TURN,    /* likewise, and what stands before it was text, not a frame */
    LINE_ERASE,   /* a new frame may begin */
    LINE_CLOSE,   /* a frame, perhaps */
    LINE_COMMAND, /* what stands in the buffer */
    LINE_BEGIN,   /* a packet's first line */
    LINE_RESUME,  /* its next line */
    LINE_DIGIT,   /* of base64 */
    LINE_FINISH,  /* the line of SMP, and perhaps its packet */
    LINE_ABANDON, /* the packet */
} line_action_t;

typedef struct {
    uint8_t next;
    uint8_t action;
} line_cell_t;

extern const line_cell_t tf_line_table[LINE_STATES][BYTE_CLASSES];
line_byte_t tf_line_class(uint8_t byte);

#endif
