/* Up messages: the table of SPEC section 3, keys ascending. A value out of bounds makes the whole message
 * void, so that nothing leaves a node that a strict reader would refuse. */
#include "config.h"
#include "put.h"

static void put_counts(tf_writer_t *writer, uint32_t key, const uint32_t *counts, uint32_t count) {
    tf_write_uint(writer, key);
    tf_write_array(writer, count);
    for (uint32_t i = 0; i < count; i++) tf_write_uint(writer, counts[i]);
}

static void put_image(tf_writer_t *writer, const tf_image_info_t *info) {
    tf_write_map(writer, PAIRS(2, info->has_image, info->name.text != NULL, info->has_slot));
    if (info->has_image) put_digest(writer, TF_IMAGE_INFO_IMAGE, info->image);
    put_text(writer, TF_IMAGE_INFO_VERSION, info->version, TF_IMAGE_INFO_VERSION_MAX);
    put_uint(writer, TF_IMAGE_INFO_SECURITY_COUNTER, info->security_counter);
    if (info->name.text != NULL) put_text(writer, TF_IMAGE_INFO_NAME, info->name, TF_IMAGE_INFO_NAME_MAX);
    if (info->has_slot) put_uint(writer, TF_IMAGE_INFO_SLOT, info->slot);
}

static void put_slot(tf_writer_t *writer, const tf_slot_info_t *slot) {
    tf_write_map(writer, PAIRS(3, slot->has_image));
    put_uint(writer, TF_SLOT_INFO_KIND, slot->kind);
    put_uint(writer, TF_SLOT_INFO_INDEX, slot->index);
    put_uint(writer, TF_SLOT_INFO_SIZE_BYTES, slot->size_bytes);
    if (slot->has_image) put_digest(writer, TF_SLOT_INFO_IMAGE, slot->image);
}

static void put_transfer(tf_writer_t *writer, const tf_transfer_t *transfer) {
    tf_write_map(writer, 5);
    put_uint(writer, TF_TRANSFER_ELAPSED_MS, transfer->elapsed_ms);
    put_uint(writer, TF_TRANSFER_MQTT_RX_BYTES, transfer->mqtt_rx_bytes);
    put_uint(writer, TF_TRANSFER_MQTT_TX_BYTES, transfer->mqtt_tx_bytes);
    put_uint(writer, TF_TRANSFER_IP_RX_BYTES, transfer->ip_rx_bytes);
    put_uint(writer, TF_TRANSFER_IP_TX_BYTES, transfer->ip_tx_bytes);
}

static void put_config_report(tf_writer_t *writer, const tf_config_report_t *report) {
    bool has_detail = report->detail.text != NULL;
    tf_write_map(writer, PAIRS(1, report->has_refused, report->has_refused, has_detail));
    put_uint(writer, TF_CONFIG_REPORT_SEQUENCE, report->sequence);
    if (report->has_refused) {
        put_uint(writer, TF_CONFIG_REPORT_REFUSED, report->refused);
        put_uint(writer, TF_CONFIG_REPORT_RESULT, report->result);
    }
    if (has_detail) put_text(writer, TF_CONFIG_REPORT_DETAIL, report->detail, TF_CONFIG_REPORT_DETAIL_MAX);
}

static void put_clock_report(tf_writer_t *writer, const tf_clock_report_t *clock) {
    tf_write_map(writer, PAIRS(1, clock->has_unix_s));
    put_uint(writer, TF_CLOCK_REPORT_SOURCE, clock->source);
    if (clock->has_unix_s) put_uint(writer, TF_CLOCK_REPORT_UNIX_S, clock->unix_s);
}

