#include "tinyfleet/record_log.h"

#include <string.h>

enum { KEY_SEQUENCE = 0, READS = 12 };

static bool read_sequence(tf_reader_t *reader, uint64_t key, void *out) {
    if (key != KEY_SEQUENCE) return false;
    *(uint32_t *)out = (uint32_t)tf_read_uint(reader, UINT32_MAX);
    return true;
}

static bool sequence_of(tf_bytes_t body, uint32_t *sequence) {
    tf_reader_t reader;
    tf_reader_init(&reader, body.data, body.length);
    tf_read_map(&reader, 1u << KEY_SEQUENCE, read_sequence, sequence);
    return tf_reader_end(&reader) == TF_WIRE_OK;
}

/* The record at `at` of a sector, read anew each time. A sector's first one counts only if it reads well
 * again and again: it is all there is of its sector, and the next record goes over the other one. */
static bool read_steadily(const tf_log_place_t *place, uint32_t sector, uint32_t at, tf_bytes_t *body) {
    const tf_flash_t *flash = place->flash;
    for (uint32_t i = at == 0 ? READS : 1; i > 0; i--) {
        const uint8_t *area = flash->map(flash->context, place->offset[sector] + at, place->record_bytes);
        if (area == NULL || tf_record_read(area, place->record_bytes, place->kind, body) != TF_WIRE_OK)
            return false;
    }
    return true;
}

tf_bytes_t tf_log_load(const tf_log_place_t *place, tf_log_accept_t accept, tf_log_t *log,
                       uint32_t *sequence) {
    tf_bytes_t newest = {0};
    *sequence = 0;
    /* With nothing found the first record goes to the first sector. */
    *log = (tf_log_t){.sector = 1, .next = TF_SECTOR_BYTES};
    for (uint32_t sector = 0; sector < 2; sector++) {
        for (uint32_t at = 0; at < TF_SECTOR_BYTES; at += place->record_bytes) {
            tf_bytes_t body;
            uint32_t number;
            if (!read_steadily(place, sector, at, &body)) continue;
            if (!sequence_of(body, &number) || !accept(body)) continue;
            /* Sequence numbers may wrap, so the difference decides. */
            if (newest.data != NULL && (int32_t)(number - *sequence) <= 0) continue;
            newest = body;
            *sequence = number;
            log->sector = sector;
        }
    }
    return newest;
}

bool tf_log_append(const tf_log_place_t *place, tf_log_t *log, uint8_t *area, uint32_t body_bytes) {
    const tf_flash_t *flash = place->flash;
    if (log->next > TF_SECTOR_BYTES - place->record_bytes) {
        uint32_t other = 1u - log->sector;
        if (flash->erase(flash->context, place->offset[other], TF_SECTOR_BYTES) != 0) return false;
        *log = (tf_log_t){.sector = other, .next = 0};
    }
    uint32_t offset = place->offset[log->sector] + log->next;
    /* Counted before the write: whatever comes of it, this place is used up. */
    log->next += place->record_bytes;
    if (body_bytes == 0 || tf_record_seal(area, place->record_bytes, place->kind, body_bytes) == 0) {
        return false;
    }
    if (flash->write(flash->context, offset, area, place->record_bytes) != 0) return false;
    const uint8_t *written = flash->map(flash->context, offset, place->record_bytes);
    return written != NULL && memcmp(written, area, place->record_bytes) == 0;
}
