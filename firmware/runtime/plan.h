/* Records of a plan as they lie in flash (wire/ARTIFACT.md). Read in place: the payload is 16-byte aligned
 * and both it and every core we run on are little-endian. */
#ifndef TF_PLAN_H
#define TF_PLAN_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "plans are little-endian and read in place"
#endif

#define TF_PLAN_MAGIC 0x31504654u
#define TF_PLAN_ALIGN 16u
#define TF_PLAN_SECTIONS_MAX 16u
#define TF_PLAN_RECORDS_MAX 4096u
#define TF_TENSOR_BYTES_MAX (1u << 24)
#define TF_DIMS_MAX 6u
#define TF_LABELS_MAX 64u
#define TF_VECTORS_MAX 65535u
#define TF_STEPS_MAX 65535u
#define TF_ENDPOINTS_MAX 32u
#define TF_METADATA_BYTES_MAX 4096u
#define TF_SOFTMAX_DEPTH_MAX 4095u

typedef enum {
    TF_SECTION_METADATA = 1,
    TF_SECTION_TENSORS = 2,
    TF_SECTION_OPS = 3,
    TF_SECTION_INPUTS = 4,
    TF_SECTION_OUTPUTS = 5,
    TF_SECTION_CONSTANTS = 6,
    TF_SECTION_VECTORS = 7,
    TF_SECTION_STATE = 8,
} tf_section_kind_t;

typedef enum { TF_PLACE_ARENA = 0, TF_PLACE_CONSTANT = 1 } tf_place_t;
typedef enum {
    TF_INT8 = 0,
    TF_INT16 = 1,
    TF_INT32 = 2,
    TF_UINT8 = 3,
    TF_FLOAT32 = 4,
    TF_UINT32 = 5,
    TF_INT64 = 6,
    TF_UINT64 = 7,
} tf_dtype_t;

typedef enum {
    TF_OP_ADD = 0,
    TF_OP_AVERAGE_POOL_2D = 1,
    TF_OP_CONV_2D = 3,
    TF_OP_DEPTHWISE_CONV_2D = 4,
    TF_OP_FULLY_CONNECTED = 9,
    TF_OP_MAX_POOL_2D = 17,
    TF_OP_L2_NORMALIZATION = 11,
    TF_OP_MUL = 18,
    TF_OP_RESIZE_BILINEAR = 23,
    TF_OP_SOFTMAX = 25,
    TF_OP_SVDF = 27,
    TF_OP_MEAN = 40,
    TF_OP_SUB = 41,
    TF_OP_DIV = 42,
    TF_OP_UNIDIRECTIONAL_SEQUENCE_LSTM = 44,
    TF_OP_LOG_SOFTMAX = 50,
    TF_OP_CAST = 53,
    TF_OP_PRELU = 54,
    TF_OP_MAXIMUM = 55,
    TF_OP_ARG_MAX = 56,
    TF_OP_MINIMUM = 57,
    TF_OP_TRANSPOSE_CONV = 67,
    TF_OP_ARG_MIN = 79,
    TF_OP_REDUCE_MAX = 82,
    TF_OP_REDUCE_MIN = 89,
    TF_OP_SQUARED_DIFFERENCE = 99,
    TF_OP_BATCH_MATMUL = 126,
    TF_OP_QUANTIZE = 114,
    TF_OP_TABLE = 220,
    TF_OP_COPY = 221,
    TF_OP_GATHER = 222,
    TF_OP_WINDOW = 223,
    TF_OP_AUTO_SCALE = 224,
    TF_OP_RFFT = 225,
    TF_OP_IRFFT = 226,
    TF_OP_ENERGY = 227,
    TF_OP_FILTER_BANK = 228,
    TF_OP_SQUARE_ROOT = 229,
    TF_OP_SPECTRAL_SUBTRACTION = 230,
    TF_OP_PCAN = 231,
    TF_OP_LOG = 232,
    TF_OP_FRAMER = 233,
    TF_OP_STACKER = 234,
    TF_OP_DELAY = 235,
    TF_OP_OVERLAP_ADD = 236,
    TF_OP_ARITHMETIC = 237,
} tf_op_code_t;

typedef struct {
    uint32_t magic;
    uint16_t abi;
    uint16_t core;
    uint32_t payload_bytes;
    uint32_t arena_bytes;
    uint32_t sections;
    uint32_t reserved[3];
} tf_plan_header_t;

typedef struct {
    uint32_t kind;
    uint32_t offset;
    uint32_t bytes;
    uint32_t count;
} tf_plan_section_t;

