/* Clock, idle, console; and what is told over a reset, a panic and a cut. */
#include <string.h>

#include "conformance.h"
#include "tinyfleet/record_log.h"
#include "tinyfleet/wire.h"

#define SLEEP_MS 20u
#define SLEEPS 10u
#define SLACK_US 50000u
#define CONSOLE_CHARACTERS 159u
#define BITE_MS 200u
#define CUT_WAIT_MS 20000u
#define NOINIT_FIRST 0xA5A5F00Du
#define RECORD_KIND 0x7FFFu
#define RECORD_BYTES 512u

/* Words of noinit: two that show whether it lasts, and the records begun. */
enum { WORD_KEPT, WORD_INVERTED, WORD_RECORDS };

answer_t check_clock(const tf_conformance_port_t *port) {
    uint64_t last_us = port->node->now_us();
    EXPECT(last_us < 60000000u, "it does not count from the start");
    uint32_t steps = 0;
    for (uint32_t i = 0; i < 100000u && steps < 10u; i++) {
        uint64_t now_us = port->node->now_us();
        EXPECT(now_us >= last_us, "it went backward");
        EXPECT(now_us - last_us < 1000000u, "it jumped by a second");
        if (now_us > last_us) steps++;
        last_us = now_us;
    }
    EXPECT(steps == 10u, "it stands still");
    return PASSED;
}

/* It may end early, when something has come; a network's first packets do. */
answer_t check_idle(const tf_conformance_port_t *port) {
    uint64_t begun_us = port->node->now_us();
    port->node->idle(0);
    EXPECT(port->node->now_us() - begun_us < SLACK_US, "idle(0) sleeps");
    begun_us = port->node->now_us();
    uint32_t turns = 0;
    while (port->node->now_us() - begun_us < SLEEPS * SLEEP_MS * 1000u) {
        uint64_t before_us = port->node->now_us();
        port->node->idle(SLEEP_MS);
        EXPECT(port->node->now_us() - before_us < SLEEP_MS * 1000u + SLACK_US,
               "it slept longer than asked for");
        EXPECT(++turns < 100u * SLEEPS, "it does not sleep");
        port->node->watchdog_feed();
    }
    return PASSED;
}

/* Whoever reads the console looks for the whole line. */
answer_t check_console(const tf_conformance_port_t *port) {
    char line[CONSOLE_CHARACTERS + 1];
    (void)port;
    for (uint32_t i = 0; i < CONSOLE_CHARACTERS; i++) line[i] = (char)('0' + i % 10u);
    line[0] = '#';
    line[CONSOLE_CHARACTERS] = 0;
    tf_console("%s", line);
    return PASSED;
}

void leave_by_reset(const tf_conformance_port_t *port) {
    if (port->noinit != NULL) {
        port->noinit[WORD_KEPT] = NOINIT_FIRST;
        port->noinit[WORD_INVERTED] = ~NOINIT_FIRST;
    }
    port->node->reset();
}

answer_t check_reset(const tf_conformance_port_t *port) {
    if (port->reset_reason == NULL) return SKIPPED("this board does not know why it starts");
    EXPECT(port->reset_reason() == TF_RESET_REQUEST, "the reason is another one");
    return PASSED;
}

answer_t check_noinit(const tf_conformance_port_t *port) {
    if (port->noinit == NULL) return SKIPPED("there is no such memory");
    EXPECT(port->noinit[WORD_KEPT] == NOINIT_FIRST && port->noinit[WORD_INVERTED] == ~NOINIT_FIRST,
           "its words have changed");
    return PASSED;
}

void leave_by_panic(const tf_conformance_port_t *port) {
    port->node->panic("on purpose");
}

answer_t check_panic(const tf_conformance_port_t *port) {
    tf_crash_t crash;
    EXPECT(port->node->take_crash(&crash), "no record of it is left");
    EXPECT(strcmp(crash.cause, "PANIC") == 0, "the record's cause is another one");
    EXPECT(!port->node->take_crash(&crash), "it is told twice");
    return PASSED;
}

