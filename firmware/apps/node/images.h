/* SMP's images on the update engine: what a client brings goes the way of an update, or not at all. */
#ifndef TINYFLEET_NODE_IMAGES_H
#define TINYFLEET_NODE_IMAGES_H

#include "tinyfleet/local.h"
#include "tinyfleet/smp.h"

#define IMAGES_MOST 4u /* two firmware, two models */

typedef struct {
    tf_update_t *update;
    uint64_t (*now_us)(void);
    void *context;
    /* Whoever brought the firmware on trial hears it by SMP: that stands for the broker. False: it has not
     * passed otherwise yet. NULL: nothing stands for the broker. */
    bool (*heard)(void *context);
    tf_image_t image; /* the one told last, and its version */
    char version[TF_IMAGE_VERSION_MAX];
} images_t;

/* Functions of tf_smp_device_t; `context` is an images_t. */
bool images_get(void *context, uint32_t index, tf_smp_image_t *image);
tf_smp_result_t images_upload(void *context, const tf_smp_chunk_t *chunk, tf_smp_progress_t *progress);
tf_smp_result_t images_test(void *context, const uint8_t *hash);
tf_smp_result_t images_confirm(void *context, const uint8_t *hash);
tf_smp_result_t images_erase(void *context, uint32_t slot);

/* All that a tf_smp_device_t says of images, within its initializer; `of`: an images_t. */
#define IMAGES_OF(of)                                                                         \
    .images = (of), .image = images_get, .image_count = IMAGES_MOST, .upload = images_upload, \
    .test = images_test, .confirm = images_confirm, .erase = images_erase

#endif
