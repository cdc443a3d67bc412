/* The network below the connection: lwIP, one interface, an address by DHCP. */
#include "lwip/dhcp.h"
#include "lwip/init.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"
#include "tinyfleet/link.h"

/* lwIP's timers of TCP, DHCP and ARP are served together, at the pace of the fastest: an idle node wakes four
 * times a second, not seven. */
#define TURN_MS 250u

static struct netif netif;
static bool told, off;

const char *tf_link_start(tf_link_t *link, const tf_node_port_t *port, const char *name) {
    link->port = port;
    lwip_init();
    if (netif_add(&netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, NULL, port->net_init,
                  ethernet_input) == NULL) {
        return "the network interface does not answer";
    }
    netif_set_default(&netif);
    netif_set_hostname(&netif, name);
    netif_set_up(&netif);
    return dhcp_start(&netif) == ERR_OK ? NULL : "DHCP has no memory";
}

bool tf_link_poll(tf_link_t *link) {
    link->port->net_poll(&netif);
    sys_check_timeouts();
    if (dhcp_supplied_address(&netif) == 0) return false;
    if (!told) tf_console("net: address %s", ip4addr_ntoa(netif_ip4_addr(&netif)));
    told = true;
    return true;
}

void tf_link_power(tf_link_t *link, bool on) {
    void (*power)(bool) = link->port->net_power;
    off = !on;
    if (on && power != NULL) power(true);
    if (on) {
        /* As if no time had passed: DHCP asks for its address again at once, by the link that came up. */
        sys_restart_timeouts();
        netif_set_up(&netif);
        netif_set_link_up(&netif);
    } else {
        netif_set_link_down(&netif);
        netif_set_down(&netif);
    }
    if (off && power != NULL) power(false);
}

static uint32_t until_timers_ms(void) {
    uint32_t due_ms = off ? UINT32_MAX : sys_timeouts_sleeptime();
    if (due_ms == 0 || due_ms == UINT32_MAX) return due_ms;
    uint32_t past_ms = (sys_now() + due_ms) % TURN_MS;
    return past_ms == 0 ? due_ms : due_ms + TURN_MS - past_ms;
}

void tf_link_idle(tf_link_t *link, uint32_t ms) {
    uint32_t due_ms = until_timers_ms();
    link->port->idle(due_ms < ms ? due_ms : ms);
}
