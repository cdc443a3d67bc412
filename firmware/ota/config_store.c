#include "tinyfleet/config_store.h"

#include <string.h>

#include "config_table.h"

/* Keys of the record's map. Never reused, as on the wire. */
enum {
    KEY_SEQUENCE = 0,
    KEY_STATE = 1,
    KEY_ACTIVE = 2,
    KEY_TRIES = 3,
    KEY_REFUSED = 4,
    KEY_RESULT = 5,
    KEYS = 6,
    REQUIRED = (1 << KEYS) - 1,
};

static bool read_field(tf_reader_t *reader, uint64_t key, void *out) {
    tf_config_record_t *record = out;
    switch (key) {
        case KEY_SEQUENCE:
            record->sequence = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_STATE:
            record->state = (uint8_t)tf_read_uint(reader, TF_CONFIG_STATES - 1);
            return true;
        case KEY_ACTIVE:
            record->active = (uint8_t)tf_read_uint(reader, 1);
            return true;
        case KEY_TRIES:
            record->tries = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        case KEY_REFUSED:
            record->refused = (uint32_t)tf_read_uint(reader, UINT32_MAX);
            return true;
        case KEY_RESULT:
            record->result = (uint8_t)tf_read_uint(reader, UINT8_MAX);
            return true;
        default:
            return false;
    }
}

static bool decode(tf_bytes_t body, tf_config_record_t *record) {
    tf_reader_t reader;
    tf_reader_init(&reader, body.data, body.length);
    tf_read_map(&reader, REQUIRED, read_field, record);
    return tf_reader_end(&reader) == TF_WIRE_OK;
}

static bool accept(tf_bytes_t body) {
    tf_config_record_t record;
    return decode(body, &record);
}

static tf_log_place_t place(const tf_config_layout_t *layout) {
    return (tf_log_place_t){.flash = layout->flash,
                            .offset = {layout->state_offset[0], layout->state_offset[1]},
                            .kind = TF_CONFIG_STATE_KIND,
                            .record_bytes = TF_CONFIG_STATE_BYTES};
}

static bool write_record(tf_config_store_t *store, const tf_config_record_t *after) {
    uint8_t area[TF_CONFIG_STATE_BYTES];
    /* Whatever comes of the write, this number is used up. */
    const uint32_t sequence = ++store->record.sequence;
    const uint32_t values[KEYS] = {sequence,     after->state,   after->active,
                                   after->tries, after->refused, after->result};
    memset(area, 0xFF, sizeof area);
    tf_writer_t writer;
    tf_writer_init(&writer, area + TF_RECORD_HEADER_BYTES, sizeof area - TF_RECORD_HEADER_BYTES);
    tf_write_map(&writer, KEYS);
    for (uint32_t key = 0; key < KEYS; key++) {
        tf_write_uint(&writer, key);
        tf_write_uint(&writer, values[key]);
    }
    const tf_log_place_t where = place(store->layout);
    if (!tf_log_append(&where, &store->log, area, tf_writer_end(&writer))) return false;
    store->record = *after;
    store->record.sequence = sequence;
    return true;
}

static bool read_region(const tf_config_store_t *store, uint8_t region, tf_config_t *config) {
    const tf_config_layout_t *layout = store->layout;
    const tf_flash_t *flash = layout->flash;
    const uint8_t *bytes = flash->map(flash->context, layout->region_offset[region], layout->region_bytes);
    return bytes != NULL && tf_record_config(bytes, layout->region_bytes, config) == TF_WIRE_OK;
}

static uint8_t free_region(const tf_config_store_t *store) {
    return store->record.active == 0 ? 1 : 0;
}

static uint8_t used_region(const tf_config_store_t *store) {
    return store->record.state == TF_CONFIG_TRIAL ? free_region(store) : store->record.active;
}

