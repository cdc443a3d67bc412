/* A client of SMP that sends anything to a node with one model. The first byte: its lowest bit says whether a
 * console's bytes follow, or packets, each behind its length; bit 1 whether the door is open or for reading;
 * below 128 it also is the size of the console's buffer.
 *
 * A packet's header is made to fit its length, so that the search gets behind it. A packet of no byte stands
 * for a client's next right one in bringing a second model, one of a single byte for its test. Replies must
 * be well formed, and come through the console's lines as they were; the model that runs is never touched,
 * and what is tried in the end verifies. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../apps/node/images.h"
#include "tinyfleet/line.h"
#include "world.h"

enum { PACKET_BYTES = 1472, MODEL_BYTES = 600, CHUNK_BYTES = 300, PACKETS_MOST = 64 };

static unsigned long packets, replies, refusals, frames, commands, uploads, trials;
static world_t world, settled;
static flash_sim_t flash_then;
static made_t model, second;
static images_t images;
static uint8_t reply[PACKET_BYTES], lines[3 * PACKET_BYTES];
static uint32_t lines_bytes;

static uint64_t now_us(void) {
    return world.now.uptime_ms * 1000u;
}

static tf_smp_result_t reset(void *context) {
    (void)context;
    return (tf_smp_result_t){.code = TF_SMP_OK};
}

static bool statistic(void *context, uint32_t group, uint32_t index, tf_smp_statistic_t *one) {
    (void)context;
    *one = (tf_smp_statistic_t){"value", UINT64_MAX};
    return index < group;
}

static const char *const groups[] = {"none", "one"};
static const tf_smp_device_t device = {
    .buffer_bytes = PACKET_BYTES,
    .bootloader = "fuzz",
    .reset = reset,
    IMAGES_OF(&images),
    .statistic = statistic,
    .groups = groups,
    .group_count = 2,
};

/* A node that runs a model, made once; each input begins with a copy. */
static void begin(void) {
    static bool made;
    if (!made) {
        made = true;
        maker_image(&model, MODEL_BYTES, 1, 0, SIGNER_OURS);
        maker_image(&second, MODEL_BYTES, 2, 0, SIGNER_OURS);
        world_open(&world);
        world_install(&world, &model);
        world_boot(&world);
        world_link(&world, true);
        world_run(&world);
        flash_sim_open(&flash_then, world.flash.port.size_bytes, 4);
        flash_sim_copy(&flash_then, &world.flash);
        settled = world;
    }
    /* Nothing but the update's own state has changed since. */
    world.update = settled.update;
    world.now = settled.now;
    world.log_count = settled.log_count;
    memcpy(world.running, settled.running, sizeof world.running);
    if (world.flash.operations != settled.flash.operations) {
        flash_sim_copy(&world.flash, &flash_then);
        world.flash.operations = settled.flash.operations;
    }
    images = (images_t){.update = &world.update, .now_us = now_us};
}

static void sink(const uint8_t *data, uint32_t length) {
    if (length > sizeof lines - lines_bytes) abort();
    memcpy(lines + lines_bytes, data, length);
    lines_bytes += length;
}

static void expect_back(uint32_t length) {
    uint8_t *const buffer = malloc(length + 4u);
    tf_line_t line;
    tf_line_item_t item;
    uint32_t whole = 0;
    if (buffer == NULL) abort();
    lines_bytes = 0;
    tf_smp_write_lines(reply, length, sink);
    tf_line_init(&line, buffer, length + 4u);
    for (uint32_t i = 0; i < lines_bytes; i++) {
        if (tf_line_put(&line, lines[i], &item) != TF_LINE_SMP) continue;
        if (item.packet.length != length || memcmp(item.packet.data, reply, length) != 0) abort();
        whole++;
    }
    if (whole != 1) abort();
    free(buffer);
}

static bool skip(tf_reader_t *reader, tf_text_t key, void *refused) {
    if (key.length == 2 && memcmp(key.text, "rc", 2) == 0) *(bool *)refused = true;
    if (key.length == 3 && memcmp(key.text, "err", 3) == 0) *(bool *)refused = true;
    if (key.length == 6 && memcmp(key.text, "images", 6) == 0) {
        const uint32_t count = tf_read_array(reader, 0, IMAGES_MOST);
        for (uint32_t i = 0; i < count; i++) tf_read_named_map(reader, skip, refused);
        tf_read_leave(reader);
        return true;
    }
    const bool map = (key.length == 3 && memcmp(key.text, "err", 3) == 0) ||
                     (key.length == 6 && memcmp(key.text, "fields", 6) == 0);
    if (map) tf_read_named_map(reader, skip, refused);
    return map;
}

