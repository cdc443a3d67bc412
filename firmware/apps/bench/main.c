/* Starts the bench app and turns its one loop. */
#include "bench.h"
#include "tinyfleet/line.h"

/* One stored window a second shows that the board lives; after a request the console belongs to who asked. */
#define LIVE_US 1000000u
#define QUIET_US 3000000u

static bench_t bench;
static tf_line_t line;
static uint8_t buffer[TF_FRAME_BUFFER_BYTES];

static bool reached(uint32_t now_us, uint32_t at_us) {
    return (int32_t)(now_us - at_us) >= 0;
}

static bool answer_requests(const tf_bench_port_t *port) {
    bool answered = false;
    tf_line_item_t item;
    for (uint8_t byte; port->read(&byte);) {
        if (tf_line_put(&line, byte, &item) != TF_LINE_FRAME) continue;
        bench_answer(&bench, &item.frame);
        answered = true;
    }
    return answered;
}

static void live(uint32_t *next) {
    const uint8_t *const window = bench_window(&bench, *next);
    if (bench.result != TF_RESULT_SUCCESS || window == NULL) return;
    const uint32_t duration_us = bench_infer(&bench, window, bench.window_bytes);
    say_inference(&bench, *next, duration_us);
    *next = (*next + 1) % bench.window_count;
}

int main(void) {
    tf_bench_port_start();
    const tf_bench_port_t *const port = tf_bench_port();
    bench.port = port;
    tf_line_init(&line, buffer, sizeof buffer);
    bench_load_model(&bench);
    bench_load_golden(&bench);
    say_start(&bench);
    uint32_t window = 0;
    uint32_t next_us = port->now_us();
    while (port->stack_intact()) {
        if (answer_requests(port)) {
            next_us = port->now_us() + QUIET_US;
        } else if (reached(port->now_us(), next_us)) {
            live(&window);
            next_us = port->now_us() + LIVE_US;
        }
        port->idle(next_us);
    }
    say("stack overflow: starting over");
    return 1;
}
