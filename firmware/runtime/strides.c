/* Walks over strided tensors, and the questions that checks ask of them. */
#include "strides.h"

bool tf_walk_on(tf_walk_t *walk) {
    for (uint32_t axis = TF_LAST_AXIS; axis-- > 0;) {
        walk->x += walk->x_stride[axis];
        walk->y += walk->y_stride[axis];
        if (++walk->at[axis] < walk->size[axis]) return true;
        /* An axis that wraps takes both back to where it started. */
        walk->at[axis] = 0;
        walk->x -= walk->x_stride[axis] * walk->size[axis];
        walk->y -= walk->y_stride[axis] * walk->size[axis];
    }
    return false;
}

uint32_t tf_walk_elements(const uint32_t size[TF_DIMS_MAX]) {
    uint32_t elements = 1;
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        if (size[i] == 0 || size[i] > TF_TENSOR_BYTES_MAX) return 0;
        const uint64_t product = (uint64_t)elements * size[i];
        if (product > TF_TENSOR_BYTES_MAX) return 0;
        elements = (uint32_t)product;
    }
    return elements;
}

bool tf_walk_stays_inside(const uint32_t size[TF_DIMS_MAX], const uint32_t stride[TF_DIMS_MAX],
                          uint32_t first, uint32_t elements) {
    int64_t low = first;
    int64_t high = first;
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        const int64_t reach = (int64_t)(size[i] - 1) * (int32_t)stride[i]; /* below 2^55 each */
        if (reach < 0) {
            low += reach;
        } else {
            high += reach;
        }
    }
    return low >= 0 && high < (int64_t)elements;
}

bool tf_walk_is_plain(const uint32_t size[TF_DIMS_MAX], const uint32_t stride[TF_DIMS_MAX]) {
    uint32_t plain = 1;
    for (uint32_t i = TF_DIMS_MAX; i-- > 0;) {
        if (size[i] != 1 && stride[i] != plain) return false;
        plain *= size[i];
    }
    return true;
}
