#include "tinyfleet/ring.h"

#include <string.h>

/* Keys of a record's map. */
enum { KEY_SEQUENCE = 0, KEY_LOST = 1, KEY_ACKNOWLEDGED = 2, KEY_KIND = 3, KEY_MESSAGE = 4, REQUIRED = 7 };

typedef struct {
    uint32_t sequence, lost, acknowledged;
    uint8_t kind;
    tf_bytes_t message; /* data NULL: none, it only says what was acknowledged */
    uint32_t bytes;     /* all of it, in flash */
} record_t;

/* Sequence numbers may wrap, so the difference decides. */
static bool newer(uint32_t left, uint32_t right) {
    return (int32_t)(left - right) > 0;
}

static bool read_field(tf_reader_t *reader, uint64_t key, void *out) {
    record_t *record = out;
    switch (key) {
        case KEY_SEQUENCE:
            record->sequence = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_LOST:
            record->lost = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_ACKNOWLEDGED:
            record->acknowledged = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_KIND:
            record->kind = (uint8_t)tf_read_uint(reader, TF_RING_KINDS - 1);
            return true;
        case KEY_MESSAGE:
            record->message = tf_read_bytes(reader, 1, TF_RING_MESSAGE_MAX);
            return true;
        default:
            return false;
    }
}

static uint32_t sector_bytes(const tf_ring_t *ring) {
    return ring->place.flash->sector_bytes;
}

static uint32_t sectors(const tf_ring_t *ring) {
    return ring->place.bytes / sector_bytes(ring);
}

static uint32_t padded(const tf_ring_t *ring, uint32_t bytes) {
    uint32_t unit = ring->place.flash->write_bytes;
    return (bytes + unit - 1u) / unit * unit;
}

/* The record at `at` of at most `room` bytes; false: there is none to be read, nor one behind it in its
 * sector.
 */
static bool read_at(const tf_ring_t *ring, uint32_t at, uint32_t room, record_t *record) {
    const tf_flash_t *flash = ring->place.flash;
    const uint8_t *area = flash->map(flash->context, ring->place.offset + at, room);
    tf_bytes_t body;
    *record = (record_t){0};
    if (area == NULL || tf_record_read(area, room, TF_RING_RECORD_KIND, &body) != TF_WIRE_OK) return false;
    tf_reader_t reader;
    tf_reader_init(&reader, body.data, body.length);
    tf_read_map(&reader, REQUIRED, read_field, record);
    uint32_t covered = (TF_RECORD_HEADER_BYTES + body.length + 3u) / 4u * 4u;
    record->bytes = padded(ring, covered + TF_RECORD_CRC_BYTES);
    return tf_reader_end(&reader) == TF_WIRE_OK && record->bytes <= room;
}

/* The first message newer than `after` from `*at` on, up to the newest record; `*at` is then where it stands.
 */
static bool find(const tf_ring_t *ring, uint32_t after, uint32_t *at, record_t *record) {
    const uint32_t size = sector_bytes(ring);
    uint32_t sector = *at / size % sectors(ring), offset = *at % size;
    for (uint32_t left = sectors(ring); left > 0; left--) {
        const uint32_t end = sector == ring->sector ? ring->used : size;
        for (; offset < end && read_at(ring, sector * size + offset, end - offset, record);
             offset += record->bytes) {
            if (record->message.data == NULL || !newer(record->sequence, after)) continue;
            *at = sector * size + offset;
            return true;
        }
        if (sector == ring->sector) return false;
        sector = (sector + 1u) % sectors(ring);
        offset = 0;
    }
    return false;
}

static bool next(const tf_ring_t *ring, uint32_t after, uint32_t *at, record_t *record) {
    return find(ring, newer(after, ring->acknowledged) ? after : ring->acknowledged, at, record);
}

bool tf_ring_next(const tf_ring_t *ring, uint32_t after, tf_ring_item_t *item) {
    uint32_t at = ring->tail;
    record_t record;
    if (!next(ring, after, &at, &record)) return false;
    *item = (tf_ring_item_t){record.sequence, (tf_ring_kind_t)record.kind, record.message};
    return true;
}

/* All up to `sequence` wait no more; how many that were. */
static uint32_t pass(tf_ring_t *ring, uint32_t sequence) {
    uint32_t passed = 0, at = ring->tail;
    record_t record;
    while (find(ring, ring->acknowledged, &at, &record) && !newer(record.sequence, sequence)) {
        passed++;
        at += record.bytes;
        ring->tail = at;
    }
    if (newer(sequence, ring->acknowledged)) ring->acknowledged = sequence;
    ring->held -= passed < ring->held ? passed : ring->held;
    return passed;
}

void tf_ring_done(tf_ring_t *ring, uint32_t sequence) {
    (void)pass(ring, sequence);
}

/* What still waits in the sector that comes next is lost. */
static void drop(tf_ring_t *ring, uint32_t sector) {
    const uint32_t size = sector_bytes(ring);
    uint32_t newest = ring->acknowledged, offset = 0;
    record_t record;
    for (; offset < size && read_at(ring, sector * size + offset, size - offset, &record);
         offset += record.bytes) {
        /* One that a cut left in doubt may read well only now: it is none of those we know. */
        if (record.message.data == NULL || newer(record.sequence, ring->sequence)) continue;
        if (newer(record.sequence, newest)) newest = record.sequence;
    }
    ring->lost += pass(ring, newest);
    if (ring->tail / size == sector) ring->tail = (sector + 1u) % sectors(ring) * size;
}

