/* The model: image verified, plan checked, golden vectors run. */
#include <string.h>

#include "bench.h"

enum { ALIGN = 16 };

/* Where there is no bootloader, the app's own version is all a model can depend on. */
static const tf_image_version_t own_version = {
    .major = TINYFLEET_VERSION_MAJOR, .minor = TINYFLEET_VERSION_MINOR, .revision = TINYFLEET_VERSION_PATCH};

static void refuse(bench_t *bench, tf_result_t result, const char *reason) {
    bench->result = result;
    bench->reason = reason;
}

static void refuse_plan(bench_t *bench, tf_model_status_t status) {
    switch (status) {
        case TF_MODEL_OP:
            refuse(bench, TF_RESULT_OP_MISSING, "the model has an op that this firmware lacks");
            break;
        case TF_MODEL_ARENA:
            refuse(bench, TF_RESULT_ARENA_TOO_SMALL, "the model's arena is larger than this board's");
            break;
        case TF_MODEL_ABI:
        case TF_MODEL_CORE:
            refuse(bench, TF_RESULT_UNSUPPORTED_TYPE, "the plan is for another runtime or core");
            break;
        case TF_MODEL_OK:
        case TF_MODEL_MALFORMED:
            refuse(bench, TF_RESULT_INTEGRITY, "the plan does not add up");
            break;
    }
}

static bool vectors_pass(const bench_t *bench) {
    const tf_bench_port_t *const port = bench->port;
    for (uint32_t i = 0; i < bench->model.vector_count; i++) {
        if (!tf_model_vector_passes(&bench->model, port->arena, port->arena_bytes, i)) return false;
    }
    return true;
}

void bench_load_model(bench_t *bench) {
    const tf_bench_port_t *const port = bench->port;
    const tf_image_policy_t policy = {
        .kind = TF_ARTIFACT_KIND_MODEL,
        .device_type = tf_text(port->device_type),
        .cores = tf_runtime_cores(),
        .abi = TF_RUNTIME_ABI,
        .accept_unsigned = true, /* whoever can write this flash holds the SWD port */
        .firmware = own_version,
    };
    tf_image_t image;
    const tf_result_t verified = tf_image_verify(port->model, port->model_bytes, &policy, &image);
    if (verified != TF_RESULT_SUCCESS) {
        refuse(bench, verified, image.reason);
        return;
    }
    bench->has_image = true;
    memcpy(bench->image, image.image, sizeof bench->image);
    (void)tf_image_version_text(&image.version, bench->version);
    bench_load_plan(bench, image.payload, image.payload_bytes);
}

void bench_load_plan(bench_t *bench, const uint8_t *plan, uint32_t bytes) {
    const tf_bench_port_t *const port = bench->port;
    const tf_model_status_t loaded = tf_model_load(&bench->model, plan, bytes);
    if (loaded != TF_MODEL_OK) {
        refuse_plan(bench, loaded);
    } else if (bench->model.arena_bytes > port->arena_bytes) {
        refuse_plan(bench, TF_MODEL_ARENA);
    } else if (!vectors_pass(bench)) {
        refuse(bench, TF_RESULT_GOLDEN_FAILED, "a golden vector gave another output");
    } else {
        bench->result = TF_RESULT_SUCCESS;
        bench->reason = "";
        const uint32_t used = (bench->model.arena_bytes + ALIGN - 1) / ALIGN * ALIGN;
        bench->spare_bytes = port->arena_bytes > used ? port->arena_bytes - used : 0;
        bench->spare = port->arena + used;
    }
}

bool bench_fits(const bench_t *bench, uint32_t bytes) {
    const uint32_t step = bench->model.input.bytes;
    return bytes == step || (bench->model.state_count > 0 && bytes > 0 && bytes % step == 0);
}

uint32_t bench_infer(const bench_t *bench, const uint8_t *window, uint32_t bytes) {
    const tf_bench_port_t *const port = bench->port;
    const uint32_t step = bench->model.input.bytes;
    tf_model_reset(&bench->model, port->arena);
    uint32_t duration_us = 0;
    for (uint32_t at = 0; at < bytes; at += step) {
        memcpy(tf_model_input(&bench->model, port->arena), window + at, step);
        const uint32_t begun = port->now_us();
        /* Cannot fail: the arena was compared when the model was loaded. */
        (void)tf_model_run(&bench->model, port->arena, port->arena_bytes);
        duration_us += port->now_us() - begun;
    }
    return duration_us;
}

const uint8_t *bench_window(const bench_t *bench, uint32_t index) {
    const golden_set_t *const set = &bench->set;
    if (index >= set->windows || !bench_fits(bench, set->window_bytes)) return NULL;
    return set->data + index * set->window_bytes;
}

const void *bench_output(const bench_t *bench) {
    return tf_model_output(&bench->model, bench->port->arena);
}