/* Texts and bytes of `after` point into flash and into the change. False: there is no key to use TLS with. */
static bool merge(const tf_config_t *before, const tf_config_change_t *change, tf_config_t *after) {
    *after = *before;
    after->sequence = change->sequence;
    if (change->has_host) memcpy(after->host, change->host, sizeof after->host);
    if (change->has_port) after->port = change->port;
    if (change->has_keepalive_s) after->keepalive_s = change->keepalive_s;
    if (change->has_period_s) after->period_s = change->period_s;
    if (change->has_sntp) {
        after->has_sntp = true;
        after->sntp = change->sntp;
    }
    if (!change->has_tls) return true;
    if (change->server.text != NULL) after->tls.server = change->server;
    if (change->ca_name.data != NULL) after->tls.ca_name = change->ca_name;
    if (change->ca_key.data != NULL) after->tls.ca_key = change->ca_key;
    if (change->certificate.data != NULL) after->tls.certificate = change->certificate;
    if (change->has_day) after->tls.day = change->day;
    return before->has_tls;
}

static tf_result_t write_region(tf_config_store_t *store, const tf_config_change_t *change) {
    const tf_config_layout_t *layout = store->layout;
    const tf_flash_t *flash = layout->flash;
    uint32_t offset = layout->region_offset[free_region(store)];
    tf_config_t before, after;
    if (!read_region(store, store->record.active, &before)) return TF_RESULT_INTEGRITY;
    if (!merge(&before, change, &after)) return TF_RESULT_UNSUPPORTED_TYPE;
    uint32_t body = tf_encode_config(&after, store->area + TF_RECORD_HEADER_BYTES,
                                     sizeof store->area - TF_RECORD_HEADER_BYTES - TF_RECORD_CRC_BYTES - 15);
    uint32_t size =
        body == 0 ? 0 : tf_record_seal(store->area, sizeof store->area, TF_RECORD_KIND_CONFIG, body);
    if (size == 0) return TF_RESULT_NO_RAM;
    memset(store->area + size, 0xFF, sizeof store->area - size);
    size = (size + flash->write_bytes - 1u) / flash->write_bytes * flash->write_bytes;
    if (flash->erase(flash->context, offset, TF_SECTOR_BYTES) != 0) return TF_RESULT_NO_FLASH;
    if (flash->write(flash->context, offset, store->area, size) != 0) return TF_RESULT_NO_FLASH;
    const uint8_t *written = flash->map(flash->context, offset, size);
    bool whole = written != NULL && memcmp(written, store->area, size) == 0;
    return whole && read_region(store, free_region(store), &after) ? TF_RESULT_SUCCESS : TF_RESULT_NO_FLASH;
}

static const char *why(tf_result_t result) {
    switch (result) {
        case TF_RESULT_UNSUPPORTED_TYPE:
            return "this node has no key for TLS";
        case TF_RESULT_NO_RAM:
            return "it is larger than this node writes";
        default:
            return "the flash does not take it";
    }
}

/* What an event carries. */
typedef struct {
    config_event_t event;
    tf_result_t result;
    const char *detail;
    uint32_t sequence; /* of the configuration in question */
    const tf_config_change_t *change;
} config_fact_t;

static void prepare(const tf_config_store_t *store, config_action_t action, const config_fact_t *fact,
                    tf_config_record_t *after) {
    switch (action) {
        case CONFIG_ACTION_TRY:
            after->tries = 1;
            break;
        case CONFIG_ACTION_KEEP:
            after->active = free_region(store);
            break;
        case CONFIG_ACTION_REFUSE:
            after->refused = fact->sequence;
            after->result = (uint8_t)fact->result;
            break;
        default:
            break;
    }
}

/* Once more, counted before it is done; a try that cannot be counted could be repeated for ever. */
static bool try_again(tf_config_store_t *store) {
    tf_config_record_t after = store->record;
    after.tries++;
    return store->record.tries < TF_CONFIG_TRIES && write_record(store, &after);
}

