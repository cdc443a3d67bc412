#include <stddef.h>

#include "lwip/ip.h"
#include "lwip/udp.h"
#include "tinyfleet/udp.h"

static struct {
    void *context;
    tf_udp_answer_t answer;
} user;

/* Only what was sent to this node alone: a broadcast would be answered by all at once. A frame lies in one
 * part (lwipopts.h), so what IP put together from several is left out. */
static bool is_ours(const struct pbuf *datagram) {
    return datagram->len == datagram->tot_len &&
           ip_addr_cmp(ip_current_dest_addr(), netif_ip_addr4(ip_current_netif()));
}

static void on_datagram(void *context, struct udp_pcb *pcb, struct pbuf *datagram, const ip_addr_t *from,
                        u16_t port) {
    const uint8_t *bytes = NULL;
    uint32_t length = 0;
    (void)context;
    if (is_ours(datagram)) length = user.answer(user.context, datagram->payload, datagram->len, &bytes);
    (void)pbuf_free(datagram);
    if (length == 0 || length > UINT16_MAX) return;
    struct pbuf *out = pbuf_alloc(PBUF_TRANSPORT, (u16_t)length, PBUF_RAM);
    if (out == NULL) return;
    if (pbuf_take(out, bytes, (u16_t)length) == ERR_OK) (void)udp_sendto(pcb, out, from, port);
    (void)pbuf_free(out);
}

bool tf_udp_open(uint16_t port, void *context, tf_udp_answer_t answer) {
    struct udp_pcb *pcb = udp_new();
    if (pcb == NULL) return false;
    user.context = context;
    user.answer = answer;
    udp_recv(pcb, on_datagram, NULL);
    if (udp_bind(pcb, IP_ADDR_ANY, port) == ERR_OK) return true;
    udp_remove(pcb);
    return false;
}
