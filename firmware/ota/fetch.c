/* Groups of chunks into the free slot, a sector at a time (SPEC section 5). Nothing is written that does not
 * match. */
#include <stddef.h>
#include <string.h>

#include "engine.h"

enum {
    SECTOR_CHUNKS = TF_SECTOR_BYTES / TF_CHUNK_BYTES,
    GROUP_SECTORS = TF_GROUP_BYTES / TF_SECTOR_BYTES,
    REPORT_BYTES = 6144, /* to connect and report, with TLS (SPEC section 10) */
};

static uint32_t least(uint32_t left, uint32_t right) {
    return left < right ? left : right;
}

static bool is_done(const tf_update_fetch_t *fetch, uint32_t sector) {
    return (fetch->done[sector / 32u] >> sector % 32u & 1u) != 0;
}

void tf_fetch_reset(tf_update_t *update) {
    tf_update_fetch_t *fetch = &update->fetch;
    fetch->group = TF_UPDATE_NO_GROUP;
    fetch->pausing = false;
    fetch->has_manifest = fetch->unpacking = false;
    fetch->received = 0;
    fetch->bad = fetch->timeouts = fetch->resumes = 0;
}

/* First group that lacks a sector, NO_GROUP when none does. */
static uint16_t missing_group(const tf_update_fetch_t *fetch) {
    if (!fetch->has_manifest) return 0;
    for (uint32_t sector = 0; sector < fetch->sector_count; sector++) {
        if (!is_done(fetch, sector)) return (uint16_t)(sector / GROUP_SECTORS + 1u);
    }
    return TF_UPDATE_NO_GROUP;
}

fact_t tf_fetch_budget(const tf_update_t *update, const tf_update_now_t *now) {
    uint32_t bytes = least(update->record.size_bytes, TF_GROUP_BYTES);
    bytes += bytes / 4u; /* topics, acknowledgements, TCP, TLS */
    if (!now->has_budget) return NOTHING;
    if (now->budget_bytes < bytes + REPORT_BYTES) {
        return fact(EVENT_REFUSE, TF_RESULT_BUDGET, "a wake's byte budget holds no group of it");
    }
    return now->left_bytes >= bytes ? NOTHING
                                    : fact(EVENT_WAIT, TF_RESULT_BUDGET, "the wake's byte budget is used up");
}

fact_t tf_fetch_next(tf_update_t *update, const tf_update_now_t *now) {
    tf_update_fetch_t *fetch = &update->fetch;
    fetch->group = missing_group(fetch);
    fetch->pausing = false;
    fetch->received = 0;
    fetch->last_bytes = 0;
    fetch->timeouts = 0;
    update->due_ms = now->uptime_ms + update->config.group_timeout_ms;
    return fetch->group == TF_UPDATE_NO_GROUP ? tf_transfer_finish(update, now)
                                              : tf_fetch_budget(update, now);
}

fact_t tf_fetch_again(tf_update_t *update, const tf_update_now_t *now) {
    tf_update_fetch_t *fetch = &update->fetch;
    fetch->pausing = true;
    update->due_ms = now->uptime_ms + ((uint64_t)update->config.pause_first_ms << (fetch->bad - 1u));
    return NOTHING;
}

/* Forgets the chunks of `mask` and asks for the group once more, a bounded number of times. */
static fact_t drop(tf_update_t *update, uint32_t mask, const char *detail) {
    tf_update_fetch_t *fetch = &update->fetch;
    fetch->received &= ~mask;
    if (fetch->group == 0) fetch->last_bytes = 0;
    /* One fetch of a group counts once, however many of its sectors are bad. */
    if (fetch->pausing) return NOTHING;
    fetch->bad++;
    if (fetch->bad > TF_GROUP_ATTEMPTS) return fact(EVENT_REFUSE, TF_RESULT_INTEGRITY, detail);
    return fact(EVENT_DAMAGED, TF_RESULT_INTEGRITY, detail);
}

fact_t tf_fetch_late(tf_update_t *update, const tf_update_now_t *now) {
    tf_update_fetch_t *fetch = &update->fetch;
    if (fetch->unpacking) return tf_transfer_step(update, now);
    update->due_ms = now->uptime_ms + update->config.group_timeout_ms;
    if (fetch->pausing) {
        fetch->pausing = false;
        return tf_fetch_budget(update, now);
    }
    if (fetch->group == 0 && tf_manifest_is_damaged(update)) {
        return drop(update, UINT32_MAX, "the manifest does not match its digest");
    }
    fetch->timeouts++;
    if (fetch->timeouts >= update->config.group_tries) {
        return fact(EVENT_STALL, TF_RESULT_CONNECTION_LOST, "no chunk of the group comes");
    }
    fetch->again = true;
    return tf_fetch_budget(update, now);
}

bool tf_fetch_write(const tf_update_t *update, uint32_t offset, uint8_t *bytes, uint32_t length) {
    const tf_flash_t *flash = update->config.layout.flash;
    uint32_t units = (length + flash->write_bytes - 1u) / flash->write_bytes * flash->write_bytes;
    /* Only the last sector is short; what lies behind it in the buffer belongs to no other. */
    memset(bytes + length, 0xFF, units - length);
    if (flash->erase(flash->context, offset, TF_SECTOR_BYTES) != 0) return false;
    if (flash->write(flash->context, offset, bytes, units) != 0) return false;
    const uint8_t *written = flash->map(flash->context, offset, units);
    return written != NULL && memcmp(written, bytes, units) == 0;
}