/* Follows the table until a cell's action has nothing to add. */
static void step(tf_config_store_t *store, config_fact_t fact) {
    for (;;) {
        const config_cell_t *cell = &tf_config_table[store->record.state][fact.event];
        const config_action_t action = (config_action_t)cell->action;
        tf_config_record_t after = store->record;
        after.state = cell->next;
        prepare(store, action, &fact, &after);
        if (action == CONFIG_ACTION_REFUSE) store->detail = fact.detail;
        if ((cell->flags & CONFIG_CELL_RECORD) != 0 && !write_record(store, &after)) {
            /* Flash keeps its last word for the next start; until then the one that was kept is used. */
            store->record.state = TF_CONFIG_SETTLED;
            store->record.refused = fact.sequence;
            store->record.result = TF_RESULT_NO_FLASH;
            store->detail = "the record of configurations cannot be written";
            return;
        }
        if (action == CONFIG_ACTION_WRITE) {
            fact.result = write_region(store, fact.change);
            fact.event = fact.result == TF_RESULT_SUCCESS ? CONFIG_WRITTEN : CONFIG_UNWRITABLE;
            fact.detail = why(fact.result);
        } else if (action == CONFIG_ACTION_AGAIN && !try_again(store)) {
            fact.event = CONFIG_SPENT;
        } else {
            return;
        }
    }
}

/* Sequence of what is staged or on trial. */
static uint32_t free_sequence(const tf_config_store_t *store) {
    tf_config_t config;
    return read_region(store, free_region(store), &config) ? config.sequence : 0;
}

bool tf_config_open(tf_config_store_t *store, const tf_config_layout_t *layout) {
    memset(store, 0, sizeof *store);
    store->layout = layout;
    const tf_log_place_t where = place(layout);
    uint32_t sequence;
    tf_bytes_t newest = tf_log_load(&where, accept, &store->log, &sequence);
    if (newest.data != NULL) (void)decode(newest, &store->record);
    /* A record that the last cut left half written may read as valid one day: it must not be newer. */
    store->record.sequence = sequence + 1u;
    tf_config_t config;
    bool active = read_region(store, store->record.active, &config);
    bool other = read_region(store, free_region(store), &config);
    config_fact_t fact = {CONFIG_RESTART, TF_RESULT_CONNECTION_LOST, "resets cut it off",
                          other ? config.sequence : 0, NULL};
    if (!active && !other) return false;
    if (!active) fact.event = CONFIG_LOST;
    if (!other) fact.event = CONFIG_DAMAGED;
    step(store, fact);
    if (read_region(store, used_region(store), &config)) return true;
    /* A flash that cannot be written is still read. */
    store->record.state = TF_CONFIG_SETTLED;
    store->record.active = active ? store->record.active : free_region(store);
    return true;
}

uint32_t tf_config_in_use(const tf_config_store_t *store) {
    return store->layout->region_offset[used_region(store)];
}

static bool is_after(uint32_t sequence, uint32_t other) {
    /* Less than half the circle ahead (RFC 1982), as generations are. */
    return (int32_t)(sequence - other) > 0;
}

bool tf_config_is_newer(const tf_config_store_t *store, uint32_t sequence) {
    tf_config_t config;
    if (!read_region(store, used_region(store), &config) || !is_after(sequence, config.sequence))
        return false;
    if (store->record.refused != 0 && !is_after(sequence, store->record.refused)) return false;
    return store->record.state != TF_CONFIG_STAGED || is_after(sequence, free_sequence(store));
}

void tf_config_offer(tf_config_store_t *store, const tf_config_change_t *change) {
    if (!tf_config_is_newer(store, change->sequence)) return;
    step(store, (config_fact_t){CONFIG_OFFER, TF_RESULT_INITIAL, NULL, change->sequence, change});
}

static bool moved(tf_config_store_t *store, config_event_t event, tf_result_t result, const char *detail) {
    uint8_t before = used_region(store);
    step(store, (config_fact_t){event, result, detail, free_sequence(store), NULL});
    return used_region(store) != before;
}

bool tf_config_begin(tf_config_store_t *store) {
    return moved(store, CONFIG_BEGIN, TF_RESULT_INITIAL, NULL);
}

bool tf_config_reached(tf_config_store_t *store) {
    return moved(store, CONFIG_REACHED, TF_RESULT_SUCCESS, NULL);
}

bool tf_config_missed(tf_config_store_t *store, tf_result_t result, const char *detail) {
    return moved(store, CONFIG_MISSED, result, detail);
}

bool tf_config_late(tf_config_store_t *store) {
    return moved(store, CONFIG_LATE, TF_RESULT_CONNECTION_LOST, "it took too long");
}