uint32_t tf_encode_birth(const tf_birth_t *birth, uint8_t *out, uint32_t capacity) {
    if (birth->slot_count > TF_BIRTH_SLOTS_MAX || birth->ops.length > TF_BIRTH_OPS_MAX) return 0;
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    const bool decodes = birth->decodes != 0;
    tf_write_map(&writer, PAIRS(20, birth->has_model, decodes, decodes, birth->has_shadow,
                                birth->has_shadow_bytes, birth->has_sleep, birth->has_ring, birth->has_config,
                                birth->has_clock, birth->captures));
    put_uint(&writer, TF_BIRTH_BOOT, birth->boot);
    put_uint(&writer, TF_BIRTH_SEQ, birth->seq);
    put_uint(&writer, TF_BIRTH_GENERATION, birth->generation);
    put_uint(&writer, TF_BIRTH_STATE, birth->state);
    put_uint(&writer, TF_BIRTH_RESULT, birth->result);
    put_text(&writer, TF_BIRTH_DEVICE_TYPE, birth->device_type, TF_BIRTH_DEVICE_TYPE_MAX);
    put_text(&writer, TF_BIRTH_HW_REV, birth->hw_rev, TF_BIRTH_HW_REV_MAX);
    tf_write_uint(&writer, TF_BIRTH_FIRMWARE);
    put_image(&writer, &birth->firmware);
    if (birth->has_model) {
        tf_write_uint(&writer, TF_BIRTH_MODEL);
        put_image(&writer, &birth->model);
    }
    tf_write_uint(&writer, TF_BIRTH_SLOTS);
    tf_write_array(&writer, birth->slot_count);
    for (uint32_t i = 0; i < birth->slot_count; i++) put_slot(&writer, &birth->slots[i]);
    put_uint(&writer, TF_BIRTH_ABI, birth->abi);
    tf_write_uint(&writer, TF_BIRTH_OPS);
    tf_write_bytes(&writer, birth->ops.data, birth->ops.length);
    put_uint(&writer, TF_BIRTH_ARENA_BYTES, birth->arena_bytes);
    put_uint(&writer, TF_BIRTH_GOLDEN_BYTES, birth->golden_bytes);
    put_uint(&writer, TF_BIRTH_PERIOD_S, birth->period_s);
    put_uint(&writer, TF_BIRTH_POWER, birth->power);
    put_text(&writer, TF_BIRTH_SENSOR, birth->sensor, TF_BIRTH_SENSOR_MAX);
    put_uint(&writer, TF_BIRTH_TIMING, birth->timing);
    put_uint(&writer, TF_BIRTH_CORE, birth->core);
    put_uint(&writer, TF_BIRTH_UPTIME_MS, birth->uptime_ms);
    put_bool(&writer, TF_BIRTH_EMULATED, birth->emulated);
    if (decodes) {
        put_uint(&writer, TF_BIRTH_DECODES, birth->decodes);
        put_uint(&writer, TF_BIRTH_STAGING_BYTES, birth->staging_bytes);
    }
    if (birth->has_shadow) {
        tf_write_uint(&writer, TF_BIRTH_SHADOW);
        put_image(&writer, &birth->shadow);
    }
    if (birth->has_shadow_bytes) put_uint(&writer, TF_BIRTH_SHADOW_BYTES, birth->shadow_bytes);
    if (birth->has_sleep) {
        tf_write_uint(&writer, TF_BIRTH_SLEEP);
        wire_put_sleep(&writer, &birth->sleep);
    }
    if (birth->has_ring) {
        tf_write_uint(&writer, TF_BIRTH_RING);
        tf_write_map(&writer, 3);
        put_uint(&writer, TF_RING_SIZE_BYTES, birth->ring.size_bytes);
        put_uint(&writer, TF_RING_HELD, birth->ring.held);
        put_uint(&writer, TF_RING_LOST, birth->ring.lost);
    }
    if (birth->has_config) {
        tf_write_uint(&writer, TF_BIRTH_CONFIG);
        put_config_report(&writer, &birth->config);
    }
    if (birth->has_clock) {
        tf_write_uint(&writer, TF_BIRTH_CLOCK);
        put_clock_report(&writer, &birth->clock);
    }
    if (birth->captures) put_bool(&writer, TF_BIRTH_CAPTURES, true);
    return tf_writer_end(&writer);
}

