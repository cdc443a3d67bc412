/* SMSC LAN9118 Ethernet controller, FIFO access, as lwIP's netif. Source: SMSC LAN9118 datasheet rev 1.5. */
#include "board.h"
#include "lwip/etharp.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

#define RX_DATA 0x00u
#define TX_DATA 0x20u
#define RX_STATUS 0x40u
#define TX_STATUS 0x48u
#define IRQ_CFG 0x54u
#define INT_STS 0x58u
#define INT_EN 0x5Cu
#define BYTE_TEST 0x64u
#define FIFO_INT 0x68u
#define RX_CFG 0x6Cu
#define TX_CFG 0x70u
#define HW_CFG 0x74u
#define RX_FIFO_INF 0x7Cu
#define TX_FIFO_INF 0x80u
#define MAC_CMD 0xA4u
#define MAC_DATA 0xA8u
#define AFC_CFG 0xACu

#define BYTE_TEST_VALUE 0x87654321u
#define HW_CFG_RESET 1u
#define HW_CFG_STORE_FORWARD (1u << 20 | 5u << 16) /* MBO, 5 KiB of TX FIFO */
#define IRQ_CFG_ENABLE (1u << 8 | 1u << 4 | 1u)    /* enabled, active high, push-pull */
#define INT_RX (1u << 3 | 1u << 14 | 1u << 15)     /* RX status level, error, watchdog */
#define FIFO_INT_LEVELS 0x48000000u
#define TX_CFG_ON 2u
#define AFC_CFG_DEFAULT 0x006E3740u
#define MAC_BUSY 0x80000000u
#define MAC_READ 0x40000000u
#define MAC_CR 1u
#define MAC_ADDRH 2u
#define MAC_ADDRL 3u
#define MAC_CR_FULL_DUPLEX (1u << 20)
#define MAC_CR_TX_RX (1u << 3 | 1u << 2)
#define RX_STATUS_ERROR 0x8000u
#define CRC_BYTES 4u
#define TX_OVERHEAD_BYTES 16u
#define FRAME_WORDS 384u
#define SPINS 100000u
#define FRAMES_A_POLL 16u /* then the rest of the loop has its turn, however many still come */

static struct {
    uint32_t ip_rx_bytes, ip_tx_bytes;
} counters;

static bool powered;

static uint32_t reg(uint32_t offset) {
    return REG32(ETHERNET + offset);
}

static void set(uint32_t offset, uint32_t value) {
    REG32(ETHERNET + offset) = value;
}

/* False when the chip does not get there: a broken machine, not a wait for ever. */
static bool wait_clear(uint32_t offset, uint32_t mask) {
    for (uint32_t spin = 0; spin < SPINS; spin++) {
        if ((reg(offset) & mask) == 0) return true;
    }
    return false;
}

static bool mac_write(uint32_t number, uint32_t value) {
    set(MAC_DATA, value);
    set(MAC_CMD, MAC_BUSY | number);
    return wait_clear(MAC_CMD, MAC_BUSY);
}

static bool mac_read(uint32_t number, uint32_t *value) {
    set(MAC_CMD, MAC_BUSY | MAC_READ | number);
    if (!wait_clear(MAC_CMD, MAC_BUSY)) return false;
    *value = reg(MAC_DATA);
    return true;
}

/* Bytes of an Ethernet frame that are IPv4. */
static uint32_t ip_bytes(const struct pbuf *frame) {
    const uint8_t *bytes = frame->payload;
    bool ipv4 = frame->len >= SIZEOF_ETH_HDR && bytes[12] == 0x08 && bytes[13] == 0x00;
    return ipv4 ? (uint32_t)(frame->tot_len - SIZEOF_ETH_HDR) : 0;
}

void ethernet_bytes(uint32_t *rx, uint32_t *tx) {
    *rx = counters.ip_rx_bytes;
    *tx = counters.ip_tx_bytes;
}

