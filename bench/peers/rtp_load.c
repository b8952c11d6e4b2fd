/* The load of the relay job: so many telephones that talk through a relay, two by two, and hear each other.
 *
 * Usage: rtp_load FIRST_PORT SECONDS < targets. Each line of the input is the port of the relay that the next telephone
 * sends to; telephone 2n and 2n+1 are one call. Telephone n is at FIRST_PORT + 2n. All on 127.0.0.1.
 *
 * Each sends a packet of 20 ms of G.711 every 20 ms, all of them spread evenly over that time, and the time of sending
 * is in its payload; that of arrival is the kernel's. Prints: packets sent, received, received by the wrong telephone or twice, and of the time on the
 * way the median, the 99th percentile and the greatest, in microseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { MOST = 8192, PAYLOAD = 160, HEADER = 12, BUCKETS = 200000, PTIME_NS = 20000000 };

static struct { int fd; uint16_t sequence; } phone[MOST];
static uint32_t bucket[BUCKETS + 1]; /* of microseconds on the way */
static long sent, received, wrong;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static struct sockaddr_in at(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void hear(int n) {
    unsigned char data[2048], ancillary[64];
    ssize_t length;
    struct iovec part = {data, sizeof data};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary};
    while (message.msg_controllen = sizeof ancillary,
           (length = recvmsg(phone[n].fd, &message, MSG_DONTWAIT)) > 0) {
        int32_t from;
        int64_t when;
        struct timespec came;
        struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
        if (length != HEADER + PAYLOAD) continue; /* silence of another packet time, or no RTP */
        memcpy(&from, data + HEADER, sizeof from);
        memcpy(&when, data + HEADER + sizeof from, sizeof when);
        if (!stamp || stamp->cmsg_type != SCM_TIMESTAMPNS) continue;
        memcpy(&came, CMSG_DATA(stamp), sizeof came);
        int64_t way = (came.tv_sec * 1000000000LL + came.tv_nsec - when) / 1000;
        if (memcmp(data + HEADER + 12, "edge", 4)) continue; /* what the relay says for itself */
        if (from != (n ^ 1)) { wrong++; continue; }
        received++;
        bucket[way < 0 ? 0 : way > BUCKETS ? BUCKETS : way]++;
    }
}

static void say(int n) {
    unsigned char data[HEADER + PAYLOAD];
    uint16_t sequence = htons(phone[n].sequence);
    uint32_t timestamp = htonl(phone[n].sequence * PAYLOAD), ssrc = htonl(0x10000 + n);
    int64_t when = now();
    int32_t from = n;
    memset(data, 0x55, sizeof data);
    data[0] = 0x80, data[1] = phone[n].sequence++ ? 0 : 0x80;
    memcpy(data + 2, &sequence, 2);
    memcpy(data + 4, &timestamp, 4);
    memcpy(data + 8, &ssrc, 4);
    memcpy(data + HEADER, &from, 4);
    memcpy(data + HEADER + 4, &when, 8);
    memcpy(data + HEADER + 12, "edge", 4);
    if (send(phone[n].fd, data, sizeof data, MSG_DONTWAIT) == sizeof data) sent++;
}

static long percentile(double share) {
    long seen = 0;
    for (long us = 0; us <= BUCKETS; us++)
        if ((seen += bucket[us]) && seen >= received * share) return us;
    return BUCKETS;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int first = atoi(argv[1]), count = 0, target, epoll = epoll_create1(0), size = 1 << 20, yes = 1;
    struct rlimit files = {MOST + 64, MOST + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    while (count < MOST && scanf("%d", &target) == 1) {
        struct sockaddr_in here = at(first + 2 * count), there = at(target);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = count};
        phone[count].fd = socket(AF_INET, SOCK_DGRAM, 0);
        setsockopt(phone[count].fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        setsockopt(phone[count].fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
        if (bind(phone[count].fd, (struct sockaddr *)&here, sizeof here)) return perror("bind"), 1;
        if (connect(phone[count].fd, (struct sockaddr *)&there, sizeof there)) return perror("connect"), 1;
        epoll_ctl(epoll, EPOLL_CTL_ADD, phone[count].fd, &event);
        count++;
    }
    if (!count || count % 2) return 2;
    int64_t began = now(), end = began + (int64_t)(atof(argv[2]) * 1e9), next = 0;
    while (now() < end + 300000000) { /* what is still on its way is waited for */
        struct epoll_event ready[256];
        int found = epoll_wait(epoll, ready, 256, 0);
        for (int n = 0; n < found; n++) hear(ready[n].data.u32);
        int64_t time = now();
        while (time < end && began + next * PTIME_NS / count <= time) say(next++ % count);
        if (!found) {
            int64_t pause = began + next * PTIME_NS / count - now();
            struct timespec rest = {0, pause < 50000 ? 50000 : pause > 1000000 ? 1000000 : pause};
            nanosleep(&rest, NULL);
        }
    }
    printf("%ld %ld %ld %ld %ld %ld\n", sent, received, wrong, percentile(0.5), percentile(0.99), percentile(1));
    return 0;
}