/* The log in the third and fourth sector of the scratch: what bootloader and engine keep their state in. */
static tf_log_place_t place(const tf_conformance_port_t *port) {
    return (tf_log_place_t){
        .flash = port->node->flash(),
        .offset = {port->scratch_offset + 2 * TF_SECTOR_BYTES, port->scratch_offset + 3 * TF_SECTOR_BYTES},
        .kind = RECORD_KIND,
        .record_bytes = RECORD_BYTES,
    };
}

static bool any(tf_bytes_t body) {
    (void)body;
    return true;
}

static bool append(const tf_log_place_t *where, tf_log_t *log, uint32_t number) {
    uint8_t area[RECORD_BYTES];
    memset(area, 0xFF, sizeof area);
    tf_writer_t writer;
    tf_writer_init(&writer, area + TF_RECORD_HEADER_BYTES, sizeof area - TF_RECORD_HEADER_BYTES);
    tf_write_map(&writer, 1);
    tf_write_uint(&writer, 0);
    tf_write_uint(&writer, number);
    return tf_log_append(where, log, area, tf_writer_end(&writer));
}

/* Writes records, one behind the other, until it is cut: by the watchdog, or by whoever reads the console. */
void leave_by_cut(const tf_conformance_port_t *port) {
    const tf_log_place_t where = place(port);
    tf_log_t log = {.sector = 1, .next = TF_SECTOR_BYTES};
    if (port->noinit != NULL) port->noinit[WORD_RECORDS] = 0;
    for (uint32_t i = 0; i < 2; i++) {
        (void)where.flash->erase(where.flash->context, where.offset[i], TF_SECTOR_BYTES);
    }
    if (!append(&where, &log, 1)) tf_console("# the first record cannot be written");
    tf_console(port->watchdog_start == NULL ? "# cut the power now" : "# until the watchdog bites");
    if (port->watchdog_start != NULL) port->watchdog_start(BITE_MS);
    uint64_t begun_us = port->node->now_us();
    for (uint32_t number = 2; port->node->now_us() - begun_us < CUT_WAIT_MS * 1000u; number++) {
        if (port->noinit != NULL) port->noinit[WORD_RECORDS] = number;
        if (!append(&where, &log, number)) tf_console("# a record cannot be written");
    }
    tf_console("Bail out! nothing has cut this in %lu ms", (unsigned long)CUT_WAIT_MS);
}

answer_t check_cut(const tf_conformance_port_t *port) {
    tf_crash_t crash;
    if (port->watchdog_start == NULL) return SKIPPED("this board has no watchdog that bites");
    if (port->node->take_crash(&crash)) {
        EXPECT(strcmp(crash.cause, "WATCHDOG") == 0, "a crash record tells of something else");
    }
    if (port->reset_reason == NULL) return SKIPPED("it bites, but the board does not know");
    EXPECT(port->reset_reason() == TF_RESET_WATCHDOG, "the reason is another one");
    return PASSED;
}

answer_t check_record(const tf_conformance_port_t *port) {
    const tf_log_place_t where = place(port);
    tf_log_t log;
    uint32_t newest;
    EXPECT(tf_log_load(&where, any, &log, &newest).data != NULL, "no record is left");
    tf_console("# record %lu is the newest", (unsigned long)newest);
    if (port->noinit != NULL) {
        uint32_t begun = port->noinit[WORD_RECORDS];
        EXPECT(newest == begun || newest + 1u == begun,
               "it is neither the one that was cut nor the one before");
    }
    EXPECT(append(&where, &log, newest + 1u), "no further record can be written");
    uint32_t further;
    EXPECT(tf_log_load(&where, any, &log, &further).data != NULL && further == newest + 1u,
           "the further record is not the newest");
    return PASSED;
}
