#include "tinyfleet/smp.h"

#include <stddef.h>
#include <string.h>

/* Groups and commands (Zephyr, "SMP groups"). */
enum { GROUP_OS = 0, GROUP_IMAGE = 1, GROUP_STATISTICS = 2 };
enum { OS_ECHO = 0, OS_RESET = 5, OS_PARAMETERS = 6, OS_BOOTLOADER = 8 };
enum { IMAGE_STATE = 0, IMAGE_UPLOAD = 1, IMAGE_ERASE = 5 };
enum { STATISTICS_DATA = 0, STATISTICS_LIST = 1 };

enum { OP_READ = 0, OP_WRITE = 2, OP_REPLY = 1, OP_MASK = 7, VERSION_SHIFT = 3, VERSION_MASK = 3 };
enum { HASH_BYTES = 32, VERSION_2 = 1 };

/* All keys of all requests; a key has one kind, whatever the command. */
typedef enum {
    FIELD_D,
    FIELD_NAME,
    FIELD_QUERY,
    FIELD_DATA,
    FIELD_SHA,
    FIELD_HASH,
    FIELD_OFF,
    FIELD_LEN,
    FIELD_IMAGE,
    FIELD_SLOT,
    FIELD_CONFIRM,
    FIELD_UPGRADE,
    FIELDS
} field_t;

static const char field_names[FIELDS][8] = {"d",   "name", "query", "data", "sha",     "hash",
                                            "off", "len",  "image", "slot", "confirm", "upgrade"};

typedef struct {
    uint32_t seen;
    tf_bytes_t bytes[FIELD_OFF]; /* texts, too */
    uint32_t numbers[FIELDS - FIELD_OFF];
} fields_t;

typedef struct {
    const tf_smp_device_t *device;
    const fields_t *fields;
    tf_writer_t *out;
} request_t;

typedef tf_smp_result_t (*handler_t)(const request_t *request);

#define ANSWER(number) ((tf_smp_result_t){.code = (number)})

static bool equal(tf_text_t text, const char *name) {
    return text.length == strlen(name) && memcmp(text.text, name, text.length) == 0;
}

static bool has(const request_t *request, field_t field) {
    return (request->fields->seen >> field & 1u) != 0;
}

static uint32_t number(const request_t *request, field_t field) {
    return request->fields->numbers[field - FIELD_OFF];
}

static tf_bytes_t bytes(const request_t *request, field_t field) {
    return request->fields->bytes[field];
}

static bool read_field(tf_reader_t *reader, tf_text_t key, void *out) {
    fields_t *fields = out;
    uint32_t field = 0;
    while (field < FIELDS && !equal(key, field_names[field])) field++;
    if (field == FIELDS) return false;
    if ((fields->seen >> field & 1u) != 0) tf_reader_fail(reader, TF_WIRE_FORM);
    fields->seen |= 1u << field;
    if (field <= FIELD_QUERY) {
        const tf_text_t text = tf_read_text(reader, 0, UINT32_MAX);
        fields->bytes[field] = (tf_bytes_t){(const uint8_t *)text.text, text.length};
    } else if (field < FIELD_OFF) {
        fields->bytes[field] = tf_read_bytes(reader, 0, UINT32_MAX);
    } else if (field < FIELD_CONFIRM) {
        fields->numbers[field - FIELD_OFF] = (uint32_t)tf_read_uint(reader, UINT32_MAX);
    } else {
        fields->numbers[field - FIELD_OFF] = tf_read_bool(reader);
    }
    return true;
}

static void put_text(tf_writer_t *out, const char *text) {
    tf_write_text(out, text, (uint32_t)strlen(text));
}

static void put_flag(tf_writer_t *out, const char *name) {
    put_text(out, name);
    tf_write_bool(out, true);
}

static void put_number(tf_writer_t *out, const char *name, uint64_t value) {
    put_text(out, name);
    tf_write_uint(out, value);
}

static tf_smp_result_t echo(const request_t *request) {
    if (!has(request, FIELD_D)) return ANSWER(TF_SMP_INVALID);
    const tf_bytes_t text = bytes(request, FIELD_D);
    tf_write_map(request->out, 1);
    put_text(request->out, "r");
    tf_write_text(request->out, (const char *)text.data, text.length);
    return ANSWER(TF_SMP_OK);
}

