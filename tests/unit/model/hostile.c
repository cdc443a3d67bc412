/* Loads broken plans under sanitizers: every byte of a plan changed in several ways, every truncation, and
 * random words in random places. A plan is refused, or it runs inside its payload and its arena; the
 * sanitizers see the rest.
 *
 * usage: hostile PLAN ROUNDS    prints what the C doors say of the sound plan, then "tried N loaded M"
 *        hostile PLAN once      tries that plan alone, as it is */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/runtime.h"

enum { ARENA_MAX = 1 << 20 };

static unsigned long tried, loaded;
static volatile int sink;

static void touch(const void *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) sink += ((const uint8_t *)bytes)[i];
}

static void *aligned(size_t size) {
    void *room = 0;
    if (posix_memalign(&room, 16, size ? size : 1) != 0) exit(2);
    return room;
}

static void use(const tf_model_t *model) {
    uint8_t *const arena = aligned(model->arena_bytes);
    memset(arena, 0x55, model->arena_bytes);
    int16_t *const raw = aligned(model->input.values * sizeof(int16_t));
    memset(raw, 0x7F, model->input.values * sizeof(int16_t));
    tf_model_reset(model, arena);
    tf_model_quantize(model, raw, tf_model_input(model, arena));
    if (tf_model_run(model, arena, model->arena_bytes) != TF_MODEL_OK) exit(3);
    touch(tf_model_output(model, arena), model->output_bytes);
    const uint32_t best = tf_model_greatest(model, arena, model->output.values);
    sink += tf_model_score(model, tf_model_value(model, arena, best));
    const char *text;
    uint32_t length;
    (void)tf_model_name(model, &text, &length);
    touch(text, length);
    touch(model->version.text, model->version.length);
    touch(model->sensor.text, model->sensor.length);
    touch(model->unit.text, model->unit.length);
    for (uint32_t i = 0; tf_model_label(model, i, &text, &length); i++) touch(text, length);
    const uint8_t *input, *output;
    for (uint32_t i = 0; i < model->vector_count; i++) {
        for (uint32_t step = 0; tf_model_vector(model, i, step, &input, &output); step++) {
            touch(input, model->all_input_bytes);
            touch(output, model->all_output_bytes);
        }
    }
    if (model->arena_bytes != 0 && tf_model_vector_passes(model, 0, model->arena_bytes - 16, 0)) exit(5);
    if (model->vector_steps < 100) sink += tf_model_vector_passes(model, arena, model->arena_bytes, 0);
    uint32_t bytes;
    const void *one;
    for (uint32_t i = 0; (one = tf_model_output_at(model, arena, i, &bytes)) != 0; i++) touch(one, bytes);
    free(raw);
    free(arena);
}

static void attempt(const uint8_t *plan, uint32_t size) {
    uint8_t *const exact = aligned(size); /* so that a read one byte behind the payload is seen */
    memcpy(exact, plan, size);
    tf_model_t model;
    tried++;
    if (tf_model_load(&model, exact, size) == TF_MODEL_OK) {
        loaded++;
        if (model.arena_bytes <= ARENA_MAX) use(&model);
    }
    free(exact);
}

static void print_text(const char *what, const char *text, uint32_t length) {
    printf("%s=%.*s\n", what, (int)length, text);
}

static void introduce(const tf_model_t *model) {
    const char *text;
    uint32_t length;
    if (tf_model_name(model, &text, &length)) print_text("name", text, length);
    print_text("version", model->version.text, model->version.length);
    print_text("sensor", model->sensor.text, model->sensor.length);
    print_text("unit", model->unit.text, model->unit.length);
    for (uint32_t i = 0; i < tf_model_label_count(model); i++) {
        if (tf_model_label(model, i, &text, &length)) print_text("label", text, length);
    }
    printf("window=%u %u %u\n", (unsigned)model->input.rate_mhz, model->input.samples, model->input.channels);
    printf("bytes=%u %u %u\n", (unsigned)model->input.bytes, (unsigned)model->output_bytes,
           (unsigned)model->arena_bytes);
    printf("ops=%u vectors=%u kind=%u\n", (unsigned)model->op_count, (unsigned)model->vector_count,
           model->output.kind);
}

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    FILE *const file = fopen(argv[1], "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) return 2;
    const uint32_t size = (uint32_t)ftell(file);
    rewind(file);
    uint8_t *const plan = aligned(size);
    uint8_t *const broken = aligned(size);
    if (fread(plan, 1, size, file) != size) return 2;
    (void)fclose(file);
    tf_model_t model;
    if (tf_model_load(&model, plan, size) != TF_MODEL_OK) return 4;
    introduce(&model);
    attempt(plan, size);
    const bool once = strcmp(argv[2], "once") == 0;
    for (uint32_t cut = 0; cut < size && !once; cut++) attempt(plan, cut);
    static const uint8_t flips[] = {0x01, 0x02, 0x10, 0x80, 0xFF};
    memcpy(broken, plan, size);
    for (uint32_t at = 0; at < size && !once; at++) {
        for (uint32_t i = 0; i < sizeof(flips); i++) {
            broken[at] = (uint8_t)(plan[at] ^ flips[i]);
            attempt(broken, size);
        }
        broken[at] = plan[at];
    }
    static const uint32_t words[] = {0, 1, 2, 15, 16, 255, 65535, 1u << 24, INT32_MAX, 1u << 31, UINT32_MAX};
    const uint32_t rounds = once ? 0 : (uint32_t)strtoul(argv[2], 0, 10);
    uint32_t state = 2463534242u;
    for (uint32_t round = 0; round < rounds; round++) {
        memcpy(broken, plan, size);
        for (uint32_t count = 1 + next_random(&state) % 4; count > 0; count--) {
            const uint32_t value =
                next_random(&state) % 2 ? words[next_random(&state) % 11] : next_random(&state) % 300;
            const uint32_t width = 1u << next_random(&state) % 3;
            const uint32_t at = next_random(&state) % (size / width) * width;
            memcpy(broken + at, &value, width);
        }
        attempt(broken, size);
    }
    printf("tried %lu loaded %lu\n", tried, loaded);
    free(plan);
    free(broken);
    return 0;
}