static fact_t commit(tf_update_t *update, uint32_t sector, uint8_t *bytes, uint32_t length) {
    tf_update_fetch_t *fetch = &update->fetch;
    tf_update_record_t *record = &update->record;
    if (fetch->packed.encoding == TF_ENCODING_RAW && !tf_engine_fill(update)) {
        return fact(EVENT_REFUSE, TF_RESULT_UPDATE_FAILED, "the state record cannot be written");
    }
    uint32_t offset = tf_transfer_offset(update) + sector * TF_SECTOR_BYTES;
    if (!tf_fetch_write(update, offset, bytes, length)) {
        return fact(EVENT_REFUSE, TF_RESULT_UPDATE_FAILED, "the flash does not keep what was written");
    }
    fetch->done[sector / 32u] |= 1u << sector % 32u;
    if (record->committed != sector) return NOTHING;
    while (record->committed < fetch->sector_count && is_done(fetch, record->committed)) record->committed++;
    if (tf_engine_record(update)) return NOTHING;
    return fact(EVENT_REFUSE, TF_RESULT_UPDATE_FAILED, "the state record cannot be written");
}

static bool group_is_done(const tf_update_fetch_t *fetch) {
    uint32_t first = (fetch->group - 1u) * GROUP_SECTORS;
    for (uint32_t i = first; i < least(first + GROUP_SECTORS, fetch->sector_count); i++) {
        if (!is_done(fetch, i)) return false;
    }
    return true;
}

static fact_t data_chunk(tf_update_t *update, uint16_t index, const uint8_t *data, uint32_t length,
                         bool *complete) {
    tf_update_fetch_t *fetch = &update->fetch;
    uint32_t group_at = (fetch->group - 1u) * TF_GROUP_BYTES;
    uint32_t group_bytes = least(update->record.size_bytes - group_at, TF_GROUP_BYTES);
    uint32_t chunk_at = index * TF_CHUNK_BYTES;
    uint32_t local = index / SECTOR_CHUNKS, sector = (fetch->group - 1u) * GROUP_SECTORS + local;
    if (chunk_at >= group_bytes || is_done(fetch, sector) || (fetch->received >> index & 1u) != 0)
        return NOTHING;
    uint32_t mask = ((1u << SECTOR_CHUNKS) - 1u) << (local * SECTOR_CHUNKS);
    if (length != least(group_bytes - chunk_at, TF_CHUNK_BYTES))
        return drop(update, mask, "a chunk has a wrong length");
    memcpy(fetch->buffer + chunk_at, data, length);
    fetch->received |= 1u << index;
    uint32_t sector_at = local * TF_SECTOR_BYTES;
    uint32_t sector_bytes = least(group_bytes - sector_at, TF_SECTOR_BYTES);
    uint32_t chunks = (sector_bytes + TF_CHUNK_BYTES - 1u) / TF_CHUNK_BYTES;
    uint32_t needed = ((1u << chunks) - 1u) << (local * SECTOR_CHUNKS);
    if ((fetch->received & needed) != needed) return NOTHING;
    uint8_t digest[32];
    tf_sha256(fetch->buffer + sector_at, sector_bytes, digest);
    const uint8_t *expected = fetch->manifest + fetch->sectors_at + sector * TF_SECTOR_HASH_BYTES;
    if (!tf_equal(digest, expected, TF_SECTOR_HASH_BYTES)) {
        return drop(update, mask, "a sector does not match the manifest");
    }
    fact_t written = commit(update, sector, fetch->buffer + sector_at, sector_bytes);
    *complete = !written.happened && group_is_done(fetch);
    return written;
}

fact_t tf_fetch_chunk(tf_update_t *update, const tf_blob_topic_t *topic, const uint8_t *data, uint32_t length,
                      const tf_update_now_t *now, bool *complete) {
    tf_update_fetch_t *fetch = &update->fetch;
    *complete = false;
    bool ours = fetch->group != TF_UPDATE_NO_GROUP && topic->group == fetch->group &&
                memcmp(topic->manifest, update->record.manifest, TF_BLOB_NAME_BYTES) == 0;
    /* An empty chunk was withdrawn: the group runs into its time-out, and nothing is written. */
    if (!ours || length == 0 || topic->index >= TF_GROUP_CHUNKS) return NOTHING;
    uint32_t before = fetch->received;
    fact_t found = fetch->group == 0 ? tf_manifest_chunk(update, topic->index, data, length, complete)
                                     : data_chunk(update, topic->index, data, length, complete);
    if (fetch->group == 0 && found.happened && found.event == EVENT_DAMAGED) {
        found = drop(update, UINT32_MAX, found.detail);
    }
    if (fetch->received != before && !fetch->pausing) {
        fetch->timeouts = 0;
        update->due_ms = now->uptime_ms + update->config.group_timeout_ms;
    }
    if (*complete) fetch->bad = fetch->resumes = 0;
    return found;
}
