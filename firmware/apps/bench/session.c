#include "session.h"

#include <string.h>

#include "dut.h"
#include "manage.h"

/* One stored window a second shows that the board lives; after a request the console belongs to who asked. */
#define LIVE_US 1000000u
#define QUIET_US 3000000u

static bool reached(uint32_t now_us, uint32_t at_us) {
    return (int32_t)(now_us - at_us) >= 0;
}

static void answer(session_t *session, const tf_frame_t *request) {
    /* What most requests do uses the same memory: input, arena and output. */
    if (request->type != TF_FRAME_TYPE_HELLO) tf_mlperf_forget(&session->mlperf);
    bench_answer(&session->bench, request);
}

static void answer_command(session_t *session, tf_text_t command) {
    /* What only looks like one, out of a damaged frame, changes nothing. */
    if (!tf_mlperf_command(&session->mlperf, command)) return;
    session->measured = true;
    if (session->mlperf.expected == 0) return;
    session->bench.loaded = 0; /* both use the same memory */
    if (session->bench.job.type == TF_FRAME_TYPE_RUN) session->bench.job.type = 0;
}

/* HELLO alone does not wait for a job: it ends it. */
static bool must_wait(const session_t *session, const tf_frame_t *request) {
    return session->bench.job.type != 0 && request->type != TF_FRAME_TYPE_HELLO;
}

static bool take(session_t *session, tf_line_kind_t kind, const tf_line_item_t *item) {
    if (kind == TF_LINE_COMMAND) {
        answer_command(session, item->command);
    } else if (kind == TF_LINE_SMP) {
        if (manage_answer(&session->bench, item->packet)) session->reset = true;
    } else if (kind != TF_LINE_FRAME) {
        return false;
    } else if (must_wait(session, &item->frame)) {
        session->holds = true;
        session->held = item->frame;
    } else {
        answer(session, &item->frame);
    }
    return true;
}

/* Whether anybody asks for anything. Ends where a job begins, so that its inferences come first. */
static bool answer_requests(session_t *session) {
    bool asked = session->bench.job.type != 0;
    if (session->holds && session->bench.job.type == 0) {
        session->holds = false;
        asked = true;
        answer(session, &session->held);
    }
    tf_line_item_t item;
    for (uint8_t byte; !session->holds && session->bench.port->read(&byte);) {
        if (take(session, tf_line_put(&session->line, byte, &item), &item)) asked = true;
    }
    return asked;
}

static void live(session_t *session) {
    const bench_t *const bench = &session->bench;
    const uint8_t *const window = bench_window(bench, session->live_window);
    if (bench->result != TF_RESULT_SUCCESS || session->measured || window == NULL) {
        session->live_window = 0;
        return;
    }
    const uint32_t duration_us = bench_infer(bench, window, bench->set.window_bytes);
    say_inference(bench, session->live_window, duration_us);
    session->live_window = (session->live_window + 1) % bench->set.windows;
}

void session_start(session_t *session, const tf_bench_port_t *port) {
    memset(session, 0, sizeof *session); /* a copy of one would not fit a small board's stack */
    session->bench.port = port;
    tf_line_init(&session->line, session->buffer, sizeof session->buffer);
    bench_load_model(&session->bench);
    (void)golden_find(port->golden, NULL, &session->bench.set);
    say_start(&session->bench);
    tf_mlperf_start(&session->mlperf, dut_of(&session->bench));
    session->live_us = port->now_us();
}

void session_turn(session_t *session) {
    const tf_bench_port_t *const port = session->bench.port;
    bench_work(&session->bench);
    if (answer_requests(session)) {
        session->live_us = port->now_us() + QUIET_US;
    } else if (reached(port->now_us(), session->live_us)) {
        live(session);
        session->live_us = port->now_us() + LIVE_US;
    }
    if (session->bench.job.type == 0 && !session->holds) port->idle(session->live_us);
}
