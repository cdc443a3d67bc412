/* What the tests of images that an SMP client brings share: the client, and a node with its bootloader. Each
 * test program has its own. */
#ifndef TINYFLEET_TESTS_LOCAL_CASE_H
#define TINYFLEET_TESTS_LOCAL_CASE_H

#include "../apps/node/images.h"
#include "check.h"
#include "machine.h"
#include "smp_client.h"

enum { CHUNK_BYTES = 1000, FIRMWARE_BYTES = 6000 };

static machine_t machine;
static images_t images;
static const tf_smp_device_t device = {IMAGES_OF(&images)};
static smp_request_t request;
static smp_reply_t reply;
static made_t factory, better, best, failing, hanging, foreign, newer_abi, model, second, third, stranger;

static uint64_t now_us(void) {
    return machine.world.now.uptime_ms * 1000u;
}

static void ask(void) {
    smp_end(&request);
    CHECK(smp_ask(&device, TF_SMP_DOOR_FULL, &request, &reply));
}

static void send(const made_t *made, uint32_t number, uint32_t offset, uint32_t length, bool sha) {
    uint8_t digest[32];
    const bool begins = offset == 0;
    tf_sha256(made->bytes, made->size, digest);
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 1, begins ? (sha ? 5 : 4) : 2);
    smp_number(&request, "off", offset);
    smp_bytes(&request, "data", made->bytes + offset, length);
    if (begins) smp_number(&request, "len", made->size);
    if (begins) smp_number(&request, "image", number);
    if (begins && sha) smp_bytes(&request, "sha", digest, 32);
    ask();
}

/* As a client does: from where the node says it is, to the end or to a refusal. */
static void upload_until(const made_t *made, uint32_t number, uint32_t end, bool sha) {
    uint32_t offset = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        const uint32_t left = made->size - offset;
        send(made, number, offset, left < CHUNK_BYTES ? left : CHUNK_BYTES, sha);
        if (reply.rc >= 0 || reply.off >= end) return;
        offset = (uint32_t)reply.off;
    }
    CHECK(!"an upload ends");
}

static void upload(const made_t *made, uint32_t number) {
    upload_until(made, number, made->size, true);
}

static void set_state(const made_t *made, bool confirm) {
    smp_begin(&request, SMP_WRITE | SMP_V2, 1, 0, confirm ? 2 : 1);
    smp_bytes(&request, "hash", made->digest, 32);
    if (confirm) smp_key(&request, "confirm");
    if (confirm) tf_write_bool(&request.body, true);
    ask();
}

static void test(const made_t *made) {
    set_state(made, false);
}

/* Models of every test; firmware depends on the kind of start, and is made by `begin`. */
static void make_models(void) {
    maker_image(&model, 3000, 20, 0, SIGNER_OURS);
    maker_image(&second, 5500, 21, 0, SIGNER_OURS);
    maker_image(&third, 9000, 22, 0, SIGNER_OURS);
    maker_image(&stranger, 5000, 23, 0, SIGNER_FOREIGN);
}

static void make(made_t *made, uint8_t build, uint8_t slot, behaviour_t behaviour, signer_t signer,
                 uint16_t abi) {
    const firmware_recipe_t recipe = {.payload_bytes = FIRMWARE_BYTES,
                                      .build = build,
                                      .security_counter = 1,
                                      .signer = signer,
                                      .abi = abi,
                                      .start = machine.layout.start,
                                      .address = machine_address(&machine, slot),
                                      .behaviour = behaviour};
    maker_firmware(made, &recipe);
}

static void begin(tf_image_start_t start) {
    machine_open(&machine, start);
    images = (images_t){.update = &machine.world.update, .now_us = now_us};
    make(&factory, 1, 0, BEHAVES, SIGNER_OURS, 1);
    make(&better, 2, 1, BEHAVES, SIGNER_OURS, 1);
    make(&best, 3, 0, BEHAVES, SIGNER_OURS, 1);
    make(&failing, 4, 1, FAILS_SELF_TEST, SIGNER_OURS, 1);
    make(&hanging, 5, 1, HANGS, SIGNER_OURS, 1);
    make(&foreign, 6, 1, BEHAVES, SIGNER_FOREIGN, 1);
    make(&newer_abi, 7, 1, BEHAVES, SIGNER_OURS, 2);
    machine_install(&machine, &factory, &model);
    machine_live(&machine, TF_RESET_POWER);
    CHECK(machine_runs(&machine, &factory, &model));
}

static void end(void) {
    machine_close(&machine);
}

/* What the node does after a client's last word. */
static void go_on(void) {
    world_run(&machine.world);
    if (machine.world.reset_wanted) machine_live(&machine, TF_RESET_REQUEST);
}

#endif