uint32_t tf_encode_conn(const tf_conn_t *conn, uint8_t *out, uint32_t capacity) {
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    tf_write_map(&writer, PAIRS(3, conn->has_next_wake_s));
    put_uint(&writer, TF_CONN_BOOT, conn->boot);
    put_uint(&writer, TF_CONN_CONN, conn->conn);
    put_uint(&writer, TF_CONN_STATE, conn->state);
    if (conn->has_next_wake_s) put_uint(&writer, TF_CONN_NEXT_WAKE_S, conn->next_wake_s);
    return tf_writer_end(&writer);
}

uint32_t tf_encode_status(const tf_status_t *status, uint8_t *out, uint32_t capacity) {
    bool has_detail = status->detail.text != NULL;
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    tf_write_map(&writer, PAIRS(7, has_detail, status->has_transfer, status->has_kind));
    put_uint(&writer, TF_STATUS_BOOT, status->boot);
    put_uint(&writer, TF_STATUS_SEQ, status->seq);
    put_uint(&writer, TF_STATUS_GENERATION, status->generation);
    put_uint(&writer, TF_STATUS_STATE, status->state);
    put_uint(&writer, TF_STATUS_RESULT, status->result);
    put_uint(&writer, TF_STATUS_OFFSET_BYTES, status->offset_bytes);
    put_uint(&writer, TF_STATUS_SIZE_BYTES, status->size_bytes);
    if (has_detail) put_text(&writer, TF_STATUS_DETAIL, status->detail, TF_STATUS_DETAIL_MAX);
    if (status->has_transfer) {
        tf_write_uint(&writer, TF_STATUS_TRANSFER);
        put_transfer(&writer, &status->transfer);
    }
    if (status->has_kind) put_uint(&writer, TF_STATUS_KIND, status->kind);
    return tf_writer_end(&writer);
}

static void put_comparison(tf_writer_t *writer, const tf_comparison_t *comparison) {
    tf_write_map(writer, 8);
    put_digest(writer, TF_COMPARISON_MODEL, comparison->model);
    put_uint(writer, TF_COMPARISON_RUN, comparison->run);
    put_uint(writer, TF_COMPARISON_WINDOWS, comparison->windows);
    put_uint(writer, TF_COMPARISON_AGREEMENTS, comparison->agreements);
    put_uint(writer, TF_COMPARISON_SKIPPED, comparison->skipped);
    put_uint(writer, TF_COMPARISON_MISSED, comparison->missed);
    tf_write_uint(writer, TF_COMPARISON_PAIRS);
    tf_write_array(writer, comparison->pair_count);
    for (uint32_t i = 0; i < comparison->pair_count; i++) {
        const tf_class_pair_t *pair = &comparison->pairs[i];
        tf_write_map(writer, 3);
        put_uint(writer, TF_CLASS_PAIR_ACTIVE, pair->active);
        put_uint(writer, TF_CLASS_PAIR_CHALLENGER, pair->challenger);
        put_uint(writer, TF_CLASS_PAIR_WINDOWS, pair->windows);
    }
    put_uint(writer, TF_COMPARISON_REST, comparison->rest);
}

