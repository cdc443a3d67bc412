/* A bounded walk over the CBOR map of a plan's metadata. Its own few lines, not the wire's codec: the runtime
 * is used where there is no network, and it keeps only a handful of keys. */
#include "metadata.h"
#include "plan.h"

enum {
    MAJOR_UINT = 0,
    MAJOR_NINT = 1,
    MAJOR_BYTES = 2,
    MAJOR_TEXT = 3,
    MAJOR_ARRAY = 4,
    MAJOR_MAP = 5,
    MAJOR_SIMPLE = 7
};

enum {
    KEY_NAME = 0,
    KEY_VERSION = 1,
    KEY_SENSOR = 2,
    KEY_UNIT = 3,
    KEY_RATE_MHZ = 4,
    KEY_SAMPLES = 5,
    KEY_CHANNELS = 6,
    KEY_OUTPUT_KIND = 7,
    KEY_LABELS = 8,
    REQUIRED_KEYS = 9,
    KEY_INPUT_SCALE = 10,
    KEY_OUTPUT_SCALE = 11,
};

typedef struct {
    const uint8_t *bytes;
    uint32_t at;
    uint32_t end;
} reader_t;

/* The head of the next item. An argument above 32 bits, an indefinite length, a tag or a float is refused. */
static bool read_head(reader_t *r, uint8_t *major, uint32_t *argument) {
    if (r->at >= r->end) return false;
    const uint8_t first = r->bytes[r->at++];
    *major = (uint8_t)(first >> 5);
    const uint32_t info = first & 0x1Fu;
    if (*major == MAJOR_SIMPLE) {
        *argument = info;
        return info == 20 || info == 21; /* false, true */
    }
    if (*major == 6 || info > 26) return false;
    if (info < 24) {
        *argument = info;
        return true;
    }
    const uint32_t length = 1u << (info - 24);
    if (length > r->end - r->at) return false;
    uint32_t value = 0;
    for (uint32_t i = 0; i < length; i++) value = value << 8 | r->bytes[r->at++];
    *argument = value;
    return true;
}

/* Items are counted, not nested, so depth costs no stack; every item takes at least a byte, so this ends. */
static bool skip_item(reader_t *r) {
    uint64_t left = 1;
    while (left > 0) {
        uint8_t major;
        uint32_t argument;
        if (!read_head(r, &major, &argument)) return false;
        left--;
        if (major == MAJOR_BYTES || major == MAJOR_TEXT) {
            if (argument > r->end - r->at) return false;
            r->at += argument;
        } else if (major == MAJOR_ARRAY) {
            left += argument;
        } else if (major == MAJOR_MAP) {
            left += (uint64_t)argument * 2;
        }
        if (left > r->end - r->at) return false;
    }
    return true;
}

static bool read_uint(reader_t *r, uint32_t max, uint32_t *value) {
    uint8_t major;
    return read_head(r, &major, value) && major == MAJOR_UINT && *value <= max;
}

static bool read_text(reader_t *r, uint32_t min, uint32_t max, tf_text_t *text) {
    uint8_t major;
    uint32_t length;
    if (!read_head(r, &major, &length) || major != MAJOR_TEXT) return false;
    if (length < min || length > max || length > r->end - r->at) return false;
    text->text = (const char *)(r->bytes + r->at);
    text->length = length;
    r->at += length;
    return true;
}

static bool read_labels(tf_model_t *model, reader_t *r) {
    uint8_t major;
    uint32_t count;
    if (!read_head(r, &major, &count) || major != MAJOR_ARRAY || count > TF_LABELS_MAX) return false;
    model->label_count = count;
    model->labels_at = r->at;
    for (uint32_t i = 0; i < count; i++) {
        tf_text_t label;
        if (!read_text(r, 0, 32, &label)) return false;
    }
    return true;
}

static bool read_value(tf_model_t *model, reader_t *r, uint32_t key) {
    uint32_t value;
    switch (key) {
        case KEY_NAME:
            return read_text(r, 1, 48, &model->name);
        case KEY_VERSION:
            return read_text(r, 1, 32, &model->version);
        case KEY_SENSOR:
            return read_text(r, 0, 32, &model->sensor);
        case KEY_UNIT:
            return read_text(r, 0, 8, &model->unit);
        case KEY_RATE_MHZ:
            return read_uint(r, UINT32_MAX, &model->input.rate_mhz);
        case KEY_SAMPLES:
            return read_uint(r, UINT32_MAX, &model->input.samples);
        case KEY_CHANNELS:
            if (!read_uint(r, UINT16_MAX, &value)) return false;
            model->input.channels = (uint16_t)value;
            return true;
        case KEY_OUTPUT_KIND:
            if (!read_uint(r, TF_OUTPUT_RAW, &value)) return false;
            model->output.kind = (uint8_t)value;
            return true;
        case KEY_LABELS:
            return read_labels(model, r);
        case KEY_INPUT_SCALE:
            return read_uint(r, UINT32_MAX, &model->input.scale_bits);
        case KEY_OUTPUT_SCALE:
            return read_uint(r, UINT32_MAX, &model->output.scale_bits);
        default:
            return skip_item(r);
    }
}

static bool read_map(tf_model_t *model, reader_t *r) {
    uint8_t major;
    uint32_t pairs;
    if (!read_head(r, &major, &pairs) || major != MAJOR_MAP || pairs > r->end - r->at) return false;
    uint32_t required = 0;
    for (uint32_t i = 0, last = 0; i < pairs; i++) {
        uint32_t key;
        if (!read_uint(r, UINT32_MAX, &key) || (i > 0 && key <= last)) return false;
        if (!read_value(model, r, key)) return false;
        if (key < REQUIRED_KEYS) required++;
        last = key;
    }
    return required == REQUIRED_KEYS && r->at == r->end;
}

bool tf_read_metadata(tf_model_t *model, uint32_t at, uint32_t bytes) {
    reader_t r = {.bytes = model->payload, .at = at, .end = at + bytes};
    const bool ok = bytes <= TF_METADATA_BYTES_MAX && read_map(model, &r);
    if (!ok) model->where = r.at;
    return ok;
}

bool tf_model_name(const tf_model_t *model, const char **text, uint32_t *length) {
    *text = model->name.text;
    *length = model->name.length;
    return true;
}

uint32_t tf_model_label_count(const tf_model_t *model) {
    return model->label_count;
}

bool tf_model_label(const tf_model_t *model, uint32_t i, const char **text, uint32_t *length) {
    if (i >= model->label_count) return false;
    reader_t r = {.bytes = model->payload, .at = model->labels_at, .end = model->size};
    tf_text_t label = {0, 0};
    for (uint32_t k = 0; k <= i; k++) (void)read_text(&r, 0, 32, &label);
    *text = label.text;
    *length = label.length;
    return true;
}
