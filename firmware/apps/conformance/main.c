/* Says in TAP whether a board's port does what the node relies on. Some of it shows only over a reset, a
 * panic and a cut: marks in flash say which start this is. */
#include <string.h>

#include "conformance.h"
#include "tinyfleet/wire_keys.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MARK 0x5AFEC0DEu

/* Which start of the board a check belongs to. */
typedef enum { AT_FIRST, AFTER_RESET, AFTER_PANIC, AFTER_CUT, STARTS } start_t;

typedef struct {
    start_t start;
    const char *name;
    answer_t (*check)(const tf_conformance_port_t *port);
} check_t;

static const check_t checks[] = {
    {AT_FIRST, "flash: what it says of itself fits the node", check_geometry},
    {AT_FIRST, "flash: erases the sectors asked for and no others", check_erase},
    {AT_FIRST, "flash: keeps what is written", check_write},
    {AT_FIRST, "flash: writes no unit twice", check_once},
    {AT_FIRST, "flash: refuses what lies outside", check_bounds},
    {AT_FIRST, "flash: refuses parts of sectors and units", check_alignment},
    {AT_FIRST, "clock: goes forward, in microseconds", check_clock},
    {AT_FIRST, "idle: sleeps, and not too long", check_idle},
    {AT_FIRST, "console: a line of 159 characters", check_console},
    {AT_FIRST, "network: the broker answers", check_network},
    {AFTER_RESET, "reset: known as asked for", check_reset},
    {AFTER_RESET, "noinit: survives a reset", check_noinit},
    {AFTER_PANIC, "panic: told by the next start, once", check_panic},
    {AFTER_CUT, "watchdog: ends what hangs, and is known as the reason", check_cut},
    {AFTER_CUT, "flash: a record cut short is none, the one before it is there", check_record},
};

static uint32_t unit_bytes(const tf_conformance_port_t *port) {
    return port->node->flash()->write_bytes;
}

/* Marks in the first sector of the scratch: one for each start so far. */
static start_t which_start(const tf_conformance_port_t *port) {
    const tf_flash_t *flash = port->node->flash();
    const uint8_t *marks = flash->map(flash->context, port->scratch_offset, TF_SECTOR_BYTES);
    uint32_t count = 0;
    for (uint32_t word; marks != NULL && count < STARTS; count++) {
        memcpy(&word, marks + count * unit_bytes(port), sizeof word);
        if (word != MARK) break;
    }
    return count == STARTS ? AT_FIRST : (start_t)count;
}

static bool set_mark(const tf_conformance_port_t *port, uint32_t count) {
    const tf_flash_t *flash = port->node->flash();
    uint8_t unit[64];
    const uint32_t word = MARK;
    if (unit_bytes(port) > sizeof unit) return false;
    memset(unit, 0xFF, sizeof unit);
    memcpy(unit, &word, sizeof word);
    uint32_t offset = port->scratch_offset + count * unit_bytes(port);
    return flash->write(flash->context, offset, unit, unit_bytes(port)) == 0;
}

static bool clear_marks(const tf_conformance_port_t *port) {
    const tf_flash_t *flash = port->node->flash();
    return flash->erase(flash->context, port->scratch_offset, TF_SECTOR_BYTES) == 0;
}

static void say(uint32_t number, const char *name, answer_t answer) {
    static const char *const words[] = {[PASS] = "ok", [FAIL] = "not ok", [SKIP] = "ok"};
    static const char *const directives[] = {[PASS] = "", [FAIL] = "", [SKIP] = " # SKIP "};
    if (answer.outcome == FAIL) tf_console("# %s", answer.why);
    tf_console("%s %lu - %s%s%s", words[answer.outcome], (unsigned long)number, name,
               directives[answer.outcome], answer.outcome == SKIP ? answer.why : "");
}

static void run_checks(const tf_conformance_port_t *port, start_t start) {
    for (uint32_t i = 0; i < COUNT(checks); i++) {
        if (checks[i].start == start) say(i + 1u, checks[i].name, checks[i].check(port));
        port->node->watchdog_feed();
    }
}

/* The plan, and the next start begins anew. */
static void finish(const tf_conformance_port_t *port) {
    (void)clear_marks(port);
    tf_console("1..%lu", (unsigned long)COUNT(checks));
}

void tf_conformance_run(void) {
    static void (*const leave[STARTS])(const tf_conformance_port_t *port) = {leave_by_reset, leave_by_panic,
                                                                             leave_by_cut, finish};
    tf_node_port_start();
    const tf_conformance_port_t *port = tf_conformance_port();
    start_t start = which_start(port);
    if (start == AT_FIRST) {
        tf_console("TAP version 13");
        tf_console("# %s", port->node->device_type);
        if (!clear_marks(port)) tf_console("Bail out! the scratch sector cannot be erased");
    }
    run_checks(port, start);
    if (start + 1u < STARTS && !set_mark(port, start))
        tf_console("Bail out! the scratch sector cannot be written");
    leave[start](port);
    for (;;) {
        port->node->watchdog_feed();
        port->node->idle(1000);
    }
}