static tf_smp_result_t reset(const request_t *request) {
    tf_write_map(request->out, 0);
    if (request->device->reset == NULL) return ANSWER(TF_SMP_UNSUPPORTED);
    return request->device->reset(request->device->context);
}

static tf_smp_result_t parameters(const request_t *request) {
    tf_write_map(request->out, 2);
    put_number(request->out, "buf_size", request->device->buffer_bytes);
    put_number(request->out, "buf_count", 1);
    return ANSWER(TF_SMP_OK);
}

static tf_smp_result_t bootloader(const request_t *request) {
    if (request->device->bootloader == NULL) return ANSWER(TF_SMP_UNSUPPORTED);
    if (has(request, FIELD_QUERY)) return ANSWER(TF_SMP_OS_NO_ANSWER);
    tf_write_map(request->out, 1);
    put_text(request->out, "bootloader");
    put_text(request->out, request->device->bootloader);
    return ANSWER(TF_SMP_OK);
}

/* What is not so is left out, as the protocol allows. */
static void put_image(tf_writer_t *out, const tf_smp_image_t *image) {
    const uint32_t flags = (image->bootable ? 1u : 0u) + (image->pending ? 1u : 0u) +
                           (image->confirmed ? 1u : 0u) + (image->active ? 1u : 0u);
    tf_write_map(out, 4 + flags);
    put_number(out, "image", image->image);
    put_number(out, "slot", image->slot);
    put_text(out, "version");
    tf_write_text(out, image->version.text, image->version.length);
    put_text(out, "hash");
    tf_write_bytes(out, image->hash, HASH_BYTES);
    if (image->bootable) put_flag(out, "bootable");
    if (image->pending) put_flag(out, "pending");
    if (image->confirmed) put_flag(out, "confirmed");
    if (image->active) put_flag(out, "active");
}

static tf_smp_result_t list_images(const request_t *request) {
    const tf_smp_device_t *device = request->device;
    if (device->image == NULL) return ANSWER(TF_SMP_UNSUPPORTED);
    tf_smp_image_t image;
    uint32_t count = 0;
    for (uint32_t i = 0; i < device->image_count; i++) count += device->image(device->images, i, &image);
    tf_write_map(request->out, 1);
    put_text(request->out, "images");
    tf_write_array(request->out, count);
    for (uint32_t i = 0; i < device->image_count; i++) {
        if (device->image(device->images, i, &image)) put_image(request->out, &image);
    }
    return ANSWER(TF_SMP_OK);
}

static tf_smp_result_t set_state(const request_t *request) {
    const tf_smp_device_t *device = request->device;
    const tf_bytes_t hash = bytes(request, FIELD_HASH);
    const bool confirm = has(request, FIELD_CONFIRM) && number(request, FIELD_CONFIRM) != 0;
    if (device->test == NULL || device->confirm == NULL) return ANSWER(TF_SMP_UNSUPPORTED);
    if (has(request, FIELD_HASH) ? hash.length != HASH_BYTES : !confirm) return ANSWER(TF_SMP_IMAGE_HASH);
    const uint8_t *digest = has(request, FIELD_HASH) ? hash.data : NULL;
    const tf_smp_result_t result =
        confirm ? device->confirm(device->images, digest) : device->test(device->images, digest);
    return result.code == TF_SMP_OK ? list_images(request) : result;
}

static tf_smp_result_t upload(const request_t *request) {
    const tf_smp_device_t *device = request->device;
    const tf_bytes_t sha = bytes(request, FIELD_SHA);
    if (device->upload == NULL) return ANSWER(TF_SMP_UNSUPPORTED);
    if (!has(request, FIELD_OFF)) return ANSWER(TF_SMP_IMAGE_OFFSET);
    if (!has(request, FIELD_DATA)) return ANSWER(TF_SMP_INVALID);
    if (has(request, FIELD_SHA) && sha.length != HASH_BYTES) return ANSWER(TF_SMP_IMAGE_HASH);
    const tf_smp_chunk_t chunk = {
        .image = number(request, FIELD_IMAGE),
        .offset = number(request, FIELD_OFF),
        .data = bytes(request, FIELD_DATA),
        .has_length = has(request, FIELD_LEN),
        .length = number(request, FIELD_LEN),
        .sha = has(request, FIELD_SHA) ? sha.data : NULL,
        .upgrade = number(request, FIELD_UPGRADE) != 0,
    };
    tf_smp_progress_t progress = {0};
    const tf_smp_result_t result = device->upload(device->images, &chunk, &progress);
    if (result.code != TF_SMP_OK) return result;
    tf_write_map(request->out, progress.has_match ? 2 : 1);
    put_number(request->out, "off", progress.offset);
    if (progress.has_match) {
        put_text(request->out, "match");
        tf_write_bool(request->out, progress.match);
    }
    return result;
}