static void ask(tf_smp_door_t door, const uint8_t *packet, uint32_t length) {
    packets++;
    const uint32_t before = world.flash.operations;
    const uint32_t told = tf_smp_answer(&device, door, packet, length, reply, sizeof reply);
    if (door == TF_SMP_DOOR_READ && world.flash.operations != before) abort();
    if (world.update.upload.open) uploads++;
    /* What runs stays what it was, and verified. */
    if (memcmp(world.flash.bytes + WORLD_SLOT_A, model.bytes, model.size) != 0) abort();
    if (told == 0) return;
    if (told < TF_SMP_HEADER_BYTES || told > sizeof reply || memcmp(reply + 4, packet + 4, 4) != 0) abort();
    replies++;
    bool refused = false;
    tf_reader_t reader;
    tf_reader_init(&reader, reply + 8, told - 8u);
    tf_read_named_map(&reader, skip, &refused);
    if (tf_reader_end(&reader) != TF_WIRE_OK) abort();
    refusals += refused;
    expect_back(told);
}

static void put_key(tf_writer_t *writer, const char *key) {
    tf_write_text(writer, key, (uint32_t)strlen(key));
}

static void ask_rightly(tf_smp_door_t door, bool test) {
    uint8_t packet[CHUNK_BYTES + 128] = {10, 0, 0, 0, 0, 1, 0, test ? 0 : 1};
    tf_writer_t writer;
    tf_writer_init(&writer, packet + 8, sizeof packet - 8);
    if (test) {
        tf_write_map(&writer, 1);
        put_key(&writer, "hash");
        tf_write_bytes(&writer, second.digest, sizeof second.digest);
    } else {
        const tf_update_upload_t *upload = &world.update.upload;
        const uint32_t at = upload->open ? upload->offset_bytes % second.size : 0;
        const uint32_t left = second.size - at;
        tf_write_map(&writer, 4);
        put_key(&writer, "off");
        tf_write_uint(&writer, at);
        put_key(&writer, "data");
        tf_write_bytes(&writer, second.bytes + at, left < CHUNK_BYTES ? left : CHUNK_BYTES);
        put_key(&writer, "len");
        tf_write_uint(&writer, second.size);
        put_key(&writer, "image");
        tf_write_uint(&writer, 1);
    }
    const uint32_t body = tf_writer_end(&writer);
    packet[2] = (uint8_t)(body >> 8);
    packet[3] = (uint8_t)body;
    ask(door, packet, 8 + body);
}

static void ask_packets(tf_smp_door_t door, const uint8_t *data, size_t size) {
    for (uint32_t i = 0; i < PACKETS_MOST && size >= 2; i++) {
        size_t length = (size_t)data[0] << 8 | data[1];
        data += 2;
        size -= 2;
        if (length < 2) {
            ask_rightly(door, length == 1);
            continue;
        }
        if (length > size) length = size;
        if (length > PACKET_BYTES) length = PACKET_BYTES;
        /* On the heap and just as long, so that reading past it is seen. */
        uint8_t *const packet = malloc(length ? length : 1);
        if (packet == NULL) abort();
        memcpy(packet, data, length);
        if (length >= TF_SMP_HEADER_BYTES) {
            packet[2] = (uint8_t)((length - TF_SMP_HEADER_BYTES) >> 8);
            packet[3] = (uint8_t)(length - TF_SMP_HEADER_BYTES);
        }
        ask(door, packet, (uint32_t)length);
        free(packet);
        data += length;
        size -= length;
    }
}

static void ask_lines(tf_smp_door_t door, const uint8_t *data, size_t size) {
    const uint32_t capacity = data[0] < 128 ? data[0] : TF_FRAME_BUFFER_BYTES;
    uint8_t *const buffer = malloc(capacity ? capacity : 1);
    tf_line_t line;
    if (buffer == NULL) abort();
    tf_line_init(&line, buffer, capacity);
    for (size_t i = 1; i < size; i++) {
        tf_line_item_t item;
        switch (tf_line_put(&line, data[i], &item)) {
            case TF_LINE_NOTHING:
                break;
            case TF_LINE_FRAME:
                frames++;
                fuzz_touch(item.frame.body, item.frame.length);
                break;
            case TF_LINE_SMP:
                ask(door, item.packet.data, item.packet.length);
                break;
            case TF_LINE_COMMAND:
                commands++;
                if (item.command.length == 0) abort();
                fuzz_touch(item.command.text, item.command.length);
                break;
        }
        if (data[i] == 0xFF) tf_line_quiet(&line);
    }
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    begin();
    const tf_smp_door_t door = data[0] & 2 ? TF_SMP_DOOR_READ : TF_SMP_DOOR_FULL;
    if (data[0] & 1) {
        ask_packets(door, data + 1, size - 1);
    } else {
        ask_lines(door, data, size);
    }
    if (world.update.record.state != TF_UPDATE_STATE_TRIAL) return 0;
    trials++;
    world_run(&world);
    if (!world_runs(&world, &second)) abort();
    return 0;
}

void fuzz_report(void) {
    printf(
        "fuzz: packets %lu, replies %lu, of them refusals %lu, with an upload open %lu, frames %lu, "
        "commands %lu, trials %lu\n",
        packets, replies, refusals, uploads, frames, commands, trials);
}
