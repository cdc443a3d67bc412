#include "sets.h"

#include <string.h>

#include "tinyfleet/image.h"

enum { RECORD_BYTES = 64, UNIT_MAX = 16, ERASED = 0xFF };

static bool read_field(tf_reader_t *reader, uint64_t key, void *out) {
    golden_set_t *const set = out;
    switch (key) {
        case TF_GOLDEN_WINDOWS:
            set->windows = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_GOLDEN_WINDOW_BYTES:
            set->window_bytes = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case TF_GOLDEN_DIGEST:
            tf_read_digest(reader, set->digest);
            return true;
        default:
            return false;
    }
}

/* Bytes of its windows; 0 when that is nothing, or more than `room`. */
static uint32_t bytes_of(const golden_set_t *set, uint32_t room) {
    const uint64_t bytes = (uint64_t)set->windows * set->window_bytes;
    return bytes > room ? 0 : (uint32_t)bytes;
}

static uint32_t room_at(const tf_flash_t *flash, uint32_t offset) {
    const uint32_t left = flash->size_bytes - offset;
    return left > TF_GOLDEN_DATA_OFFSET ? left - TF_GOLDEN_DATA_OFFSET : 0;
}

/* The set whose record stands at `offset`, and where the next one would; 0: there is none. */
static uint32_t read_set(const tf_flash_t *flash, uint32_t offset, golden_set_t *set) {
    const uint32_t room = room_at(flash, offset);
    if (room == 0) return 0;
    const uint8_t *const area = flash->map(flash->context, offset, flash->size_bytes - offset);
    tf_bytes_t body;
    if (tf_record_read(area, flash->size_bytes - offset, TF_RECORD_KIND_GOLDEN, &body) != TF_WIRE_OK)
        return 0;
    *set = (golden_set_t){0};
    tf_reader_t reader;
    tf_reader_init(&reader, body.data, body.length);
    tf_read_map(&reader, TF_GOLDEN_REQUIRED, read_field, set);
    if (tf_reader_end(&reader) != TF_WIRE_OK) return 0;
    const uint32_t bytes = bytes_of(set, room);
    if (bytes == 0) return 0;
    set->data = area + TF_GOLDEN_DATA_OFFSET;
    const uint32_t taken = TF_GOLDEN_DATA_OFFSET + bytes;
    return offset + (taken + flash->sector_bytes - 1) / flash->sector_bytes * flash->sector_bytes;
}

static bool is_whole(const golden_set_t *set) {
    uint8_t digest[32];
    tf_sha256(set->data, set->windows * set->window_bytes, digest);
    return tf_equal(digest, set->digest, sizeof digest);
}

bool golden_find(const tf_flash_t *flash, const uint8_t *digest, golden_set_t *set) {
    for (uint32_t at = 0, next; (next = read_set(flash, at, set)) != 0; at = next) {
        const bool wanted = digest == NULL || memcmp(digest, set->digest, sizeof set->digest) == 0;
        if (wanted && is_whole(set)) return true;
        if (next >= flash->size_bytes) break;
    }
    *set = (golden_set_t){0};
    return false;
}

static uint32_t end_of_sets(const tf_flash_t *flash) {
    golden_set_t set;
    uint32_t at = 0;
    for (uint32_t next; at < flash->size_bytes && (next = read_set(flash, at, &set)) != 0;) at = next;
    return at < flash->size_bytes ? at : flash->size_bytes;
}

uint32_t golden_room(const tf_flash_t *flash) {
    return room_at(flash, end_of_sets(flash));
}

tf_result_t golden_begin(set_writer_t *writer, const tf_flash_t *flash, const golden_set_t *set) {
    *writer = (set_writer_t){.set = *set, .offset = end_of_sets(flash)};
    const uint64_t wanted = (uint64_t)set->windows * set->window_bytes;
    const uint32_t bytes = bytes_of(set, room_at(flash, writer->offset));
    tf_result_t result = TF_RESULT_SUCCESS;
    if (wanted == 0) {
        result = TF_RESULT_INPUT_MISMATCH;
    } else if (bytes == 0) {
        result = TF_RESULT_NO_FLASH;
    } else {
        const uint32_t sector = flash->sector_bytes;
        const uint32_t taken = (TF_GOLDEN_DATA_OFFSET + bytes + sector - 1) / sector * sector;
        if (flash->erase(flash->context, writer->offset, taken) != 0) result = TF_RESULT_NO_FLASH;
    }
    if (result != TF_RESULT_SUCCESS) writer->set.windows = 0;
    return result;
}

static tf_result_t seal(const tf_flash_t *flash, uint32_t offset, const golden_set_t *set) {
    uint8_t record[RECORD_BYTES];
    tf_writer_t body;
    tf_writer_init(&body, record + TF_RECORD_HEADER_BYTES, sizeof record - TF_RECORD_HEADER_BYTES);
    tf_write_map(&body, 3);
    tf_write_uint(&body, TF_GOLDEN_WINDOWS);
    tf_write_uint(&body, set->windows);
    tf_write_uint(&body, TF_GOLDEN_WINDOW_BYTES);
    tf_write_uint(&body, set->window_bytes);
    tf_write_uint(&body, TF_GOLDEN_DIGEST);
    tf_write_bytes(&body, set->digest, sizeof set->digest);
    const uint32_t length =
        tf_record_seal(record, sizeof record, TF_RECORD_KIND_GOLDEN, tf_writer_end(&body));
    if (length == 0) return TF_RESULT_UPDATE_FAILED;
    return flash->write(flash->context, offset, record, length) == 0 ? TF_RESULT_SUCCESS
                                                                     : TF_RESULT_UPDATE_FAILED;
}

/* The last bytes may be fewer than a write unit. */
static bool write_all(const tf_flash_t *flash, uint32_t offset, const uint8_t *data, uint32_t length) {
    const uint32_t odd = length % flash->write_bytes;
    if (length > odd && flash->write(flash->context, offset, data, length - odd) != 0) return false;
    if (odd == 0) return true;
    uint8_t unit[UNIT_MAX];
    if (flash->write_bytes > sizeof unit) return false;
    memset(unit, ERASED, sizeof unit);
    memcpy(unit, data + length - odd, odd);
    return flash->write(flash->context, offset + length - odd, unit, flash->write_bytes) == 0;
}

tf_result_t golden_put(set_writer_t *writer, const tf_flash_t *flash, uint32_t offset, const uint8_t *data,
                       uint32_t length) {
    golden_set_t *const set = &writer->set;
    const uint32_t left = set->windows * set->window_bytes - writer->arrived;
    const bool last = length == left;
    if (left == 0 || offset != writer->arrived || length == 0 || length > left ||
        (!last && length % flash->write_bytes != 0)) {
        return TF_RESULT_INPUT_MISMATCH;
    }
    const uint32_t to = writer->offset + TF_GOLDEN_DATA_OFFSET + offset;
    if (!write_all(flash, to, data, length)) {
        set->windows = 0;
        return TF_RESULT_UPDATE_FAILED;
    }
    writer->arrived += length;
    if (!last) return TF_RESULT_SUCCESS;
    set->data = flash->map(flash->context, writer->offset + TF_GOLDEN_DATA_OFFSET, writer->arrived);
    const tf_result_t result = is_whole(set) ? seal(flash, writer->offset, set) : TF_RESULT_INTEGRITY;
    set->windows = 0;
    return result;
}

tf_result_t golden_erase(const tf_flash_t *flash) {
    return flash->erase(flash->context, 0, flash->size_bytes) == 0 ? TF_RESULT_SUCCESS
                                                                   : TF_RESULT_UPDATE_FAILED;
}
