/* The floor of the relay job: nothing less than this can do it. Waits, reads a packet, writes our SSRC and sequence
 * number into it, sends it on; every socket is connected. Usage: relay_floor CALLS FIRST_PHONE FIRST_PORT, as
 * `python -m bench.relay`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { MOST = 8192 };

static struct sockaddr_in at(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int main(int argc, char **argv) {
    if (argc != 4 || atoi(argv[1]) * 2 > MOST) return 2;
    int count = atoi(argv[1]) * 2, phone = atoi(argv[2]), port = atoi(argv[3]), epoll = epoll_create1(0);
    static int fd[MOST];
    static uint16_t sequence[MOST];
    for (int n = 0; n < count; n++) {
        struct sockaddr_in here = at(port + 2 * n), there = at(phone + 2 * n);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = n};
        fd[n] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (bind(fd[n], (struct sockaddr *)&here, sizeof here)) return perror("bind"), 1;
        if (connect(fd[n], (struct sockaddr *)&there, sizeof there)) return perror("connect"), 1;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd[n], &event);
        printf("%d\n", port + 2 * n);
    }
    puts("");
    fflush(stdout);
    for (;;) {
        struct epoll_event ready[1024];
        int found = epoll_wait(epoll, ready, 1024, -1);
        for (int i = 0; i < found; i++) {
            unsigned char data[2048];
            int n = ready[i].data.u32, other = n ^ 1;
            ssize_t length = recv(fd[n], data, sizeof data, 0);
            if (length < 12) continue;
            uint16_t number = htons(++sequence[other]);
            uint32_t ssrc = htonl(0x20000 + other);
            memcpy(data + 2, &number, 2);
            memcpy(data + 8, &ssrc, 4);
            send(fd[other], data, length, 0);
        }
    }
}