static tf_smp_result_t erase(const request_t *request) {
    const tf_smp_device_t *device = request->device;
    if (device->erase == NULL) return ANSWER(TF_SMP_UNSUPPORTED);
    tf_write_map(request->out, 0);
    const bool said = has(request, FIELD_SLOT);
    return device->erase(device->images, said ? number(request, FIELD_SLOT) : TF_SMP_FREE_SLOT);
}

static tf_smp_result_t statistics(const request_t *request) {
    const tf_smp_device_t *device = request->device;
    const tf_bytes_t name = bytes(request, FIELD_NAME);
    const tf_text_t text = {(const char *)name.data, name.length};
    uint32_t group = 0, count = 0;
    while (group < device->group_count && !equal(text, device->groups[group])) group++;
    if (group == device->group_count) return ANSWER(TF_SMP_STATISTICS_GROUP);
    tf_smp_statistic_t one;
    while (device->statistic(device->context, group, count, &one)) count++;
    tf_write_map(request->out, 2);
    put_text(request->out, "name");
    put_text(request->out, device->groups[group]);
    put_text(request->out, "fields");
    tf_write_map(request->out, count);
    for (uint32_t i = 0; i < count && device->statistic(device->context, group, i, &one); i++) {
        put_number(request->out, one.name, one.value);
    }
    return ANSWER(TF_SMP_OK);
}

static tf_smp_result_t list_groups(const request_t *request) {
    const tf_smp_device_t *device = request->device;
    tf_write_map(request->out, 1);
    put_text(request->out, "stat_list");
    tf_write_array(request->out, device->group_count);
    for (uint32_t i = 0; i < device->group_count; i++) put_text(request->out, device->groups[i]);
    return ANSWER(TF_SMP_OK);
}

typedef struct {
    uint8_t group, command, op;
    bool harmless; /* changes nothing */
    handler_t handle;
} command_t;

static const command_t commands[] = {
    {GROUP_OS, OS_ECHO, OP_WRITE, true, echo},
    {GROUP_OS, OS_ECHO, OP_READ, true, echo},
    {GROUP_OS, OS_RESET, OP_WRITE, false, reset},
    {GROUP_OS, OS_PARAMETERS, OP_READ, true, parameters},
    {GROUP_OS, OS_BOOTLOADER, OP_READ, true, bootloader},
    {GROUP_IMAGE, IMAGE_STATE, OP_READ, true, list_images},
    {GROUP_IMAGE, IMAGE_STATE, OP_WRITE, false, set_state},
    {GROUP_IMAGE, IMAGE_UPLOAD, OP_WRITE, false, upload},
    {GROUP_IMAGE, IMAGE_ERASE, OP_WRITE, false, erase},
    {GROUP_STATISTICS, STATISTICS_DATA, OP_READ, true, statistics},
    {GROUP_STATISTICS, STATISTICS_LIST, OP_READ, true, list_groups},
};

static tf_smp_result_t carry_out(const request_t *request, tf_smp_door_t door, const uint8_t *packet) {
    const uint32_t group = (uint32_t)packet[4] << 8 | packet[5], op = packet[0] & OP_MASK;
    for (uint32_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const command_t *command = &commands[i];
        if (command->group != group || command->command != packet[7] || command->op != op) continue;
        if (door != TF_SMP_DOOR_FULL && !command->harmless) {
            return (tf_smp_result_t){TF_SMP_DENIED, "only reading is open here"};
        }
        return command->handle(request);
    }
    return ANSWER(TF_SMP_UNSUPPORTED);
}

