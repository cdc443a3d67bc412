/* The golden set in flash (SPEC section 8, record kind 4). */
#include "bench.h"

typedef struct {
    uint32_t windows;
    uint32_t window_bytes;
    uint8_t digest[32];
} golden_t;

static bool read_field(tf_reader_t *reader, uint64_t key, void *out) {
    golden_t *const golden = out;
    switch (key) {
        case TF_GOLDEN_WINDOWS:
            golden->windows = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_GOLDEN_WINDOW_BYTES:
            golden->window_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_GOLDEN_DIGEST:
            tf_read_digest(reader, golden->digest);
            return true;
        default:
            return false;
    }
}

void bench_load_golden(bench_t *bench) {
    const tf_bench_port_t *const port = bench->port;
    tf_bytes_t body;
    if (tf_record_read(port->golden, port->golden_bytes, TF_RECORD_KIND_GOLDEN, &body) != TF_WIRE_OK) return;
    golden_t golden = {0};
    tf_reader_t reader;
    tf_reader_init(&reader, body.data, body.length);
    tf_read_map(&reader, TF_GOLDEN_REQUIRED, read_field, &golden);
    if (tf_reader_end(&reader) != TF_WIRE_OK) return;
    const uint64_t bytes = (uint64_t)golden.windows * golden.window_bytes;
    if (bytes == 0 || bytes > port->golden_bytes - TF_GOLDEN_DATA_OFFSET) return;
    const uint8_t *const windows = port->golden + TF_GOLDEN_DATA_OFFSET;
    uint8_t digest[32];
    tf_sha256(windows, (uint32_t)bytes, digest);
    if (!tf_equal(digest, golden.digest, sizeof digest)) return;
    bench->windows = windows;
    bench->window_count = golden.windows;
    bench->window_bytes = golden.window_bytes;
}

const uint8_t *bench_window(const bench_t *bench, uint32_t index) {
    if (index >= bench->window_count || !bench_fits(bench, bench->window_bytes)) return NULL;
    return bench->windows + index * bench->window_bytes;
}
