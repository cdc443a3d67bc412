/* Walks over two tensors at once, up to six axes deep: what copying ops and element-wise ops share. */
#ifndef TF_STRIDES_H
#define TF_STRIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

enum { TF_LAST_AXIS = TF_DIMS_MAX - 1 };

/* The innermost axis is the caller's own loop; x and y are where it starts, in elements. */
typedef struct {
    const uint32_t *size;
    const uint32_t *x_stride, *y_stride; /* a negative stride is its two's complement */
    uint32_t x, y;
    uint32_t at[TF_LAST_AXIS];
} tf_walk_t;

/* Goes on to the next innermost line; false when there is none. */
bool tf_walk_on(tf_walk_t *walk);

/* How many elements a walk visits; 0 when a size is 0 or they are more than a tensor holds. */
uint32_t tf_walk_elements(const uint32_t size[TF_DIMS_MAX]);

/* Whether a walk with these strides, starting at `first`, stays inside a tensor of `elements`. The sizes have
 * passed tf_walk_elements. */
bool tf_walk_stays_inside(const uint32_t size[TF_DIMS_MAX], const uint32_t stride[TF_DIMS_MAX],
                          uint32_t first, uint32_t elements);

/* Whether the strides visit a tensor of these sizes from its first element to its last. */
bool tf_walk_is_plain(const uint32_t size[TF_DIMS_MAX], const uint32_t stride[TF_DIMS_MAX]);

#endif
