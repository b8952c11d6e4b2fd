/* The floor of the redirect job: nothing less than this can do it. Reads a datagram, finds the five headers that an
 * answer repeats, sends the 302; drops ACKs. No transaction, no look-up. Usage: floor PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *const COPIED[] = {"\r\nVia:", "\r\nFrom:", "\r\nTo:", "\r\nCall-ID:", "\r\nCSeq:"};
static const char STATUS[] = "SIP/2.0 302 Moved Temporarily";
static const char END[] = "\r\nContact: <sip:flow@127.0.0.1:5099>\r\nContent-Length: 0\r\n\r\n";

static char *append(char *at, const void *text, size_t length) {
    memcpy(at, text, length);
    return at + length;
}

int main(int argc, char **argv) {
    int sock = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 5072)};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(sock, (struct sockaddr *)&here, sizeof here)) return 1;

    static char in[65536], out[65536];
    for (;;) {
        struct sockaddr_in peer;
        socklen_t peer_size = sizeof peer;
        ssize_t length = recvfrom(sock, in, sizeof in, 0, (struct sockaddr *)&peer, &peer_size);
        if (length < 6 || memcmp(in, "INVITE", 6) || length > 32768) continue;
        char *at = append(out, STATUS, sizeof STATUS - 1);
        for (int i = 0; i < 5; i++) {
            char *line = memmem(in, length, COPIED[i], strlen(COPIED[i]));
            if (!line) continue;
            char *end = memmem(line + 2, in + length - line - 2, "\r\n", 2);
            if (!end) continue;
            at = append(at, line, end - line);
            if (i == 2) at = append(at, ";tag=floor", 10);
        }
        at = append(at, END, sizeof END - 1);
        sendto(sock, out, at - out, 0, (struct sockaddr *)&peer, peer_size);
    }
}
