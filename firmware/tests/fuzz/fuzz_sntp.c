/* Packets from an SNTP server, the first eight bytes the request's nonce: what is taken is a time that can
 * be, and is taken once. */
#include "fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/sntp.h"

static unsigned long taken, left;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < TF_SNTP_NONCE_BYTES) return 0;
    tf_sntp_t sntp = {0};
    uint8_t request[TF_SNTP_BYTES];
    tf_sntp_start(&sntp, true);
    if (!tf_sntp_poll(&sntp, 0, data, request)) abort();
    const size_t length = size - TF_SNTP_NONCE_BYTES;
    uint8_t *const packet = malloc(length > 0 ? length : 1);
    if (packet == NULL) abort();
    memcpy(packet, data + TF_SNTP_NONCE_BYTES, length);
    uint64_t unix_ms = 0;
    const bool good = tf_sntp_answer(&sntp, packet, (uint32_t)length, 40, &unix_ms);
    *(good ? &taken : &left) += 1;
    if (good && unix_ms / 1000u < TF_SNTP_EARLIEST_S) abort();
    if (good && tf_sntp_answer(&sntp, packet, (uint32_t)length, 40, &unix_ms)) abort();
    /* However it went, there is a next time, and it is bounded. */
    if (tf_sntp_wait_ms(&sntp, 40) > TF_SNTP_AGAIN_MS) abort();
    free(packet);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: %lu answers taken, %lu packets left\n", taken, left);
}
