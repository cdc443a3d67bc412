#include "lwip/udp.h"
#include "tinyfleet/query.h"

static void on_received(void *context, struct udp_pcb *pcb, struct pbuf *received, const ip_addr_t *from,
                        u16_t port) {
    tf_query_t *link = context;
    uint8_t packet[TF_QUERY_PACKET_MAX];
    (void)pcb, (void)from, (void)port; /* connected: lwIP hands over what comes from our server */
    u16_t size = pbuf_copy_partial(received, packet, sizeof packet, 0);
    pbuf_free(received);
    link->on_packet(link->context, packet, size);
}

bool tf_query_open(tf_query_t *link, const uint8_t host[4], uint16_t port) {
    ip_addr_t address;
    tf_query_close(link);
    IP_ADDR4(&address, host[0], host[1], host[2], host[3]);
    link->pcb = udp_new();
    if (link->pcb == NULL) return false;
    udp_recv(link->pcb, on_received, link);
    if (udp_connect(link->pcb, &address, port) == ERR_OK) return true;
    tf_query_close(link);
    return false;
}

void tf_query_close(tf_query_t *link) {
    if (link->pcb != NULL) udp_remove(link->pcb);
    link->pcb = NULL;
}

bool tf_query_send(tf_query_t *link, const uint8_t *data, uint32_t size) {
    struct pbuf *packet = link->pcb == NULL ? NULL : pbuf_alloc(PBUF_TRANSPORT, (u16_t)size, PBUF_RAM);
    if (packet == NULL) return false;
    bool sent = pbuf_take(packet, data, (u16_t)size) == ERR_OK && udp_send(link->pcb, packet) == ERR_OK;
    pbuf_free(packet);
    return sent;
}
