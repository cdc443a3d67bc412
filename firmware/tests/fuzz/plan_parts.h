/* A plan taken apart into its sections, for changing one and putting all together again with the table,
 * offsets and sizes right: what a fuzzer must not spend its time on. */
#ifndef TF_PLAN_PARTS_H
#define TF_PLAN_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"

enum { PART_MAX = 1 << 14, KINDS = 16 };

typedef struct {
    uint32_t bytes; /* 0 and not present, or as many as content has */
    uint32_t count;
    bool present;
    uint8_t content[PART_MAX];
} part_t;

typedef struct {
    tf_plan_header_t header;
    part_t part[KINDS]; /* by section kind */
} plan_parts_t;

/* False where header or table do not add up, or a section is larger than PART_MAX. */
bool parts_of_plan(plan_parts_t *parts, const uint8_t *plan, size_t size);

/* Bytes written to `plan`; 0 when they are more than `room`. */
size_t plan_of_parts(const plan_parts_t *parts, uint8_t *plan, size_t room);

/* Start of op record number `index` in OPS, or OPS' end. The walk ends at a record that is none. */
uint32_t op_at(const plan_parts_t *parts, uint32_t index);
uint32_t ops_in(const plan_parts_t *parts);
tf_op_t op_record(const plan_parts_t *parts, uint32_t at);
/* Bytes of a record in front of its parameters. */
uint32_t op_head_bytes(const tf_op_t *op);

tf_tensor_t tensor_record(const plan_parts_t *parts, uint32_t index);
void put_tensor(plan_parts_t *parts, uint32_t index, const tf_tensor_t *tensor);
uint32_t tensors_in(const plan_parts_t *parts);

/* Makes the plan's arena, constants, metadata and golden vectors as large as its tensors and ops say, where
 * that is within bounds: a change of a shape would otherwise hardly ever load. */
void fit_arena(plan_parts_t *parts);
void fit_metadata(plan_parts_t *parts);
void fit_vectors(plan_parts_t *parts);

#endif
