/* Topics: SPEC section 2. */
#include "tinyfleet/wire.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char blob_level[] = "/blob/";

/* Text being built; `length` passes `capacity` when it does not fit. */
typedef struct {
    char *out;
    uint32_t capacity;
    uint32_t length;
} topic_t;

static void put(topic_t *topic, const char *text, uint32_t length) {
    if (topic->length > topic->capacity || length > topic->capacity - topic->length) {
        topic->length = topic->capacity + 1u;
        return;
    }
    if (length > 0) memcpy(topic->out + topic->length, text, length);
    topic->length += length;
}

static void put_number(topic_t *topic, uint32_t number) {
    char digits[10];
    uint32_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10u);
        number /= 10u;
    } while (number > 0);
    put(topic, digits + at, (uint32_t)sizeof digits - at);
}

static uint32_t finish(topic_t *topic) {
    uint32_t length = topic->length;
    put(topic, "", 1);
    return topic->length > topic->capacity ? 0 : length;
}

tf_text_t tf_text(const char *zero_terminated) {
    return (tf_text_t){.text = zero_terminated,
                       .length = zero_terminated == NULL ? 0 : (uint32_t)strlen(zero_terminated)};
}

uint32_t tf_topic_device(char *out, uint32_t capacity, tf_text_t prefix, tf_text_t device, const char *leaf) {
    topic_t topic = {.out = out, .capacity = capacity};
    put(&topic, prefix.text, prefix.length);
    put(&topic, "/", 1);
    put(&topic, device.text, device.length);
    put(&topic, "/", 1);
    put(&topic, leaf, (uint32_t)strlen(leaf));
    return finish(&topic);
}

uint32_t tf_topic_blob(char *out, uint32_t capacity, tf_text_t prefix, const uint8_t manifest[16],
                       uint16_t group) {
    char name[TF_BLOB_NAME_CHARS];
    for (uint32_t i = 0; i < TF_BLOB_NAME_CHARS; i++) {
        /* Character i holds bits 6i..6i+5 of the 128; the last four of the last one are zero. */
        uint32_t bit = i * 6u, byte = bit / 8u;
        uint32_t pair =
            (uint32_t)manifest[byte] << 8 | (byte + 1u < TF_BLOB_NAME_BYTES ? manifest[byte + 1u] : 0u);
        name[i] = alphabet[pair >> (10u - bit % 8u) & 63u];
    }
    topic_t topic = {.out = out, .capacity = capacity};
    put(&topic, prefix.text, prefix.length);
    put(&topic, blob_level, sizeof blob_level - 1u);
    put(&topic, name, sizeof name);
    put(&topic, "/", 1);
    put_number(&topic, group);
    put(&topic, "/+", 2);
    return finish(&topic);
}

static bool take(tf_text_t *rest, const char *text, uint32_t length) {
    if (rest->length < length || memcmp(rest->text, text, length) != 0) return false;
    rest->text += length;
    rest->length -= length;
    return true;
}

static bool take_name(tf_text_t *rest, uint8_t manifest[16]) {
    if (rest->length < TF_BLOB_NAME_CHARS) return false;
    uint32_t bits = 0, count = 0, at = 0;
    for (uint32_t i = 0; i < TF_BLOB_NAME_CHARS; i++) {
        const char *found = memchr(alphabet, rest->text[i], sizeof alphabet - 1u);
        if (found == NULL) return false;
        bits = (bits << 6 | (uint32_t)(found - alphabet)) & 0x3FFFu;
        count += 6u;
        if (count >= 8) {
            count -= 8u;
            manifest[at++] = (uint8_t)(bits >> count);
        }
    }
    /* Another spelling of the same 16 bytes is not the name. */
    if ((bits & 15u) != 0) return false;
    rest->text += TF_BLOB_NAME_CHARS;
    rest->length -= TF_BLOB_NAME_CHARS;
    return true;
}

static bool take_number(tf_text_t *rest, uint32_t max, uint16_t *number) {
    uint32_t digits = 0, value = 0;
    while (digits < rest->length && digits < 6 && rest->text[digits] >= '0' && rest->text[digits] <= '9') {
        value = value * 10u + (uint32_t)(rest->text[digits] - '0');
        digits++;
    }
    if (digits == 0 || value > max || (digits > 1 && rest->text[0] == '0')) return false;
    rest->text += digits;
    rest->length -= digits;
    *number = (uint16_t)value;
    return true;
}

bool tf_topic_blob_parse(tf_text_t topic, tf_text_t prefix, tf_blob_topic_t *out) {
    tf_text_t rest = topic;
    *out = (tf_blob_topic_t){0};
    return take(&rest, prefix.text, prefix.length) && take(&rest, blob_level, sizeof blob_level - 1u) &&
           take_name(&rest, out->manifest) && take(&rest, "/", 1) &&
           take_number(&rest, UINT16_MAX, &out->group) && take(&rest, "/", 1) &&
           take_number(&rest, TF_GROUP_CHUNKS - 1u, &out->index) && rest.length == 0;
}
