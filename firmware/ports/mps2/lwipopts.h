/* lwIP on a node: raw API, IPv4, DHCP and TCP, one connection. */
#ifndef TINYFLEET_LWIPOPTS_H
#define TINYFLEET_LWIPOPTS_H

#define NO_SYS 1
#define LWIP_TIMERS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_RAW 0
#define LWIP_ICMP 1
#define LWIP_ARP 1
#define LWIP_UDP 1
#define LWIP_DHCP 1
/* Nothing that a node sends or is sent is larger than a frame. */
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define LWIP_DNS 0
#define LWIP_TCP 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_STATS 0
#define DHCP_DOES_ARP_CHECK 0 /* QEMU's user network answers for every address */

#define MEM_ALIGNMENT 4
#define MEM_SIZE (16 * 1024)
#define MEMP_NUM_TCP_PCB 4
#define MEMP_NUM_TCP_SEG 40
#define MEMP_NUM_SYS_TIMEOUT 12

/* 8 x MSS loses frames in QEMU's user network; up to 6 x holds. */
#define TCP_MSS 1460
#define TCP_WND (4 * TCP_MSS)
#define TCP_SND_BUF (4 * TCP_MSS)
#define TCP_SND_QUEUELEN 32
#define TCP_LISTEN_BACKLOG 0

/* A whole frame in one pbuf: the driver fills it by words. */
#define PBUF_POOL_SIZE 16
#define PBUF_POOL_BUFSIZE 1536

#endif
