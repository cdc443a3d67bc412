/* Reads bytes, writes back every valid frame encoded again: the board's frame code, alone on the host. */
#include <stdio.h>

#include "tinyfleet/console.h"

static void sink(const uint8_t *data, uint32_t length) {
    fwrite(data, 1, length, stdout);
}

int main(void) {
    static uint8_t buffer[TF_FRAME_BUFFER_BYTES];
    static tf_frame_writer_t writer;
    tf_frame_reader_t reader;
    tf_frame_reader_init(&reader, buffer, sizeof buffer);
    tf_frame_t frame;
    for (int byte; (byte = getchar()) != EOF;) {
        if (!tf_frame_reader_put(&reader, (uint8_t)byte, &frame)) continue;
        tf_frame_begin(&writer, sink, frame.type, frame.seq);
        tf_frame_put(&writer, frame.body, frame.length);
        tf_frame_end(&writer);
    }
    return 0;
}
