/* The load of the jobs with texts by SMPP: an SMSC that sends deliver_sm over one bind, and takes submit_sm.
 *
 * Usage: smsc_load PORT WINDOW RATE REPLIES PATIENCE < pdus. Listens, and prints `bound` once somebody has bound as a
 * receiver or transceiver; it ends when nobody does within so many seconds. Then it reads deliver_sm PDUs as they go on the wire, whose sequence numbers it sets, to the end of the
 * input, and sends them with WINDOW at most that are not acknowledged; with a RATE of 0 as fast as they are, else each
 * at its time, from which its latency counts. A PDU refused for now (ESME_RX_T_APPN) is sent again. So many REPLIES are
 * waited for, or until for ten seconds nothing comes.
 *
 * Prints: PDUs acknowledged, those acknowledged ESME_ROK, replies taken, the milliseconds until the last answer, and of
 * the latency the median, the 99th percentile and the greatest, in microseconds. All on 127.0.0.1. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16, ROOM = 1 << 18, BUCKETS = 2000000, QUIET_MS = 10000, HEADER = 16 };
enum { SUBMIT = 4, DELIVER = 5, UNBIND = 6, RECEIVER = 1, TRANSMITTER = 2, TRANSCEIVER = 9, ENQUIRE = 0x15 };
static const uint32_t RESPONSE = 0x80000000;

static struct end { int fd; size_t have; char data[ROOM]; } ends[MOST];
static uint32_t bucket[BUCKETS + 1];
static char *input, **pdus;
static int64_t *dues;
static long count, sent, answered, fine, replies, many_ends;
static struct end *bound;
static int poller;
static int64_t first, last, interval;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void fail(const char *what) { perror(what); exit(1); }

static uint32_t get(const char *data, int word) {
    uint32_t value;
    memcpy(&value, data + 4 * word, 4);
    return ntohl(value);
}

static void put(char *data, int word, uint32_t value) {
    value = htonl(value);
    memcpy(data + 4 * word, &value, 4);
}

static void out(int fd, const char *data, size_t length) {
    while (length) { /* the socket blocks: whoever does not read is waited for */
        ssize_t done = write(fd, data, length);
        if (done < 0) fail("write");
        data += done;
        length -= done;
    }
}

static void answer(struct end *end, uint32_t command, uint32_t sequence, const char *body, size_t length) {
    char data[HEADER + 64];
    put(data, 0, HEADER + length);
    put(data, 1, command | RESPONSE);
    put(data, 2, 0);
    put(data, 3, sequence);
    memcpy(data + HEADER, body, length);
    out(end->fd, data, HEADER + length);
}

static void deliver(long number, int64_t due) {
    put(pdus[number], 3, number + 1);
    dues[number] = due;
    out(bound->fd, pdus[number], get(pdus[number], 0));
}

static void handle(struct end *end, const char *pdu) {
    uint32_t command = get(pdu, 1), status = get(pdu, 2), sequence = get(pdu, 3);
    char id[32];
    switch (command) {
    case RECEIVER: case TRANSCEIVER:
        bound = end; /* fallthrough */
    case TRANSMITTER:
        answer(end, command, sequence, "bench", 6);
        break;
    case SUBMIT:
        answer(end, command, sequence, id, snprintf(id, sizeof id, "%ld", ++replies) + 1);
        break;
    case ENQUIRE: case UNBIND:
        answer(end, command, sequence, "", 0);
        break;
    case DELIVER | 0x80000000u:
        if (!sequence || sequence > (uint32_t)count) break;
        if (status == 0x64) { deliver(sequence - 1, now()); break; }
        int64_t micros = (last - dues[sequence - 1]) / 1000;
        bucket[micros < 0 ? 0 : micros > BUCKETS ? BUCKETS : micros]++;
        answered++;
        fine += status == 0;
    }
}

static void hear(struct end *end) {
    ssize_t length = read(end->fd, end->data + end->have, ROOM - end->have);
    size_t at = 0, size;
    if (length <= 0) {
        close(end->fd);
        if (bound == end) { bound = NULL; if (answered < count) fail("the bind is gone"); }
        end->fd = -1;
        return;
    }
    end->have += length;
    last = now();
    while (end->have - at >= HEADER && end->have - at >= (size = get(end->data + at, 0))) {
        if (size < HEADER || size > ROOM) { fprintf(stderr, "no PDU\n"); exit(1); }
        handle(end, end->data + at);
        at += size;
    }
    end->have -= at;
    memmove(end->data, end->data + at, end->have);
}

static void turn(int listener, int wait) {
    struct epoll_event events[MOST];
    int found = epoll_wait(poller, events, MOST, wait), one = 1;
    for (int n = 0; n < found; n++) {
        if (events[n].data.ptr) { hear(events[n].data.ptr); continue; }
        struct end *end = &ends[many_ends++ % MOST];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};
        if ((end->fd = accept(listener, NULL, NULL)) < 0) fail("accept");
        end->have = 0;
        setsockopt(end->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(poller, EPOLL_CTL_ADD, end->fd, &event);
    }
}

static void read_input(int listener) {
    size_t size = 0, room = 1 << 20, at;
    ssize_t length;
    struct epoll_event event = {.events = EPOLLIN};
    int ready = epoll_create1(0);
    input = malloc(room);
    if (epoll_ctl(ready, EPOLL_CTL_ADD, 0, &event)) ready = -1; /* a file is always ready */
    for (;;) {
        if (ready >= 0 && !epoll_wait(ready, &event, 1, 10)) { turn(listener, 0); continue; }
        if ((length = read(0, input + size, room - size)) <= 0) break;
        if ((size += length) == room && !(input = realloc(input, room *= 2))) fail("realloc");
    }
    for (at = 0; at < size; at += get(input + at, 0)) count++;
    pdus = malloc(count * sizeof *pdus + 1);
    dues = malloc(count * sizeof *dues + 1);
    for (at = 0, count = 0; at < size; at += get(input + at, 0)) pdus[count++] = input + at;
}

static long quantile(double part) {
    long many = 0;
    for (long n = 0; n <= BUCKETS; n++)
        if ((many += bucket[n]) && many >= part * answered) return n;
    return 0;
}

int main(int words_count, char **words) {
    if (words_count != 6) { fprintf(stderr, "smsc_load PORT WINDOW RATE REPLIES PATIENCE < pdus\n"); return 2; }
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    long window = atol(words[2]), wanted = atol(words[4]);
    double rate = atof(words[3]);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    interval = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) fail("listen");
    poller = epoll_create1(0);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening);
    for (first = now(); !bound; turn(listener, 100))
        if (now() - first > atof(words[5]) * 1e9) return 1;
    printf("bound\n");
    fflush(stdout);
    read_input(listener);
    first = last = now();
    while (answered < count || replies < wanted) {
        int64_t time = now();
        if (time - last > QUIET_MS * 1000000LL) break;
        while (sent < count && sent - answered < window && (!interval || first + sent * interval <= time)) {
            deliver(sent, interval ? first + sent * interval : time);
            sent++;
        }
        turn(listener, interval && sent < count ? 1 : 100);
    }
    printf("%ld %ld %ld %ld %ld %ld %ld\n", answered, fine, replies, (long)((last - first) / 1000000), quantile(0.5),
           quantile(0.99), quantile(1));
    return 0;
}
