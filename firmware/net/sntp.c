#include "tinyfleet/sntp.h"

#include <string.h>

#include "sntp_table.h"

#define TO_1970_S 2208988800u /* NTP counts from 1900 */
#define CLIENT_V4 0x23u       /* no leap second, version 4, mode 3 */

/* Places in a packet (RFC 4330, section 4). */
enum { AT_STRATUM = 1, AT_ORIGINATE = 24, AT_TRANSMIT = 40 };

#define GO(next, action) {1, TF_SNTP_##next, SNTP_##action}

const sntp_cell_t tf_sntp_table[TF_SNTP_STATES][SNTP_EVENTS] = {
    [TF_SNTP_OFF] =
        {
            [SNTP_START] = GO(DUE, FIRST),
            [SNTP_STOP] = GO(OFF, KEEP),
            [SNTP_SENT] = GO(OFF, KEEP),
            [SNTP_TIMEOUT] = GO(OFF, KEEP),
            [SNTP_SPENT] = GO(OFF, KEEP),
            [SNTP_ANSWER] = GO(OFF, KEEP),
            [SNTP_KISS] = GO(OFF, KEEP),
        },
    [TF_SNTP_DUE] =
        {
            [SNTP_START] = GO(DUE, FIRST),
            [SNTP_STOP] = GO(OFF, KEEP),
            [SNTP_SENT] = GO(ASKING, COUNT),
            [SNTP_TIMEOUT] = GO(DUE, KEEP),
            [SNTP_SPENT] = GO(DUE, KEEP),
            [SNTP_ANSWER] = GO(DUE, KEEP), /* to a request that was given up */
            [SNTP_KISS] = GO(DUE, KEEP),
        },
    [TF_SNTP_ASKING] =
        {
            [SNTP_START] = GO(DUE, FIRST),
            [SNTP_STOP] = GO(OFF, KEEP),
            [SNTP_SENT] = GO(ASKING, KEEP),
            [SNTP_TIMEOUT] = GO(DUE, KEEP),
            [SNTP_SPENT] = GO(RESTING, REST),
            [SNTP_ANSWER] = GO(RESTING, SETTLE),
            [SNTP_KISS] = GO(RESTING, SETTLE),
        },
    [TF_SNTP_RESTING] =
        {
            [SNTP_START] = GO(DUE, FIRST),
            [SNTP_STOP] = GO(OFF, KEEP),
            [SNTP_SENT] = GO(RESTING, KEEP),
            [SNTP_TIMEOUT] = GO(DUE, FIRST),
            [SNTP_SPENT] = GO(RESTING, KEEP),
            [SNTP_ANSWER] = GO(RESTING, KEEP), /* a second one */
            [SNTP_KISS] = GO(RESTING, KEEP),
        },
};

static void step(tf_sntp_t *sntp, sntp_event_t event, uint32_t now_ms) {
    const sntp_cell_t *cell = &tf_sntp_table[sntp->state][event];
    sntp->state = cell->next;
    switch (cell->action) {
        case SNTP_FIRST:
            sntp->tries = 0;
            break;
        case SNTP_COUNT:
            sntp->sent_ms = now_ms;
            sntp->due_ms = now_ms + (TF_SNTP_TIMEOUT_MS << sntp->tries);
            sntp->tries++;
            break;
        case SNTP_REST:
            sntp->due_ms = now_ms + TF_SNTP_RETRY_MS;
            break;
        case SNTP_SETTLE:
            sntp->due_ms = now_ms + TF_SNTP_AGAIN_MS;
            break;
        default:
            break;
    }
}

void tf_sntp_start(tf_sntp_t *sntp, bool server) {
    step(sntp, server ? SNTP_START : SNTP_STOP, 0);
}

static bool waits(const tf_sntp_t *sntp) {
    return sntp->state == TF_SNTP_ASKING || sntp->state == TF_SNTP_RESTING;
}

bool tf_sntp_poll(tf_sntp_t *sntp, uint32_t now_ms, const uint8_t nonce[TF_SNTP_NONCE_BYTES],
                  uint8_t request[TF_SNTP_BYTES]) {
    if (waits(sntp) && (int32_t)(now_ms - sntp->due_ms) >= 0) {
        bool spent = sntp->state == TF_SNTP_ASKING && sntp->tries >= TF_SNTP_TRIES;
        step(sntp, spent ? SNTP_SPENT : SNTP_TIMEOUT, now_ms);
    }
    if (sntp->state != TF_SNTP_DUE) return false;
    memset(request, 0, TF_SNTP_BYTES);
    request[0] = CLIENT_V4;
    memcpy(request + AT_TRANSMIT, nonce, TF_SNTP_NONCE_BYTES);
    memcpy(sntp->nonce, nonce, TF_SNTP_NONCE_BYTES);
    step(sntp, SNTP_SENT, now_ms);
    return true;
}

static uint32_t load_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
}

/* Seconds and milliseconds since 1970. Numbers below 2^31 are those after 2036 (RFC 4330, section 3). */
static uint64_t time_of(const uint8_t *stamp) {
    uint64_t seconds = load_u32(stamp);
    if (seconds < 0x80000000u) seconds += 0x100000000u;
    uint64_t milliseconds = (uint64_t)load_u32(stamp + 4) * 1000u >> 32;
    return (seconds - TO_1970_S) * 1000u + milliseconds;
}

bool tf_sntp_answer(tf_sntp_t *sntp, const uint8_t *packet, uint32_t size, uint32_t now_ms,
                    uint64_t *unix_ms) {
    if (sntp->state != TF_SNTP_ASKING || size < TF_SNTP_BYTES) return false;
    const uint8_t leap = packet[0] >> 6, version = packet[0] >> 3 & 7u, mode = packet[0] & 7u;
    if (mode != 4 || version < 3 || version > 4) return false;
    if (memcmp(packet + AT_ORIGINATE, sntp->nonce, TF_SNTP_NONCE_BYTES) != 0) return false;
    if (packet[AT_STRATUM] == 0) {
        step(sntp, SNTP_KISS, now_ms);
        return false;
    }
    /* No stamp would be a moment in 2036. */
    bool stamped = load_u32(packet + AT_TRANSMIT) != 0 || load_u32(packet + AT_TRANSMIT + 4) != 0;
    uint64_t there_ms = time_of(packet + AT_TRANSMIT);
    bool in_step = stamped && leap != 3 && packet[AT_STRATUM] < 16 && there_ms / 1000u >= TF_SNTP_EARLIEST_S;
    if (!in_step) return false;
    /* It was on its way for half of the time between request and answer, as far as one can know. */
    *unix_ms = there_ms + (now_ms - sntp->sent_ms) / 2u;
    step(sntp, SNTP_ANSWER, now_ms);
    return true;
}

uint32_t tf_sntp_wait_ms(const tf_sntp_t *sntp, uint32_t now_ms) {
    if (sntp->state == TF_SNTP_DUE) return 0;
    if (!waits(sntp)) return UINT32_MAX;
    int32_t left_ms = (int32_t)(sntp->due_ms - now_ms);
    return left_ms > 0 ? (uint32_t)left_ms : 0;
}
