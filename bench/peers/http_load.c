/* The load of the jobs with texts by webhook: posts requests over connections that stay open, and takes the replies.
 *
 * Usage: http_load PORT CONNECTIONS RATE LISTEN REPLIES < requests. The input is requests as they go on the wire, each
 * after its length (four bytes, this machine's order). One is under way on each connection. With a RATE of 0 the next
 * leaves when an answer came, else each is due at its time, and its latency counts from then. Requests to the port
 * LISTEN are answered 200; so many REPLIES are waited for, or until for ten seconds nothing comes.
 *
 * Prints: requests sent, answered 2xx, replies taken, the milliseconds from first to last answer, and of the latency
 * the median, the 99th percentile and the greatest, in microseconds. All on 127.0.0.1. */
#define _GNU_SOURCE
#include <arpa/inet.h>
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

enum { MOST = 1024, ROOM = 65536, BUCKETS = 2000000, QUIET_MS = 10000 };
enum side { IDLE, ASKING, SERVING };

static struct end { enum side side; char data[ROOM]; size_t have; int64_t due; } *ends[MOST];
static uint32_t bucket[BUCKETS + 1]; /* of microseconds until an answer */
static char *input, *next_request, *end_of_input;
static long sent, answered, fine, replies, free_count;
static int free_ends[MOST], poller, server_port;
static int64_t first, interval, started, last;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void fail(const char *what) { perror(what); exit(1); }

static struct sockaddr_in at(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch(int fd, enum side side) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int one = 1;
    if (fd >= MOST) { fprintf(stderr, "too many connections\n"); exit(1); }
    if (!ends[fd] && !(ends[fd] = malloc(sizeof **ends))) fail("malloc");
    ends[fd]->side = side;
    ends[fd]->have = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static void open_one(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at(server_port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    watch(fd, IDLE);
    free_ends[free_count++] = fd;
}

static void ask(int64_t time) {
    while (free_count && next_request < end_of_input) {
        int64_t due = interval ? first + sent * interval : time;
        uint32_t length;
        if (due > time) return;
        int fd = free_ends[--free_count];
        memcpy(&length, next_request, 4);
        if (write(fd, next_request + 4, length) != (ssize_t)length) fail("write");
        next_request += 4 + length;
        ends[fd]->side = ASKING;
        ends[fd]->due = due;
        sent++;
    }
}

/* The length of the message that is whole at the beginning of what came, 0 when none is. */
static size_t whole(struct end *end) {
    end->data[end->have] = 0;
    char *head = strstr(end->data, "\r\n\r\n");
    if (!head) return 0;
    char *field = strcasestr(end->data, "\r\ncontent-length:");
    size_t length = head + 4 - end->data + (field && field < head ? strtoul(field + 17, NULL, 10) : 0);
    return length <= end->have ? length : 0;
}

static void lose(int fd) {
    int asking = ends[fd]->side != SERVING;
    close(fd);
    if (!asking) return;
    for (long n = 0; n < free_count; n++)
        if (free_ends[n] == fd) free_ends[n] = free_ends[--free_count];
    open_one(); /* what was asked on it is one without an answer */
}

static void hear(int fd) {
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
    struct end *end = ends[fd];
    ssize_t length = read(fd, end->data + end->have, ROOM - 1 - end->have);
    if (length <= 0) { lose(fd); return; }
    end->have += length;
    last = now();
    for (size_t size; (size = whole(end)); ) {
        if (end->side == SERVING) {
            replies++;
            if (write(fd, ok, sizeof ok - 1) < 0) { lose(fd); return; }
        } else if (end->side == ASKING) {
            int64_t micros = (last - end->due) / 1000;
            int closes = strcasestr(end->data, "\r\nconnection: close") != NULL;
            bucket[micros < 0 ? 0 : micros > BUCKETS ? BUCKETS : micros]++;
            answered++;
            fine += end->data[9] == '2';
            end->side = IDLE;
            if (closes) { lose(fd); return; }
            free_ends[free_count++] = fd;
        }
        end->have -= size;
        memmove(end->data, end->data + size, end->have);
    }
}

static void read_input(void) {
    size_t size = 0, room = 1 << 20;
    ssize_t length;
    input = malloc(room);
    while ((length = read(0, input + size, room - size)) > 0)
        if ((size += length) == room && !(input = realloc(input, room *= 2))) fail("realloc");
    next_request = input;
    end_of_input = input + size;
}

static long quantile(double part) {
    long many = 0;
    for (long n = 0; n <= BUCKETS; n++)
        if ((many += bucket[n]) && many >= part * answered) return n;
    return 0;
}

int main(int count, char **words) {
    if (count != 6) { fprintf(stderr, "http_load PORT CONNECTIONS RATE LISTEN REPLIES < requests\n"); return 2; }
    double rate = atof(words[3]);
    long wanted = atol(words[5]);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = at(atoi(words[4]));
    struct epoll_event events[64], listening = {.events = EPOLLIN, .data.fd = listener};
    server_port = atoi(words[1]);
    interval = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    read_input();
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 256)) fail("listen");
    poller = epoll_create1(0);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening);
    for (int n = atoi(words[2]); n > 0; n--) open_one();
    first = started = last = now();
    while (next_request < end_of_input || answered < sent || replies < wanted) {
        int64_t time = now();
        if (time - last > QUIET_MS * 1000000LL) break;
        ask(time);
        int found = epoll_wait(poller, events, 64, interval && next_request < end_of_input ? 1 : 100);
        for (int n = 0; n < found; n++) {
            int fd = events[n].data.fd;
            if (fd == listener) watch(accept(listener, NULL, NULL), SERVING);
            else hear(fd);
        }
    }
    printf("%ld %ld %ld %ld %ld %ld %ld\n", sent, fine, replies, (long)((last - started) / 1000000), quantile(0.5),
           quantile(0.99), quantile(1));
    return 0;
}
