/* The decoders by themselves: what encoders write comes back, the golden patches of wire/vectors among it,
 * and nothing else than an image of the manifest's size ever comes out. */
#include "check.h"
#include "packer.h"
#include "random.h"
#include "tinyfleet/unpack.h"

static made_t first, second, air;
static uint8_t out[MAKER_IMAGE_MAX], input[4096];

static tf_packed_t packed_of(const made_t *transported, tf_encoding_t encoding, uint32_t image_bytes,
                             const made_t *base) {
    tf_packed_t packed = {.encoding = encoding,
                          .data = transported->bytes,
                          .length = transported->size,
                          .image_bytes = image_bytes};
    if (base == NULL) return packed;
    tf_image_t image;
    CHECK_EQUAL(tf_image_read(base->bytes, base->size, &image), TF_RESULT_SUCCESS);
    packed.base = base->bytes;
    packed.base_bytes = image.hashed_bytes;
    return packed;
}

/* In pieces of `piece`; how many bytes came. */
static uint32_t unpack_in_pieces(const tf_packed_t *packed, uint32_t piece) {
    tf_unpack_t unpack;
    CHECK_EQUAL(tf_unpack_open(&unpack, packed), TF_RESULT_SUCCESS);
    uint32_t made = 0;
    while (made < packed->image_bytes) {
        uint32_t got = tf_unpack_read(&unpack, out + made, piece);
        made += got;
        if (got < piece) break;
    }
    CHECK(made <= packed->image_bytes);
    return made;
}

static void what_was_packed_comes_back(void) {
    static const uint32_t pieces[] = {1, 7, 4096, MAKER_IMAGE_MAX};
    for (uint32_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        packer_compress(&air, &second);
        tf_packed_t packed = packed_of(&air, TF_ENCODING_COMPRESSED, second.size, NULL);
        CHECK_EQUAL(unpack_in_pieces(&packed, pieces[i]), second.size);
        CHECK(memcmp(out, second.bytes, second.size) == 0);
        packer_delta(&air, &second, &first);
        packed = packed_of(&air, TF_ENCODING_DELTA, second.size, &first);
        memset(out, 0, sizeof out);
        CHECK_EQUAL(unpack_in_pieces(&packed, pieces[i]), second.size);
        CHECK(memcmp(out, second.bytes, second.size) == 0);
    }
}

/* Every prefix ends early, and every flipped bit gives at most an image of the right size. */
static void damage_stays_inside(void) {
    packer_delta(&air, &second, &first);
    tf_packed_t packed = packed_of(&air, TF_ENCODING_DELTA, second.size, &first);
    tf_unpack_t unpack;
    for (uint32_t length = 0; length < air.size; length += 37) {
        /* On the heap and just as long, so that reading past it is seen. */
        uint8_t *cut = malloc(length > 0 ? length : 1);
        CHECK(cut != NULL);
        memcpy(cut, air.bytes, length);
        packed.data = cut;
        packed.length = length;
        if (tf_unpack_open(&unpack, &packed) == TF_RESULT_SUCCESS) {
            CHECK(tf_unpack_read(&unpack, out, sizeof out) < second.size);
            CHECK_EQUAL(tf_unpack_read(&unpack, out, sizeof out), 0);
        }
        free(cut);
    }
    uint32_t random = 5;
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t *damaged = malloc(air.size);
        CHECK(damaged != NULL);
        memcpy(damaged, air.bytes, air.size);
        /* Most often where the numbers are. */
        uint32_t range = i % 2 == 0 ? 40u : air.size;
        damaged[random_next(&random) % range] ^= (uint8_t)(1u << random_next(&random) % 8u);
        packed.data = damaged;
        packed.length = air.size;
        if (tf_unpack_open(&unpack, &packed) == TF_RESULT_SUCCESS) {
            CHECK(tf_unpack_read(&unpack, out, sizeof out) <= second.size);
        }
        free(damaged);
    }
}