typedef struct {
    uint32_t offset;
    uint8_t place;
    uint8_t dtype;
    uint8_t rank;
    uint8_t reserved;
    uint32_t dims[TF_DIMS_MAX];
} tf_tensor_t;

typedef struct {
    uint8_t code;
    uint8_t variant;
    uint16_t bytes;
    uint8_t inputs;
    uint8_t outputs;
    uint8_t temps;
    uint8_t reserved;
} tf_op_t;

typedef struct {
    uint16_t tensor;
    uint16_t reserved;
    int32_t zero_point;
    int32_t multiplier;
    int32_t shift;
} tf_endpoint_t; /* INPUTS: raw multiplier and shift; OUTPUTS: score multiplier and shift */

#define TF_STATE_FILLED 0xFFFFFFFFu

typedef struct {
    uint16_t tensor;
    int16_t fill;     /* of every element, where `initial` is TF_STATE_FILLED */
    uint32_t initial; /* offset into CONSTANTS */
} tf_state_t;

#define TF_FLAG_PER_TENSOR 1u
#define TF_FLAG_COLUMNS_FIRST 2u /* ARTIFACT.md section 10 */

/* Offsets into CONSTANTS: how the parameters of every op with weights begin. */
typedef struct {
    uint32_t weights, bias, multiplier, shift;
} tf_tables_t;

typedef struct {
    uint32_t weights, bias, multiplier, shift; /* offsets into CONSTANTS */
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    uint16_t depth;
    uint16_t flags;
    int16_t input_zero, output_zero, act_min, act_max;
    uint32_t reserved;
} tf_conv_params_t;

/* Output channel of a packed op: int8 output = clamp((round + (sum < 0 ? -1 : 0) + ((2 x sum x multiplier +
 * 2^31) >> 32))
 * >> shift, -128, 127). */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int32_t round;
    int32_t shift; /* 1..31 */
} tf_channel_t;

/* Four output channels of an op packed for MVE. */
typedef struct {
    int32_t bias[4];
    int32_t multiplier[4];
    int32_t shift[4]; /* -31..-1: to the right */
} tf_quad_t;

typedef struct {
    uint32_t weights, bias, multiplier, shift;
    uint32_t depth;
    uint16_t flags;
    int16_t input_zero, output_zero, act_min, act_max;
    uint16_t reserved;
} tf_fully_connected_params_t;

typedef struct {
    uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int16_t act_min, act_max;
} tf_pool_params_t;

typedef struct {
    uint32_t kept_size[3], kept_stride[3], reduced_size[3], reduced_stride[3];
    int32_t first;
    int32_t multiplier;
    int32_t shift;
    int16_t output_zero;
    uint16_t reserved;
} tf_mean_params_t;

typedef struct {
    uint32_t depth;
    int32_t multiplier;
    int32_t left_shift;
    int32_t diff_min;
} tf_softmax_params_t;

typedef struct {
    uint32_t size[TF_DIMS_MAX], a_stride[TF_DIMS_MAX], b_stride[TF_DIMS_MAX];
    int32_t a_multiplier, a_shift, b_multiplier, b_shift, out_multiplier, out_shift;
    int32_t left_shift;
    int16_t a_zero, b_zero, out_zero, act_min, act_max;
    uint16_t reserved;
} tf_add_params_t; /* and the other element-wise ops of two operands */

/* Of a DIV, either way. */
#define TF_DIV_SHIFT_MAX 22

#define TF_NO_CONSTANTS 0xFFFFFFFFu

typedef struct {
    uint32_t batch[3], a_batch[3], b_batch[3]; /* sizes, and strides in elements; 0 broadcasts */
    uint32_t rows, columns, depth;
    uint32_t a_row, a_depth, b_column, b_depth; /* strides */
    uint32_t bias;                              /* i32[columns], or TF_NO_CONSTANTS */
    int32_t multiplier, shift;
    int16_t a_zero, b_zero, out_zero, act_min, act_max;
    uint16_t reserved;
} tf_matmul_params_t;

/* More values could overflow the sum of their squares. */
#define TF_L2_DEPTH_MAX 33025u

typedef struct {
    uint32_t depth;
    int16_t input_zero;
    uint16_t reserved;
} tf_l2_normalization_params_t;

typedef struct {
    uint32_t outer, size, inner;
} tf_arg_extreme_params_t;

typedef struct {
    uint32_t table; /* 256 answers, for -128 to 127 */
} tf_table_params_t;

#define TF_FLAG_FILL 1u