static bool open_sector(tf_ring_t *ring) {
    const tf_flash_t *flash = ring->place.flash;
    uint32_t sector = (ring->sector + 1u) % sectors(ring);
    drop(ring, sector);
    if (flash->erase(flash->context, ring->place.offset + sector * sector_bytes(ring), sector_bytes(ring)) !=
        0)
        return false;
    ring->sector = sector;
    ring->used = 0;
    ring->fresh = false;
    return true;
}

static uint32_t seal(tf_ring_t *ring, tf_ring_kind_t kind, const uint8_t *message, uint32_t bytes) {
    tf_writer_t writer;
    memset(ring->area, 0xFF, sizeof ring->area);
    tf_writer_init(&writer, ring->area + TF_RECORD_HEADER_BYTES, sizeof ring->area - TF_RECORD_HEADER_BYTES);
    tf_write_map(&writer, bytes > 0 ? 5 : 3);
    tf_write_uint(&writer, KEY_SEQUENCE);
    tf_write_uint(&writer, ring->sequence);
    tf_write_uint(&writer, KEY_LOST);
    tf_write_uint(&writer, ring->lost);
    tf_write_uint(&writer, KEY_ACKNOWLEDGED);
    tf_write_uint(&writer, ring->acknowledged);
    if (bytes > 0) {
        tf_write_uint(&writer, KEY_KIND);
        tf_write_uint(&writer, kind);
        tf_write_uint(&writer, KEY_MESSAGE);
        tf_write_bytes(&writer, message, bytes);
    }
    uint32_t body = tf_writer_end(&writer);
    return padded(ring, tf_record_seal(ring->area, sizeof ring->area, TF_RING_RECORD_KIND, body));
}

/* One record; its sector is given up when it cannot be written. */
static bool append(tf_ring_t *ring, tf_ring_kind_t kind, const uint8_t *message, uint32_t bytes) {
    const tf_flash_t *flash = ring->place.flash;
    bool fits = ring->used + padded(ring, bytes + TF_RING_OVERHEAD_BYTES) <= sector_bytes(ring);
    if ((ring->fresh || !fits) && !open_sector(ring)) return false;
    ring->sequence++;
    uint32_t size = seal(ring, kind, message, bytes);
    uint32_t at = ring->sector * sector_bytes(ring) + ring->used, offset = ring->place.offset + at;
    ring->used += size;
    ring->fresh = true;
    if (flash->write(flash->context, offset, ring->area, size) != 0) return false;
    const uint8_t *written = flash->map(flash->context, offset, size);
    if (written == NULL || memcmp(written, ring->area, size) != 0) return false;
    ring->fresh = false;
    ring->written = ring->acknowledged;
    if (ring->held == 0) ring->tail = at;
    return true;
}

bool tf_ring_put(tf_ring_t *ring, tf_ring_kind_t kind, const uint8_t *message, uint32_t bytes) {
    bool good = bytes > 0 && bytes <= TF_RING_MESSAGE_MAX && append(ring, kind, message, bytes);
    if (good) {
        ring->held++;
    } else {
        ring->lost++;
    }
    return good;
}

void tf_ring_settle(tf_ring_t *ring) {
    ring->held = 0;
    if (ring->written == ring->acknowledged) return;
    /* Once: should it fail, messages are sent again after the next start. */
    if (!append(ring, TF_RING_TELE, NULL, 0)) ring->written = ring->acknowledged;
}

static void take(tf_ring_t *ring, const record_t *record, uint32_t used) {
    ring->sequence = record->sequence;
    ring->lost = record->lost;
    ring->acknowledged = ring->written = record->acknowledged;
    ring->used = used;
}

void tf_ring_open(tf_ring_t *ring, const tf_ring_place_t *place) {
    const tf_ring_place_t where = *place; /* it may be the ring's own */
    memset(ring, 0, sizeof *ring);
    ring->place = where;
    const uint32_t size = sector_bytes(ring);
    bool found = false;
    record_t record;
    /* With nothing found the first record goes to the first sector. */
    ring->sector = sectors(ring) - 1u;
    for (uint32_t sector = 0; sector < sectors(ring); sector++) {
        if (!read_at(ring, sector * size, size, &record)) continue;
        if (found && !newer(record.sequence, ring->sequence)) continue;
        found = true;
        ring->sector = sector;
        take(ring, &record, record.bytes);
    }
    /* What is read here was read once: a place of doubt may read otherwise the next time. */
    while (found && ring->used < size &&
           read_at(ring, ring->sector * size + ring->used, size - ring->used, &record) &&
           newer(record.sequence, ring->sequence)) {
        take(ring, &record, ring->used + record.bytes);
    }
    ring->fresh = true;
    ring->tail = (ring->sector + 1u) % sectors(ring) * size;
    uint32_t at = ring->tail;
    while (found && find(ring, ring->acknowledged, &at, &record)) {
        if (ring->held++ == 0) ring->tail = at;
        at += record.bytes;
    }
    /* A record that the last cut left half written may read as whole one day: it must not be newer than ours.
     */
    ring->sequence++;
}