uint32_t tf_encode_tele(const tf_tele_t *tele, uint8_t *out, uint32_t capacity) {
    if (tele->class_count > TF_TELE_CLASSES_MAX) return 0;
    if (tele->shadow != NULL && tele->shadow->pair_count > TF_COMPARISON_PAIRS_MAX) return 0;
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    const bool live = tele->has_live;
    tf_write_map(&writer, PAIRS(11, tele->has_energy_uj, tele->has_battery_mv, tele->has_temperature_mc,
                                tele->has_rssi_dbm, tele->has_margin, live, live, live, live, tele->has_lost,
                                tele->has_unix_s, tele->shadow != NULL));
    put_uint(&writer, TF_TELE_BOOT, tele->boot);
    put_uint(&writer, TF_TELE_EPOCH, tele->epoch);
    put_uint(&writer, TF_TELE_SEQ, tele->seq);
    put_uint(&writer, TF_TELE_UPTIME_MS, tele->uptime_ms);
    put_digest(&writer, TF_TELE_MODEL, tele->model);
    put_uint(&writer, TF_TELE_INFERENCES, tele->inferences);
    put_counts(&writer, TF_TELE_CLASSES, tele->classes, tele->class_count);
    put_counts(&writer, TF_TELE_LATENCY, tele->latency, TF_LATENCY_BUCKETS);
    put_uint(&writer, TF_TELE_LATENCY_SUM_US, tele->latency_sum_us);
    put_counts(&writer, TF_TELE_CONFIDENCE, tele->confidence, TF_CONFIDENCE_BUCKETS);
    put_uint(&writer, TF_TELE_DROPPED, tele->dropped);
    if (tele->has_energy_uj) put_uint(&writer, TF_TELE_ENERGY_UJ, tele->energy_uj);
    if (tele->has_battery_mv) put_uint(&writer, TF_TELE_BATTERY_MV, tele->battery_mv);
    if (tele->has_temperature_mc) put_int(&writer, TF_TELE_TEMPERATURE_MC, tele->temperature_mc);
    if (tele->has_rssi_dbm) put_int(&writer, TF_TELE_RSSI_DBM, tele->rssi_dbm);
    if (tele->has_margin) put_counts(&writer, TF_TELE_MARGIN, tele->margin, TF_MARGIN_BUCKETS);
    if (live) {
        put_uint(&writer, TF_TELE_SWITCHES, tele->switches);
        put_uint(&writer, TF_TELE_PAUSED, tele->paused);
        put_uint(&writer, TF_TELE_CAPTURED, tele->captured);
        put_uint(&writer, TF_TELE_SKIPPED, tele->skipped);
    }
    if (tele->has_lost) put_uint(&writer, TF_TELE_LOST, tele->lost);
    if (tele->has_unix_s) put_uint(&writer, TF_TELE_UNIX_S, tele->unix_s);
    if (tele->shadow != NULL) {
        tf_write_uint(&writer, TF_TELE_SHADOW);
        put_comparison(&writer, tele->shadow);
    }
    return tf_writer_end(&writer);
}

uint32_t tf_encode_event(const tf_event_t *event, uint8_t *out, uint32_t capacity) {
    bool has_text = event->text.text != NULL;
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    tf_write_map(&writer, PAIRS(4, event->has_class, event->has_score, has_text, event->has_model));
    put_uint(&writer, TF_EVENT_BOOT, event->boot);
    put_uint(&writer, TF_EVENT_SEQ, event->seq);
    put_uint(&writer, TF_EVENT_KIND, event->kind);
    put_uint(&writer, TF_EVENT_UPTIME_MS, event->uptime_ms);
    if (event->has_class) put_uint(&writer, TF_EVENT_CLASS, event->class_index);
    if (event->has_score) put_uint(&writer, TF_EVENT_SCORE, event->score);
    if (has_text) put_text(&writer, TF_EVENT_TEXT, event->text, TF_EVENT_TEXT_MAX);
    if (event->has_model) put_digest(&writer, TF_EVENT_MODEL, event->model);
    return tf_writer_end(&writer);
}

