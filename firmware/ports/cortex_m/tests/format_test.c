/* Whatever a message of the firmware may hold comes out as the host's C library has it, also where it is cut.
 */
#include <limits.h>

#include "check.h"
#include "random.h"

int node_snprintf(char *to, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define TEXT_BYTES 64u

#define SAME(capacity, ...)                                           \
    do {                                                              \
        char ours[TEXT_BYTES], theirs[TEXT_BYTES];                    \
        memset(ours, '~', sizeof ours);                               \
        memset(theirs, '~', sizeof theirs);                           \
        int length = node_snprintf(ours, capacity, __VA_ARGS__);      \
        CHECK_EQUAL(length, snprintf(theirs, capacity, __VA_ARGS__)); \
        CHECK(memcmp(ours, theirs, sizeof ours) == 0);                \
    } while (0)

static void each_capacity(uint64_t value) {
    for (size_t capacity = 0; capacity < TEXT_BYTES; capacity++) {
        SAME(capacity, "%u|%08lx|%06lx|%02x", (unsigned)value, (unsigned long)(uint32_t)value,
             (unsigned long)value, (unsigned)value & 0xFFu);
        SAME(capacity, "%d|%5d|%05d|%ld %%", (int)value, (int)(value % 2000u) - 1000,
             (int)(value % 2000u) - 1000, (long)value);
        SAME(capacity, "%s|%.11s|%12s|%c", "fault", "a cause that is too long", "right",
             'a' + (int)(value % 26u));
    }
}

static void formats_as_the_host_does(void) {
    uint32_t random = 1;
    static const uint64_t edges[] = {0,        1,        9,        10, INT_MAX, (uint64_t)INT_MAX + 1u,
                                     UINT_MAX, LONG_MAX, ULONG_MAX};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) each_capacity(edges[i]);
    for (int i = 0; i < 200; i++) each_capacity((uint64_t)random_next(&random) << 32 | random_next(&random));
}

static void leaves_what_it_does_not_know(void) {
    char text[TEXT_BYTES];
    const char *unknown = "at 100%q, then %";
    CHECK_EQUAL(node_snprintf(text, sizeof text, unknown), strlen(unknown));
    CHECK(strcmp(text, unknown) == 0);
}

int main(void) {
    RUN(formats_as_the_host_does);
    RUN(leaves_what_it_does_not_know);
    return 0;
}
