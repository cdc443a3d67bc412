/* Group 0: whole when the digest of its chunks in order is the wanted one (SPEC section 5). */
#include <stddef.h>
#include <string.h>

#include "engine.h"

enum { MANIFEST_CHUNKS = (TF_MANIFEST_MAX_BYTES + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES };

_Static_assert(MANIFEST_CHUNKS *TF_CHUNK_BYTES <= TF_GROUP_BYTES, "a manifest fits the buffer of a group");

/* Bytes from the start without a gap; 0 also when something lies behind a short chunk. */
static uint32_t whole_bytes(const tf_update_fetch_t *fetch) {
    uint32_t count = 0;
    while ((fetch->received >> count & 1u) != 0) count++;
    if (fetch->received >> count != 0) return 0;
    if (fetch->last_bytes == 0) return count * TF_CHUNK_BYTES;
    return fetch->last_index + 1u == count ? fetch->last_index * TF_CHUNK_BYTES + fetch->last_bytes : 0;
}

/* Sectors that an earlier boot committed: only those whose bytes still match count. */
static void check_committed(tf_update_t *update) {
    tf_update_fetch_t *fetch = &update->fetch;
    tf_update_record_t *record = &update->record;
    const tf_flash_t *flash = update->config.layout.flash;
    const uint8_t *slot = flash->map(flash->context, tf_transfer_offset(update), record->size_bytes);
    uint32_t claimed = record->committed;
    memset(fetch->done, 0, sizeof fetch->done);
    record->committed = 0;
    if (slot == NULL) return;
    for (uint32_t i = 0; i < claimed && i < fetch->sector_count; i++) {
        uint32_t at = i * TF_SECTOR_BYTES;
        uint32_t length =
            record->size_bytes - at < TF_SECTOR_BYTES ? record->size_bytes - at : TF_SECTOR_BYTES;
        uint8_t digest[32];
        tf_sha256(slot + at, length, digest);
        if (!tf_equal(digest, fetch->manifest + fetch->sectors_at + i * TF_SECTOR_HASH_BYTES,
                      TF_SECTOR_HASH_BYTES)) {
            continue;
        }
        fetch->done[i / 32u] |= 1u << i % 32u;
        if (record->committed == i) record->committed++;
    }
}

/* The digest is right: whatever is wrong now, fetching again would not help. */
static fact_t accept(tf_update_t *update, uint32_t length) {
    tf_update_fetch_t *fetch = &update->fetch;
    tf_manifest_t manifest;
    if (tf_decode_manifest(fetch->buffer, length, &manifest) != TF_WIRE_OK) {
        return fact(EVENT_REFUSE, TF_RESULT_UNSUPPORTED_PROTOCOL,
                    "the manifest is of a kind this node does not know");
    }
    if (!tf_manifest_adds_up(&manifest) || manifest.size_bytes != update->record.size_bytes) {
        return fact(EVENT_REFUSE, TF_RESULT_INTEGRITY, "the manifest's figures do not agree");
    }
    fact_t refused = tf_transfer_accept(update, &manifest);
    if (refused.happened) return refused;
    memcpy(fetch->manifest, fetch->buffer, length);
    fetch->sectors_at = (uint32_t)(manifest.sectors.data - fetch->buffer);
    fetch->sector_count = tf_install_sectors(update);
    fetch->has_manifest = true;
    check_committed(update);
    return NOTHING;
}

static fact_t damaged(void) {
    return fact(EVENT_DAMAGED, TF_RESULT_INTEGRITY, "the manifest does not match its digest");
}

fact_t tf_manifest_chunk(tf_update_t *update, uint16_t index, const uint8_t *data, uint32_t length,
                         bool *complete) {
    tf_update_fetch_t *fetch = &update->fetch;
    if (index >= MANIFEST_CHUNKS || (fetch->received >> index & 1u) != 0) return NOTHING;
    if (length > TF_CHUNK_BYTES) return damaged();
    if (length < TF_CHUNK_BYTES) {
        if (fetch->last_bytes != 0) return damaged();
        fetch->last_bytes = length;
        fetch->last_index = index;
    }
    memcpy(fetch->buffer + index * TF_CHUNK_BYTES, data, length);
    fetch->received |= 1u << index;
    if (fetch->last_bytes != 0 && fetch->received >> (fetch->last_index + 1u) != 0) return damaged();
    uint32_t whole = whole_bytes(fetch);
    if (whole == 0) return NOTHING;
    uint8_t digest[32];
    tf_sha256(fetch->buffer, whole, digest);
    if (tf_equal(digest, update->record.manifest, sizeof digest)) {
        *complete = true;
        return accept(update, whole);
    }
    /* A short chunk ends the group; before one comes, more may follow. */
    bool ended = fetch->last_bytes != 0 || whole >= MANIFEST_CHUNKS * TF_CHUNK_BYTES;
    return ended ? damaged() : NOTHING;
}

bool tf_manifest_is_damaged(const tf_update_t *update) {
    uint32_t whole = whole_bytes(&update->fetch);
    return whole > 0 && tf_manifest_length(update->fetch.buffer, whole) == whole;
}
