/* The console's demultiplexer: every pair of state and byte, each protocol whole, and one beside the other.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "line_table.h"
#include "tinyfleet/line.h"

static uint8_t buffer[TF_FRAME_BUFFER_BYTES];
static tf_line_t line;
static tf_line_item_t item;
static char seen[64]; /* kinds in order: F, S, C */

static void feed(const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++) {
        const tf_line_kind_t kind = tf_line_put(&line, at[i], &item);
        if (kind != TF_LINE_NOTHING) strncat(seen, &"-FSC"[kind], 1);
    }
}

static void begin(void) {
    tf_line_init(&line, buffer, sizeof buffer);
    seen[0] = 0;
}

#define FEED(text) feed(text, sizeof(text) - 1)

static uint8_t encoded[64];
static size_t encoded_bytes;

static void sink(const uint8_t *data, uint32_t length) {
    memcpy(encoded + encoded_bytes, data, length);
    encoded_bytes += length;
}

static void make_frame(uint8_t type) {
    tf_frame_writer_t writer;
    encoded_bytes = 0;
    tf_frame_begin(&writer, sink, type, 7);
    tf_frame_put(&writer, "a\0%\n", 4);
    tf_frame_end(&writer);
}

static void every_pair_is_written(void) {
    for (uint32_t state = 0; state < LINE_STATES; state++) {
        for (uint32_t byte = 0; byte < BYTE_CLASSES; byte++) {
            const line_cell_t cell = tf_line_table[state][byte];
            CHECK(cell.next < LINE_STATES && cell.action <= LINE_ABANDON);
            /* A delimiter opens a frame wherever it comes, but for the one that may end a frame. */
            if (byte == BYTE_ZERO) CHECK(cell.next == LINE_OPEN);
            if (byte == BYTE_ZERO && state != LINE_FRAME) CHECK(cell.action == LINE_ERASE);
            /* A frame is not left but by a delimiter, whatever it holds. */
            if (byte != BYTE_ZERO && state == LINE_FRAME) CHECK(cell.next == LINE_FRAME);
            /* Packets begin and go on after their two bytes only. */
            const bool starts = byte == BYTE_NINE && (state == LINE_SIX || state == LINE_FIRST_SIX);
            const bool goes_on = byte == BYTE_TWENTY && (state == LINE_FOUR || state == LINE_FIRST_FOUR);
            CHECK((cell.action == LINE_BEGIN) == starts);
            CHECK((cell.action == LINE_RESUME) == goes_on);
            /* Only text outside of frames is a command. */
            if (cell.action == LINE_COMMAND) {
                CHECK(byte == BYTE_PERCENT && (state == LINE_TEXT || state == LINE_FIRST));
            }
        }
    }
    uint32_t counts[BYTE_CLASSES] = {0};
    for (uint32_t byte = 0; byte < 256; byte++) counts[tf_line_class((uint8_t)byte)]++;
    CHECK(counts[BYTE_PRINT] == 94 && counts[BYTE_PERCENT] == 1 && counts[BYTE_OTHER] == 155);
}

static void each_protocol_is_taken(void) {
    begin();
    FEED("name%");
    CHECK(strcmp(seen, "C") == 0 && item.command.length == 4 && memcmp(item.command.text, "name", 4) == 0);
    make_frame(2);
    feed(encoded, encoded_bytes);
    CHECK(strcmp(seen, "CF") == 0);
    CHECK(item.frame.type == 2 && item.frame.seq == 7 && item.frame.length == 4);
    CHECK(memcmp(item.frame.body, "a\0%\n", 4) == 0);
    /* "Hello, world!" in one line, then in six (the example of the `smp` package). */
    FEED("\x06\tAA9IZWxsbywgd29ybGQhet4=\n");
    CHECK(strcmp(seen, "CFS") == 0 && item.packet.length == 13);
    CHECK(memcmp(item.packet.data, "Hello, world!", 13) == 0);
    FEED(
        "\x06\tAA9I\n\x04\x14ZWxs\n\x04\x14"
        "bywg\n\x04\x14"
        "d29y\n\x04\x14"
        "bGQh\n\x04\x14"
        "et4=\n");
    CHECK(strcmp(seen, "CFSS") == 0 && item.packet.length == 13);
}

static void one_does_not_hide_the_other(void) {
    begin();
    /* A stray delimiter, noise and half of anything: what follows is taken. */
    FEED("\x00name%");
    FEED("\xff\xfename%");
    FEED("\x00\x06\tAA9IZWxsbywgd29ybGQhet4=\n");
    FEED("\x06\tAA9IZWxs");
    make_frame(3);
    feed(encoded, encoded_bytes);
    FEED("half of a comm");
    feed(encoded, encoded_bytes);
    FEED("\x06\tAA9IZW!xs\nname%");
    FEED("text, \x06\tAA9IZWxsbywgd29ybGQhet4=\n");
    CHECK(strcmp(seen, "CCSFFCS") == 0);
    /* A packet's start without its end does not swallow the next; nor a line that goes on without a start. */
    begin();
    FEED(
        "\x04\x14"
        "AA9IZWxsbywgd29ybGQhet4=\n");
    CHECK(seen[0] == 0);
    FEED("\x04\x14ZWxs\n\x06\tAA9I\n\x06\tAA9IZWxsbywgd29ybGQhet4=\n");
    CHECK(strcmp(seen, "S") == 0);
    /* Quiet closes a frame that noise has opened. */
    begin();
    FEED("\x00\x81\x82name%");
    CHECK(seen[0] == 0);
    tf_line_quiet(&line);
    FEED("name%");
    CHECK(strcmp(seen, "C") == 0);
}

static void damage_is_passed_over(void) {
    begin();
    FEED("\x06\tAA9IZWxsbywgd29ybGQhet8=\n"); /* CRC */
    FEED("\x06\tAA9IZWxsbywgd29ybGQhet5=\n"); /* bits that no byte takes */
    FEED("\x06\tAA9IZWxsbywgd29ybGQhet4\n");  /* half a quad */
    FEED("\x06\tAA9IZWxsbywgd29ybGQhet4=AAAA\n");
    FEED("\x06\tAA9IZWxsbywgd29ybGQhet4AAAAA\n"); /* longer than it says */
    FEED("\x06\tAAEA\n");                         /* no room for a CRC */
    FEED("\x06\t\n\x06\tAA==\n\x06\t====\n");
    FEED("%%%");
    make_frame(2);
    encoded[4] ^= 1;
    feed(encoded, encoded_bytes);
    CHECK(seen[0] == 0);
}

static void nothing_leaves_the_buffer(void) {
    static const char packet[] = "\x06\tAA9IZWxsbywgd29ybGQhet4=\n";
    for (uint32_t capacity = 0; capacity < 24; capacity++) {
        uint8_t *const small = malloc(capacity + 1u);
        CHECK(small != NULL);
        small[capacity] = 0x5A;
        tf_line_init(&line, small, capacity);
        seen[0] = 0;
        FEED("too long a command to be held%");
        feed(packet, sizeof packet - 1);
        CHECK(strcmp(seen, capacity >= 17 ? "S" : "") == 0);
        CHECK(small[capacity] == 0x5A);
        free(small);
    }
}

int main(void) {
    RUN(every_pair_is_written);
    RUN(each_protocol_is_taken);
    RUN(one_does_not_hide_the_other);
    RUN(damage_is_passed_over);
    RUN(nothing_leaves_the_buffer);
    return 0;
}