/* A patch from numbers and bytes alone, over a base of `base_bytes` bytes; what it makes of `image_bytes`. */
static uint32_t made_by(const int32_t *numbers, uint32_t count, uint32_t base_bytes, uint32_t image_bytes) {
    uint8_t plain[512], base[64] = {0};
    uint32_t size = 0;
    /* Every third number is a seek, the others are followed by as many bytes. */
    plain[size++] = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += packer_number(plain + size, numbers[i]);
        for (int32_t k = 0; i % 3 != 2 && k < numbers[i] && size < 400; k++) plain[size++] = 0xA5;
    }
    input[0] = 4;
    uint32_t head = 1u + packer_number(input + 1, (int32_t)image_bytes);
    uint32_t length = head + packer_stream(input + head, (uint32_t)sizeof input - head, plain, size);
    const tf_packed_t packed = {.encoding = TF_ENCODING_DELTA,
                                .data = input,
                                .length = length,
                                .base = base,
                                .base_bytes = base_bytes,
                                .image_bytes = image_bytes};
    tf_unpack_t unpack;
    CHECK_EQUAL(tf_unpack_open(&unpack, &packed), TF_RESULT_SUCCESS);
    return tf_unpack_read(&unpack, out, sizeof out);
}

#define MADE(base_bytes, image_bytes, ...)                                                           \
    made_by((const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / 4u, base_bytes, \
            image_bytes)

#define IDLE_8 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, -2, 0, 0, -2, 0, 0, -1

static void numbers_are_held_to_their_bounds(void) {
    CHECK_EQUAL(MADE(10, 10, 10, 0), 10);
    CHECK_EQUAL(MADE(10, 10, 4, 2, 2, 4, 0), 10);
    CHECK_EQUAL(MADE(9, 10, 10, 0), 0);            /* beyond the base */
    CHECK_EQUAL(MADE(10, 10, 11, 0), 0);           /* beyond the image */
    CHECK_EQUAL(MADE(10, 10, 4, 7), 4);            /* likewise, of bytes as they are */
    CHECK_EQUAL(MADE(10, 10, -1, 0), 0);           /* a size below zero */
    CHECK_EQUAL(MADE(10, 10, 4, -4), 4);           /* likewise */
    CHECK_EQUAL(MADE(10, 10, 4, 0, -5, 4), 4);     /* before the base */
    CHECK_EQUAL(MADE(10, 10, 4, 0, 7, 4), 4);      /* behind it */
    CHECK_EQUAL(MADE(10, 10, 4, 0, 3, 4), 4);      /* in it, and then over its end */
    CHECK_EQUAL(MADE(10, 10, 4, 0, INT32_MAX), 4); /* no sum wraps */
    CHECK_EQUAL(MADE(10, 10, 0, 0, 3, 7, 3), 10);  /* a first step that only seeks */
    CHECK_EQUAL(MADE(10, 10, IDLE_8, 5, 5), 10);   /* eight of them */
    CHECK_EQUAL(MADE(10, 10, IDLE_8, 0, 0, 0, 5, 5), 0);
    CHECK_EQUAL(MADE(0, 10, 0, 10), 10); /* an empty base */
}

static tf_result_t opens(tf_encoding_t encoding, const uint8_t *data, uint32_t length, uint32_t image_bytes) {
    const tf_packed_t packed = {
        .encoding = encoding, .data = data, .length = length, .base = data, .image_bytes = image_bytes};
    tf_unpack_t unpack;
    return tf_unpack_open(&unpack, &packed);
}

static void what_this_build_lacks_is_said(void) {
    static const uint8_t window10[] = {0x61, 0x80}, lookahead[] = {0x45, 0x80}, good[] = {0x41, 0x80};
    static const uint8_t in_place[] = {0x14, 10, 0x41, 0x80}, crle[] = {0x02, 10, 0x41, 0x80};
    static const uint8_t other_size[] = {0x04, 11, 0x41, 0x80, 0x00},
                         endless[] = {4, 255, 255, 255, 255, 255, 0};
    /* A data format of 1: a literal bit, then 0x01. */
    static const uint8_t format[] = {0x04, 10, 0x41, 0x80, 0x80}, plain[] = {0x04, 10, 0x41, 0x80, 0x00};
    CHECK_EQUAL(opens(TF_ENCODING_COMPRESSED, good, 0, 10), TF_RESULT_UNSUPPORTED_PROTOCOL);
    CHECK_EQUAL(opens(TF_ENCODING_COMPRESSED, good, 2, 10), TF_RESULT_SUCCESS);
    CHECK_EQUAL(opens(TF_ENCODING_COMPRESSED, window10, 2, 10), TF_RESULT_UNSUPPORTED_PROTOCOL);
    CHECK_EQUAL(opens(TF_ENCODING_COMPRESSED, lookahead, 2, 10), TF_RESULT_UNSUPPORTED_PROTOCOL);
    CHECK_EQUAL(opens(TF_ENCODING_RAW, good, 2, 10), TF_RESULT_UNSUPPORTED_PROTOCOL);
    CHECK_EQUAL(opens(TF_ENCODING_DELTA, in_place, 4, 10), TF_RESULT_UNSUPPORTED_PROTOCOL);
    CHECK_EQUAL(opens(TF_ENCODING_DELTA, crle, 4, 10), TF_RESULT_UNSUPPORTED_PROTOCOL);
    CHECK_EQUAL(opens(TF_ENCODING_DELTA, other_size, 5, 10), TF_RESULT_INTEGRITY);
    CHECK_EQUAL(opens(TF_ENCODING_DELTA, endless, 7, 10), TF_RESULT_INTEGRITY);
    CHECK_EQUAL(opens(TF_ENCODING_DELTA, plain, 1, 10), TF_RESULT_INTEGRITY);
    CHECK_EQUAL(opens(TF_ENCODING_DELTA, format, 5, 10), TF_RESULT_UNSUPPORTED_PROTOCOL);
    CHECK_EQUAL(opens(TF_ENCODING_DELTA, plain, 5, 10), TF_RESULT_SUCCESS);
}

/* What lies before the first byte reads as zero, as in the encoder. */
static void a_copy_from_before_the_beginning_is_zeros(void) {
    packer_t packer = {.out = input, .capacity = sizeof input};
    packer_bits(&packer, 0x41, 8);
    packer_bits(&packer, 0, 1);
    packer_bits(&packer, 255, 8);
    packer_bits(&packer, 15, 4);
    packer_flush(&packer);
    const tf_packed_t packed = {
        .encoding = TF_ENCODING_COMPRESSED, .data = input, .length = packer.size, .image_bytes = 16};
    memset(out, 0xEE, 16);
    CHECK_EQUAL(unpack_in_pieces(&packed, 16), 16);
    for (uint32_t i = 0; i < 16; i++) CHECK_EQUAL(out[i], 0);
}

static uint32_t read_vector(const char *folder, const char *name, uint8_t *to, uint32_t capacity) {
    char path[1200];
    snprintf(path, sizeof path, "%s/transfer/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) perror(path);
    CHECK(file != NULL);
    uint32_t size = (uint32_t)fread(to, 1, capacity, file);
    fclose(file);
    return size;
}

/* Made by detools and heatshrink themselves. */
static void golden_encodings_are_read(const char *folder) {
    static uint8_t base[8192], image[8192], wire[8192];
    uint32_t base_bytes = read_vector(folder, "base.bin", base, sizeof base);
    uint32_t image_bytes = read_vector(folder, "image.bin", image, sizeof image);
    static const struct {
        const char *name;
        tf_encoding_t encoding;
    } rows[] = {
        {"image_8_4.heatshrink", TF_ENCODING_COMPRESSED}, {"image_9_5.heatshrink", TF_ENCODING_COMPRESSED},
        {"base_to_image_9_8.detools", TF_ENCODING_DELTA}, {"image_7_3.heatshrink", TF_ENCODING_COMPRESSED},
        {"base_to_image_8_7.detools", TF_ENCODING_DELTA}, {"base_to_image_5_3.detools", TF_ENCODING_DELTA}};
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t length = read_vector(folder, rows[i].name, wire, sizeof wire);
        const tf_packed_t packed = {.encoding = rows[i].encoding,
                                    .data = wire,
                                    .length = length,
                                    .base = base,
                                    .base_bytes = base_bytes,
                                    .image_bytes = image_bytes};
        CHECK_EQUAL(unpack_in_pieces(&packed, 1000), image_bytes);
        CHECK(memcmp(out, image, image_bytes) == 0);
    }
}

int main(int count, char **arguments) {
    CHECK_EQUAL(count, 2);
    maker_image(&first, 9000, 1, 0, SIGNER_OURS);
    maker_image(&second, 17000, 2, 0, SIGNER_OURS);
    memcpy(second.bytes + 3000, first.bytes + 200, 8000);
    RUN(what_was_packed_comes_back);
    RUN(damage_stays_inside);
    RUN(numbers_are_held_to_their_bounds);
    RUN(what_this_build_lacks_is_said);
    RUN(a_copy_from_before_the_beginning_is_zeros);
    golden_encodings_are_read(arguments[1]);
    printf("unpack: state of %u bytes\n", (unsigned)sizeof(tf_unpack_t));
    return 0;
}
