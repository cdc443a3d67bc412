/* Starts the bench app and turns its one loop. */
#include "dut.h"
#include "session.h"

static session_t session;

int main(void) {
    tf_bench_port_start(dut_mode.baud);
    const tf_bench_port_t *const port = tf_bench_port();
    session_start(&session, port);
    while (port->stack_intact() && !session.reset) session_turn(&session);
    say(&session.bench, session.reset ? "starting over, as asked" : "stack overflow: starting over");
    return 1;
}
