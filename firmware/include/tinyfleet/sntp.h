/* The time of day by SNTP (RFC 4330), without I/O: requests out, answers in.
 *
 * Asks up to TF_SNTP_TRIES times, each time waiting twice as long, then rests; asks again after a while, and
 * some hours after an answer. An answer counts only when it repeats the request's 64 random bits, comes from
 * a server that is in step itself, and says a time that can be. It is not authenticated: who can change
 * packets can change the time. */
#ifndef TINYFLEET_SNTP_H
#define TINYFLEET_SNTP_H

#include <stdbool.h>
#include <stdint.h>

#define TF_SNTP_BYTES 48u
#define TF_SNTP_PORT 123u
#define TF_SNTP_NONCE_BYTES 8u
#define TF_SNTP_TRIES 4u
#define TF_SNTP_TIMEOUT_MS 2000u             /* of the first; doubles */
#define TF_SNTP_RETRY_MS (15u * 60u * 1000u) /* after the last one */
#define TF_SNTP_AGAIN_MS (6u * 3600u * 1000u)
#define TF_SNTP_EARLIEST_S 1735689600u /* 2025-01-01: a server that says less does not know */

typedef enum {
    TF_SNTP_OFF = 0, /* no server */
    TF_SNTP_DUE,     /* a request is to be sent */
    TF_SNTP_ASKING,  /* and an answer is awaited */
    TF_SNTP_RESTING, /* until the next time */
    TF_SNTP_STATES
} tf_sntp_state_t;

typedef struct {
    uint8_t state;
    uint8_t tries;
    uint32_t sent_ms; /* of the request */
    uint32_t due_ms;
    uint8_t nonce[TF_SNTP_NONCE_BYTES];
} tf_sntp_t;

/* Has a server (and asks it at once), or another one, or none. Times in milliseconds may wrap. */
void tf_sntp_start(tf_sntp_t *sntp, bool server);
/* True: send `request` now. `nonce` is random, another one each time. */
bool tf_sntp_poll(tf_sntp_t *sntp, uint32_t now_ms, const uint8_t nonce[TF_SNTP_NONCE_BYTES],
                  uint8_t request[TF_SNTP_BYTES]);
/* A packet came from the server; any bytes. True: it is the answer, `unix_ms` is the time now. */
bool tf_sntp_answer(tf_sntp_t *sntp, const uint8_t *packet, uint32_t size, uint32_t now_ms,
                    uint64_t *unix_ms);
/* Until tf_sntp_poll must be called again. */
uint32_t tf_sntp_wait_ms(const tf_sntp_t *sntp, uint32_t now_ms);

#endif