/* Version 1 knows general codes only. */
static uint32_t general_code(tf_smp_code_t code) {
    switch (code) {
        case TF_SMP_IMAGE_NONE:
        case TF_SMP_STATISTICS_GROUP:
        case TF_SMP_OS_NO_ANSWER:
            return TF_SMP_NOT_FOUND;
        case TF_SMP_IMAGE_NO_FREE_SLOT:
        case TF_SMP_IMAGE_PENDING:
        case TF_SMP_IMAGE_OLDER:
        case TF_SMP_IMAGE_CONFIRM_DENIED:
        case TF_SMP_IMAGE_TEST_ACTIVE:
            return TF_SMP_BAD_STATE;
        case TF_SMP_IMAGE_FLASH:
            return TF_SMP_UNKNOWN;
        default:
            return code < TF_SMP_OS ? (uint32_t)code : (uint32_t)TF_SMP_INVALID;
    }
}

static void refuse(tf_writer_t *out, bool second_version, tf_smp_result_t result) {
    if (second_version && result.code >= TF_SMP_OS) {
        tf_write_map(out, 1);
        put_text(out, "err");
        tf_write_map(out, 2);
        put_number(out, "group", (uint32_t)result.code / TF_SMP_OS - 1u);
        put_number(out, "rc", (uint32_t)result.code % TF_SMP_OS);
        return;
    }
    tf_write_map(out, result.reason != NULL ? 2 : 1);
    put_number(out, "rc", general_code(result.code));
    if (result.reason == NULL) return;
    put_text(out, "rsn");
    put_text(out, result.reason);
}

uint32_t tf_smp_answer(const tf_smp_device_t *device, tf_smp_door_t door, const uint8_t *packet,
                       uint32_t length, uint8_t *out, uint32_t capacity) {
    if (door == TF_SMP_DOOR_OFF || length < TF_SMP_HEADER_BYTES || capacity < TF_SMP_HEADER_BYTES) return 0;
    const uint32_t op = packet[0] & OP_MASK, version = packet[0] >> VERSION_SHIFT & VERSION_MASK;
    /* An answer to a reply could be answered in turn, without end. */
    if (op != OP_READ && op != OP_WRITE) return 0;
    const uint32_t told = (uint32_t)packet[2] << 8 | packet[3];
    fields_t fields = {0};
    tf_reader_t reader;
    tf_reader_init(&reader, packet + TF_SMP_HEADER_BYTES, length - TF_SMP_HEADER_BYTES);
    /* A request without fields may come without its map. */
    if (told > 0) tf_read_named_map(&reader, read_field, &fields);
    tf_writer_t writer;
    tf_writer_init(&writer, out + TF_SMP_HEADER_BYTES, capacity - TF_SMP_HEADER_BYTES);
    const request_t request = {device, &fields, &writer};
    tf_smp_result_t result;
    if (version > VERSION_2) {
        result = ANSWER(TF_SMP_TOO_NEW);
    } else if (told != length - TF_SMP_HEADER_BYTES) {
        result = ANSWER(TF_SMP_CORRUPT);
    } else if (tf_reader_end(&reader) != TF_WIRE_OK) {
        result = ANSWER(TF_SMP_INVALID);
    } else {
        result = carry_out(&request, door, packet);
    }
    if (result.code == TF_SMP_OK && tf_writer_end(&writer) == 0) result = ANSWER(TF_SMP_TOO_LARGE);
    if (result.code != TF_SMP_OK) {
        tf_writer_init(&writer, out + TF_SMP_HEADER_BYTES, capacity - TF_SMP_HEADER_BYTES);
        refuse(&writer, version == VERSION_2, result);
    }
    const uint32_t body = tf_writer_end(&writer);
    if (body == 0) return 0;
    const uint8_t head[TF_SMP_HEADER_BYTES] = {(uint8_t)(packet[0] | OP_REPLY),
                                               0,
                                               (uint8_t)(body >> 8),
                                               (uint8_t)body,
                                               packet[4],
                                               packet[5],
                                               packet[6],
                                               packet[7]};
    memcpy(out, head, sizeof head);
    return TF_SMP_HEADER_BYTES + body;
}