static err_t transmit(struct netif *netif, struct pbuf *frame) {
    static uint32_t words[FRAME_WORDS];
    (void)netif;
    uint32_t size = frame->tot_len;
    if (!powered) return ERR_IF;
    if (size > sizeof words) return ERR_BUF;
    (void)pbuf_copy_partial(frame, words, (u16_t)size, 0);
    for (uint32_t spin = 0; (reg(TX_FIFO_INF) & 0xFFFFu) < size + TX_OVERHEAD_BYTES; spin++) {
        if (spin == SPINS) return ERR_IF;
    }
    set(TX_DATA, 1u << 13 | 1u << 12 | size); /* first and last segment of a frame */
    set(TX_DATA, size | 0x10000u);            /* tag 1, length */
    for (uint32_t i = 0; i < (size + 3) / 4; i++) set(TX_DATA, words[i]);
    while ((reg(TX_FIFO_INF) >> 16 & 0xFFu) != 0) (void)reg(TX_STATUS);
    counters.ip_tx_bytes += ip_bytes(frame);
    return ERR_OK;
}

bool ethernet_pending(void) {
    return (reg(RX_FIFO_INF) >> 16 & 0xFFu) != 0;
}

void ethernet_unmask(void) {
    set(INT_STS, 0xFFFFFFFFu);
    set(INT_EN, INT_RX);
}

void ethernet_handler(void);

/* Only to wake the sleeping loop, which reads the frames and unmasks before it sleeps again. */
void ethernet_handler(void) {
    set(INT_EN, 0);
}

static void discard(uint32_t words) {
    while (words-- > 0) (void)reg(RX_DATA);
}

/* The MAC takes and gives nothing while it is off. */
void ethernet_power(bool on) {
    powered = on;
    (void)mac_write(MAC_CR, on ? MAC_CR_FULL_DUPLEX | MAC_CR_TX_RX : 0);
    /* What came before would keep the loop from idling. */
    while (!on && ethernet_pending()) discard(((reg(RX_STATUS) >> 16 & 0x3FFFu) + 3) / 4);
}

void ethernet_poll(struct netif *netif) {
    for (uint32_t i = 0; i < FRAMES_A_POLL && ethernet_pending(); i++) {
        uint32_t status = reg(RX_STATUS), size = status >> 16 & 0x3FFFu, words = (size + 3) / 4;
        struct pbuf *frame = NULL;
        if ((status & RX_STATUS_ERROR) == 0 && size > CRC_BYTES && words <= FRAME_WORDS) {
            frame = pbuf_alloc(PBUF_RAW, (u16_t)(words * 4), PBUF_POOL);
        }
        if (frame == NULL) {
            discard(words);
            continue;
        }
        /* A pool pbuf holds a whole frame (lwipopts.h), so there is one part, and it is word-aligned. */
        uint32_t *to = frame->payload;
        for (uint32_t word = 0; word < words; word++) to[word] = reg(RX_DATA);
        pbuf_realloc(frame, (u16_t)(size - CRC_BYTES));
        counters.ip_rx_bytes += ip_bytes(frame);
        if (netif->input(frame, netif) != ERR_OK) (void)pbuf_free(frame);
    }
}

int8_t ethernet_init(struct netif *netif) {
    if (reg(BYTE_TEST) != BYTE_TEST_VALUE) return ERR_IF;
    set(HW_CFG, HW_CFG_RESET);
    uint32_t low, high;
    if (!wait_clear(HW_CFG, HW_CFG_RESET)) return ERR_IF;
    set(HW_CFG, HW_CFG_STORE_FORWARD);
    set(AFC_CFG, AFC_CFG_DEFAULT);
    if (!mac_read(MAC_ADDRL, &low) || !mac_read(MAC_ADDRH, &high)) return ERR_IF;
    for (uint32_t i = 0; i < 4; i++) netif->hwaddr[i] = (uint8_t)(low >> (8 * i));
    netif->hwaddr[4] = (uint8_t)high;
    netif->hwaddr[5] = (uint8_t)(high >> 8);
    netif->hwaddr_len = ETH_HWADDR_LEN;
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP | NETIF_FLAG_ETHERNET;
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->output = etharp_output;
    netif->linkoutput = transmit;
    set(IRQ_CFG, IRQ_CFG_ENABLE);
    set(FIFO_INT, FIFO_INT_LEVELS);
    set(RX_CFG, 0);
    set(TX_CFG, TX_CFG_ON);
    if (!mac_write(MAC_CR, MAC_CR_FULL_DUPLEX | MAC_CR_TX_RX)) return ERR_IF;
    powered = true;
    ethernet_unmask();
    /* Not before IRQ_CFG is set: until then the line is active low, that is, always active. */
    REG32(NVIC_ISER) = 1u << IRQ_ETHERNET;
    return ERR_OK;
}
