/* A slot with anything in it. Before it is verified, its digest is made right, or nothing behind the digest
 * would ever be reached; signatures are left as they are. The first byte chooses what the slot is for. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_parts.h"
#include "tinyfleet/image.h"

static unsigned long walked, verified, refused;

static tf_image_policy_t policy_of(uint8_t choice) {
    return (tf_image_policy_t){
        .kind = choice & 1 ? TF_ARTIFACT_KIND_FIRMWARE : TF_ARTIFACT_KIND_MODEL,
        .device_type = tf_text("vector-board"),
        .security_counter = 5,
        .cores = 1u << TF_CORE_VARIANT_PORTABLE,
        .abi = 1,
        .accept_unsigned = (choice & 2) == 0,
        .firmware = {1, 2, 3, 0},
        .start = (tf_image_start_t)((choice >> 2) % 3),
        .address = 0x10000,
        .room_bytes = 1u << 20,
    };
}

/* Inside the slot, or absent. */
static void expect_inside(const uint8_t *slot, uint32_t slot_bytes, const void *at, uint32_t bytes) {
    const uint8_t *const start = at;
    if (start == NULL) return;
    if (start < slot || bytes > slot_bytes || (uint32_t)(start - slot) > slot_bytes - bytes) abort();
    fuzz_touch(start, bytes);
}

static void check(const uint8_t *slot, uint32_t slot_bytes, const tf_image_t *image) {
    expect_inside(slot, slot_bytes, image->payload, image->payload_bytes);
    expect_inside(slot, slot_bytes, image->device_type.text, image->device_type.length);
    expect_inside(slot, slot_bytes, image->ops.data, image->ops.length);
    if (image->size_bytes > slot_bytes) abort();
    char text[TF_IMAGE_VERSION_MAX];
    if (tf_image_version_text(&image->version, text) != strlen(text)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const uint32_t slot_bytes = (uint32_t)size - 1;
    uint8_t *const slot = malloc(slot_bytes ? slot_bytes : 1);
    if (slot == NULL) abort();
    memcpy(slot, data + 1, slot_bytes);
    tf_image_t image;
    if (tf_image_read(slot, slot_bytes, &image) == TF_RESULT_SUCCESS) {
        walked++;
        check(slot, slot_bytes, &image);
    }
    tf_image_parts_t parts;
    if (tf_image_parts(slot, slot_bytes, &parts) == NULL && parts.digest.data != NULL) {
        tf_sha256(slot, parts.hashed_bytes, slot + (parts.digest.data - slot));
    }
    const tf_image_policy_t policy = policy_of(data[0]);
    const tf_result_t result = tf_image_verify(slot, slot_bytes, &policy, &image);
    if (image.reason == NULL || (result == TF_RESULT_SUCCESS) != (image.reason[0] == '\0')) abort();
    if (result == TF_RESULT_SUCCESS) {
        verified++;
        check(slot, slot_bytes, &image);
        if (!policy.accept_unsigned || image.kind != policy.kind) abort();
    } else {
        refused++;
    }
    free(slot);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: images walked %lu, verified %lu, refused %lu\n", walked, verified, refused);
}
