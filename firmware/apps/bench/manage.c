#include "manage.h"

#include <string.h>

#include "tinyfleet/smp.h"

/* The line's buffer holds larger packets than this; what their answers would need, a microbit has not. */
enum { REPLY_BYTES = 192, PACKET_BYTES = TF_FRAME_BODY_MAX, IMAGE_MODEL = 1 };

static const bench_t *asked;
static bool reset_asked;
static uint8_t reply[REPLY_BYTES];

static tf_smp_result_t reset(void *context) {
    (void)context;
    reset_asked = true;
    return (tf_smp_result_t){.code = TF_SMP_OK};
}

static bool image_of(void *context, uint32_t index, tf_smp_image_t *image) {
    (void)context;
    const bool runs = asked->result == TF_RESULT_SUCCESS;
    *image = (tf_smp_image_t){
        .image = IMAGE_MODEL,
        .version = {asked->version, (uint32_t)strlen(asked->version)},
        .hash = asked->image,
        .confirmed = runs,
        .active = runs,
    };
    return index == 0 && asked->has_image;
}

static bool statistic_of(void *context, uint32_t group, uint32_t index, tf_smp_statistic_t *statistic) {
    (void)context, (void)group;
    const tf_smp_statistic_t all[] = {
        {"arena_bytes", asked->port->arena_bytes},
        {"golden_windows", asked->set.windows},
    };
    if (index >= sizeof all / sizeof *all) return false;
    *statistic = all[index];
    return true;
}

bool manage_answer(const bench_t *bench, tf_bytes_t packet) {
    static const char *const groups[] = {"bench"};
    static const tf_smp_device_t device = {
        .buffer_bytes = PACKET_BYTES,
        .reset = reset,
        .image = image_of,
        .image_count = 1,
        .statistic = statistic_of,
        .groups = groups,
        .group_count = 1,
    };
    asked = bench;
    const uint32_t length =
        tf_smp_answer(&device, TF_SMP_DOOR_FULL, packet.data, packet.length, reply, sizeof reply);
    if (length > 0) tf_smp_write_lines(reply, length, bench->port->write);
    return reset_asked;
}
