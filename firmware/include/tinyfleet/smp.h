/* SMP server (MCUmgr's management protocol, versions 1 and 2): groups OS, image and statistics.
 *
 * One packet in, one packet out; no I/O, no clock, no state: transports and device are handed in. Packets are
 * read by the strict codec of cbor.h, so a client must send definite lengths in their shortest form. */
#ifndef TINYFLEET_SMP_H
#define TINYFLEET_SMP_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/cbor.h"
#include "tinyfleet/text.h"
#include "tinyfleet/wire_keys.h"

#define TF_SMP_HEADER_BYTES 8u
#define TF_SMP_UDP_PORT 1337u
/* A reply other than an echo, which is as long as its request. */
#define TF_SMP_REPLY_BYTES 720u

/* General codes (Zephyr, mgmt_defines.h), and those of the image group (img_mgmt.h) above IMAGE. */
typedef enum {
    TF_SMP_OK = 0,
    TF_SMP_UNKNOWN = 1,
    TF_SMP_INVALID = 3,
    TF_SMP_NOT_FOUND = 5,
    TF_SMP_BAD_STATE = 6,
    TF_SMP_TOO_LARGE = 7,
    TF_SMP_UNSUPPORTED = 8,
    TF_SMP_CORRUPT = 9,
    TF_SMP_BUSY = 10,
    TF_SMP_DENIED = 11,
    TF_SMP_TOO_NEW = 13,
    TF_SMP_OS = 0x100,
    TF_SMP_OS_NO_ANSWER = TF_SMP_OS + 3,
    TF_SMP_IMAGE = 0x200,
    TF_SMP_IMAGE_NONE = TF_SMP_IMAGE + 3,
    TF_SMP_IMAGE_NO_FREE_SLOT = TF_SMP_IMAGE + 9,
    TF_SMP_IMAGE_FLASH = TF_SMP_IMAGE + 12,
    TF_SMP_IMAGE_SLOT = TF_SMP_IMAGE + 14,
    TF_SMP_IMAGE_OFFSET = TF_SMP_IMAGE + 20,
    TF_SMP_IMAGE_LENGTH = TF_SMP_IMAGE + 21,
    TF_SMP_IMAGE_HEADER = TF_SMP_IMAGE + 22,
    TF_SMP_IMAGE_MAGIC = TF_SMP_IMAGE + 23,
    TF_SMP_IMAGE_HASH = TF_SMP_IMAGE + 24,
    TF_SMP_IMAGE_OLDER = TF_SMP_IMAGE + 27,
    TF_SMP_IMAGE_PENDING = TF_SMP_IMAGE + 28,
    TF_SMP_IMAGE_TOO_LARGE = TF_SMP_IMAGE + 30,
    TF_SMP_IMAGE_OVERRUN = TF_SMP_IMAGE + 31,
    TF_SMP_IMAGE_CONFIRM_DENIED = TF_SMP_IMAGE + 32,
    TF_SMP_IMAGE_TEST_ACTIVE = TF_SMP_IMAGE + 33,
    TF_SMP_STATISTICS = 0x300,
    TF_SMP_STATISTICS_GROUP = TF_SMP_STATISTICS + 2,
} tf_smp_code_t;

/* What a request came to; `reason` for people, or NULL. */
typedef struct {
    tf_smp_code_t code;
    const char *reason;
} tf_smp_result_t;

typedef struct {
    uint8_t image; /* 0 firmware, 1 model */
    uint8_t slot;
    tf_text_t version;
    const uint8_t *hash; /* 32 bytes: SHA-256 TLV of the image */
    bool bootable, pending, confirmed, active;
} tf_smp_image_t;

typedef struct {
    uint32_t image;
    uint32_t offset;
    tf_bytes_t data;
    /* With offset 0 */
    bool has_length;
    uint32_t length;
    const uint8_t *sha; /* of the whole file, or NULL */
    bool upgrade;       /* only if its version is higher than the running one's */
} tf_smp_chunk_t;

typedef struct {
    uint32_t offset; /* of the next byte wanted */
    bool has_match;  /* all is there, and was compared to the file's SHA-256 */
    bool match;
} tf_smp_progress_t;

typedef struct {
    const char *name;
    uint64_t value;
} tf_smp_statistic_t;

/* The device. A NULL function: the command is not supported. */
typedef struct {
    void *context;
    uint32_t buffer_bytes; /* of a packet that a transport takes */
    const char *bootloader;
    /* After the reply has left. */
    tf_smp_result_t (*reset)(void *context);
    void *images; /* context of the next five */
    /* The image of that number; false: there is none. What it points to lives until the next call. */
    bool (*image)(void *context, uint32_t index, tf_smp_image_t *image);
    uint32_t image_count; /* that may be there */
    tf_smp_result_t (*upload)(void *context, const tf_smp_chunk_t *chunk, tf_smp_progress_t *progress);
    /* `hash` may be NULL for confirm: what runs. */
    tf_smp_result_t (*test)(void *context, const uint8_t *hash);
    tf_smp_result_t (*confirm)(void *context, const uint8_t *hash);
    /* `slot` counts over both images: 0 and 1 firmware, 2 and 3 model; TF_SMP_FREE_SLOT: the free firmware's.
     */
    tf_smp_result_t (*erase)(void *context, uint32_t slot);
    /* Statistic `index` of a group; false: there is no more. */
    bool (*statistic)(void *context, uint32_t group, uint32_t index, tf_smp_statistic_t *statistic);
    const char *const *groups; /* of statistics, by name */
    uint32_t group_count;
} tf_smp_device_t;

#define TF_SMP_FREE_SLOT UINT32_MAX

/* Length of the reply in `out`; 0: none is due. `door` is what the transport's peer may ask. `out` may not be
 * where `packet` is. */
uint32_t tf_smp_answer(const tf_smp_device_t *device, tf_smp_door_t door, const uint8_t *packet,
                       uint32_t length, uint8_t *out, uint32_t capacity);

/* A packet as lines of a console. */
void tf_smp_write_lines(const uint8_t *packet, uint32_t length,
                        void (*sink)(const uint8_t *data, uint32_t length));

#endif
