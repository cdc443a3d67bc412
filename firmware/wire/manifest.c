#include "tinyfleet/wire.h"

/* Keeps where the sector hashes end; stops the reader there by failing, as what follows may not have come
 * yet. */
static bool measure_field(tf_reader_t *reader, uint64_t key, void *out) {
    uint32_t *length = out;
    if (key != TF_MANIFEST_SECTORS) {
        tf_read_skip(reader);
        return true;
    }
    /* Head of a byte string, read by hand: its content is not whole yet. */
    if (reader->at >= reader->length) return false;
    uint8_t first = reader->data[reader->at];
    uint32_t head = first < 0x58u ? 1u : first == 0x58u ? 2u : 3u;
    if (first < 0x40u || first > 0x59u || head > reader->length - reader->at) return false;
    uint32_t size = first & 0x1Fu;
    if (head == 2) size = reader->data[reader->at + 1u];
    if (head == 3) size = (uint32_t)reader->data[reader->at + 1u] << 8 | reader->data[reader->at + 2u];
    *length = reader->at + head + size;
    tf_reader_fail(reader, TF_WIRE_TRUNCATED);
    return true;
}

uint32_t tf_manifest_length(const uint8_t *beginning, uint32_t length) {
    tf_reader_t reader;
    uint32_t whole = 0;
    tf_reader_init(&reader, beginning, length);
    tf_read_map(&reader, 0, measure_field, &whole);
    return whole <= TF_MANIFEST_MAX_BYTES ? whole : 0;
}

bool tf_manifest_adds_up(const tf_manifest_t *manifest) {
    uint32_t size = manifest->size_bytes;
    uint32_t sectors = size / TF_SECTOR_BYTES + (size % TF_SECTOR_BYTES != 0 ? 1u : 0u);
    return sectors >= 1 && sectors <= TF_SECTORS_MAX &&
           manifest->sectors.length == sectors * TF_SECTOR_HASH_BYTES && manifest->image_bytes > 0 &&
           manifest->image_bytes <= TF_SECTORS_MAX * TF_SECTOR_BYTES &&
           (manifest->encoding != TF_ENCODING_RAW || manifest->image_bytes == size) &&
           manifest->has_base == (manifest->encoding == TF_ENCODING_DELTA);
}