uint32_t tf_encode_sample(const tf_sample_t *sample, uint8_t *out, uint32_t capacity) {
    if (sample->parts == 0 || sample->scores.length > TF_SAMPLE_SCORES_MAX || sample->data.length == 0 ||
        sample->data.length > TF_SAMPLE_DATA_MAX) {
        return 0;
    }
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    tf_write_map(&writer, PAIRS(15, sample->has_margin));
    put_uint(&writer, TF_SAMPLE_BOOT, sample->boot);
    put_uint(&writer, TF_SAMPLE_SEQ, sample->seq);
    put_uint(&writer, TF_SAMPLE_PART, sample->part);
    put_uint(&writer, TF_SAMPLE_PARTS, sample->parts);
    put_uint(&writer, TF_SAMPLE_UPTIME_MS, sample->uptime_ms);
    put_digest(&writer, TF_SAMPLE_MODEL, sample->model);
    put_uint(&writer, TF_SAMPLE_CLASS, sample->class_index);
    tf_write_uint(&writer, TF_SAMPLE_SCORES);
    tf_write_bytes(&writer, sample->scores.data, sample->scores.length);
    if (sample->has_margin) put_uint(&writer, TF_SAMPLE_MARGIN, sample->margin);
    put_text(&writer, TF_SAMPLE_SENSOR, sample->sensor, TF_SAMPLE_SENSOR_MAX);
    put_text(&writer, TF_SAMPLE_UNIT, sample->unit, TF_SAMPLE_UNIT_MAX);
    put_uint(&writer, TF_SAMPLE_RATE_MHZ, sample->rate_mhz);
    put_uint(&writer, TF_SAMPLE_SAMPLES, sample->samples);
    put_uint(&writer, TF_SAMPLE_CHANNELS, sample->channels);
    put_uint(&writer, TF_SAMPLE_OFFSET, sample->offset);
    tf_write_uint(&writer, TF_SAMPLE_DATA);
    tf_write_bytes(&writer, sample->data.data, sample->data.length);
    return tf_writer_end(&writer);
}

uint32_t tf_encode_hello(const tf_hello_t *hello, uint8_t *out, uint32_t capacity) {
    bool has_version = hello->version.text != NULL;
    tf_writer_t writer;
    tf_writer_init(&writer, out, capacity);
    tf_write_map(&writer, PAIRS(8, hello->has_model, has_version, hello->has_window_bytes,
                                hello->has_golden_bytes, hello->has_golden_set, hello->has_load_bytes,
                                hello->has_emulated, hello->ops.data != NULL));
    put_text(&writer, TF_HELLO_APP, hello->app, TF_HELLO_APP_MAX);
    put_text(&writer, TF_HELLO_DEVICE_TYPE, hello->device_type, TF_HELLO_DEVICE_TYPE_MAX);
    if (hello->has_model) put_digest(&writer, TF_HELLO_MODEL, hello->model);
    if (has_version) put_text(&writer, TF_HELLO_VERSION, hello->version, TF_HELLO_VERSION_MAX);
    put_uint(&writer, TF_HELLO_INPUT_BYTES, hello->input_bytes);
    put_uint(&writer, TF_HELLO_OUTPUT_BYTES, hello->output_bytes);
    put_uint(&writer, TF_HELLO_GOLDEN, hello->golden);
    put_uint(&writer, TF_HELLO_ARENA_BYTES, hello->arena_bytes);
    put_uint(&writer, TF_HELLO_ABI, hello->abi);
    put_uint(&writer, TF_HELLO_CORE, hello->core);
    if (hello->has_window_bytes) put_uint(&writer, TF_HELLO_WINDOW_BYTES, hello->window_bytes);
    if (hello->has_golden_bytes) put_uint(&writer, TF_HELLO_GOLDEN_BYTES, hello->golden_bytes);
    if (hello->has_golden_set) put_digest(&writer, TF_HELLO_GOLDEN_SET, hello->golden_set);
    if (hello->has_load_bytes) put_uint(&writer, TF_HELLO_LOAD_BYTES, hello->load_bytes);
    if (hello->has_emulated) put_bool(&writer, TF_HELLO_EMULATED, hello->emulated);
    if (hello->ops.data != NULL) {
        tf_write_uint(&writer, TF_HELLO_OPS);
        tf_write_bytes(&writer, hello->ops.data, hello->ops.length);
    }
    return tf_writer_end(&writer);
}
