/* The parts of the conformance app: what a check answers, and the checks. */
#ifndef TINYFLEET_CONFORMANCE_H
#define TINYFLEET_CONFORMANCE_H

#include <stdint.h>

#include "tinyfleet/conformance_port.h"

typedef enum { PASS, FAIL, SKIP } outcome_t;

/* `why` is a literal; NULL: it passed. */
typedef struct {
    outcome_t outcome;
    const char *why;
} answer_t;

#define PASSED ((answer_t){PASS, NULL})
#define FAILED(why) ((answer_t){FAIL, (why)})
#define SKIPPED(why) ((answer_t){SKIP, (why)})

/* Returns from the check with why, unless it is so. */
#define EXPECT(condition, why)                \
    do {                                      \
        if (!(condition)) return FAILED(why); \
    } while (0)

/* flash.c */
answer_t check_geometry(const tf_conformance_port_t *port);
answer_t check_erase(const tf_conformance_port_t *port);
answer_t check_write(const tf_conformance_port_t *port);
answer_t check_once(const tf_conformance_port_t *port);
answer_t check_bounds(const tf_conformance_port_t *port);
answer_t check_alignment(const tf_conformance_port_t *port);

/* system.c */
answer_t check_clock(const tf_conformance_port_t *port);
answer_t check_idle(const tf_conformance_port_t *port);
answer_t check_console(const tf_conformance_port_t *port);
answer_t check_reset(const tf_conformance_port_t *port);
answer_t check_noinit(const tf_conformance_port_t *port);
answer_t check_panic(const tf_conformance_port_t *port);
answer_t check_cut(const tf_conformance_port_t *port);
answer_t check_record(const tf_conformance_port_t *port);
void leave_by_reset(const tf_conformance_port_t *port);
void leave_by_panic(const tf_conformance_port_t *port);
void leave_by_cut(const tf_conformance_port_t *port);

/* network.c, or no_network.c where the board brings none */
answer_t check_network(const tf_conformance_port_t *port);

#endif