typedef struct {
    uint32_t size[TF_DIMS_MAX], input_stride[TF_DIMS_MAX], output_stride[TF_DIMS_MAX];
    uint32_t input_first, output_first;
    uint16_t flags;
    int16_t fill;
} tf_copy_params_t;

typedef struct {
    uint32_t rows, columns; /* offsets of u16 tables */
    uint32_t outer, input_rows, output_rows, input_columns, output_columns, inner;
} tf_gather_params_t;

typedef struct {
    uint16_t low, high; /* the two input coordinates */
    int16_t weight;     /* of `high`, in 1/1024 */
    uint16_t reserved;
} tf_tap_t;

typedef struct {
    uint32_t rows, columns; /* offsets of tables of taps */
} tf_resize_params_t;

typedef struct {
    uint32_t depth;
    int32_t multiplier;
    int32_t left_shift;
    int32_t diff_min;
    int32_t reverse_multiplier, reverse_shift; /* from Q5.26 back to the input's steps */
} tf_log_softmax_params_t;

typedef struct {
    int32_t multiplier, shift;
    int32_t input_zero, output_zero;
} tf_quantize_params_t;

typedef struct {
    uint32_t features, feature_bias, times, bias; /* offsets into CONSTANTS */
    uint32_t inputs, units, memory;
    int32_t feature_multiplier, feature_shift, output_multiplier, output_shift;
    uint16_t rank;
    int16_t state_zero, output_zero;
    uint16_t reserved;
} tf_svdf_params_t;

typedef struct {
    int32_t multiplier, shift;
} tf_scale_t;

#define TF_FLAG_TIME_MAJOR 1u
#define TF_FLAG_CELL_SIGMOID 2u
#define TF_FLAG_CELL_CLIP 4u

typedef struct {
    uint32_t weights, bias, sigmoid; /* offsets into CONSTANTS */
    uint32_t inputs, units, steps;
    tf_scale_t of_input[4], of_hidden[4]; /* gates: input, forget, cell, output */
    tf_scale_t forget, update, output;
    uint16_t flags;
    int16_t hidden_zero;
    int16_t cell_most;
    uint16_t curve_multiplier;
    uint32_t curve_shift;
} tf_lstm_params_t;

static_assert(sizeof(tf_plan_header_t) == 32, "ARTIFACT.md section 1");
static_assert(sizeof(tf_plan_section_t) == 16, "ARTIFACT.md section 1");
static_assert(sizeof(tf_tensor_t) == 32, "ARTIFACT.md section 2");
static_assert(sizeof(tf_op_t) == 8, "ARTIFACT.md section 3");
static_assert(sizeof(tf_endpoint_t) == 16, "ARTIFACT.md section 5");
static_assert(sizeof(tf_state_t) == 8, "ARTIFACT.md section 9");
static_assert(sizeof(tf_conv_params_t) == 48, "ARTIFACT.md section 4");
static_assert(sizeof(tf_fully_connected_params_t) == 32, "ARTIFACT.md section 4");
static_assert(sizeof(tf_channel_t) == 16, "ARTIFACT.md section 8");
static_assert(sizeof(tf_quad_t) == 48, "ARTIFACT.md section 10");
static_assert(sizeof(tf_pool_params_t) == 16, "ARTIFACT.md section 4");
static_assert(sizeof(tf_mean_params_t) == 64, "ARTIFACT.md section 4");
static_assert(sizeof(tf_softmax_params_t) == 16, "ARTIFACT.md section 4");
static_assert(sizeof(tf_add_params_t) == 112, "ARTIFACT.md section 4");
static_assert(sizeof(tf_matmul_params_t) == 88, "ARTIFACT.md section 4");
static_assert(sizeof(tf_l2_normalization_params_t) == 8, "ARTIFACT.md section 4");
static_assert(sizeof(tf_arg_extreme_params_t) == 12, "ARTIFACT.md section 4");
static_assert(sizeof(tf_copy_params_t) == 84, "ARTIFACT.md section 4");
static_assert(sizeof(tf_gather_params_t) == 32, "ARTIFACT.md section 4");
static_assert(sizeof(tf_tap_t) == 8, "ARTIFACT.md section 4");
static_assert(sizeof(tf_log_softmax_params_t) == 24, "ARTIFACT.md section 4");
static_assert(sizeof(tf_quantize_params_t) == 16, "ARTIFACT.md section 4");
static_assert(sizeof(tf_svdf_params_t) == 52, "ARTIFACT.md section 4");
static_assert(sizeof(tf_lstm_params_t) == 124, "ARTIFACT.md section 4");

#endif
