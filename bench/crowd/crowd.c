/*
 * Many TLS connections of one process that fetch one file over and over, all at the same time, or that are only there.
 *
 *     crowd CONNECTIONS THREADS SECONDS PORT PATH SIZE SUITE
 *
 * Connects all of them to 127.0.0.1 and shakes hands; when the last is there they begin. Once everybody has had a first
 * MiB, and after SECONDS at the latest, a window of SECONDS opens: what is on its way by then is of all of them, and
 * not only of who came first. What they got in it is written as one JSON object: "seconds", "bytes" and "requests"
 * (begun answers) of all, and "least" and "most" bytes of one. With 0 SECONDS each fetches the file once; it writes
 * "idle", and keeps them open until its standard input ends. PATH must be a file of SIZE bytes. Nobody's certificate is
 * looked at. 1: something was not as it should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define CONNECTIONS_MAX 100000
#define THREADS_MAX 256
#define HEAD_MAX 4096
#define RECORD 16384        /* reading a whole record at once leaves nothing in OpenSSL that epoll would not tell of */
#define RECORDS_AT_A_TIME 8 /* of one connection, before the next has its turn */
#define WARM ((uint64_t)1 << 20)

struct member {
    SSL *ssl;
    int fd;
    uint64_t got;    /* bytes of bodies, of all answers */
    uint64_t before; /* what it had got when the window opened */
    uint64_t left;   /* bytes of this answer's body; valid once its head is complete */
    size_t head_length;
    char head[HEAD_MAX];
};

struct crew {
    pthread_t thread;
    struct member *first;
    size_t count;
    uint64_t requests;
};

static struct {
    SSL_CTX *context;
    char request[1024];
    uint64_t size;
    double seconds;
    uint16_t port;
    struct timespec latest;     /* when the window opens in any case; the last to be there sets it */
    struct timespec began, end; /* who opens the window sets both */
    pthread_barrier_t there;
    atomic_size_t cold; /* those who have not had their first bytes yet; 0: nobody, or it is too late for them */
    atomic_bool open;
} plan;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "crowd: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double between(const struct timespec *from, const struct timespec *to)
{
    return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

static void join_in(struct member *member)
{
    struct sockaddr_in there = { .sin_family = AF_INET,
                                 .sin_port = htons(plan.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;

    member->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (member->fd < 0)
        fail(strerror(errno));
    if (connect(member->fd, (const struct sockaddr *)&there, sizeof there) < 0)
        fail(strerror(errno));
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    member->ssl = SSL_new(plan.context);
    if (!member->ssl || SSL_set_fd(member->ssl, member->fd) != 1 || SSL_connect(member->ssl) != 1)
        fail("the handshake failed");
}

static void ask(struct member *member)
{
    member->head_length = 0;
    member->left = plan.size;
    /* A request is smaller than any socket's buffer, and nothing else is on the way there. */
    if (SSL_write(member->ssl, plan.request, (int)strlen(plan.request)) <= 0)
        fail("a request could not be sent");
}

/* Is the head complete, what we asked for, and of the right length? */
static void check_head(char *head)
{
    char *length = strcasestr(head, "\r\ncontent-length:");

    if (strncmp(head, "HTTP/1.1 200", 12) != 0) {
        head[strcspn(head, "\r\n")] = '\0';
        fail(head);
    }
    if (!length || strtoull(length + 17, NULL, 10) != plan.size)
        fail("the answer's Content-Length is not SIZE");
}

static struct timespec later(const struct timespec *now)
{
    struct timespec then = *now;

    then.tv_sec += (time_t)plan.seconds;
    then.tv_nsec += (long)((plan.seconds - (double)(time_t)plan.seconds) * 1e9);
    return then;
}

static void open_window(void)
{
    clock_gettime(CLOCK_MONOTONIC, &plan.began);
    plan.end = later(&plan.began);
    atomic_store(&plan.open, true);
}

/* Somebody has had its first bytes. Only one finds that it was the last. */
static void warmed(void)
{
    size_t cold = atomic_load(&plan.cold);

    while (cold > 0) {
        if (!atomic_compare_exchange_weak(&plan.cold, &cold, cold - 1))
            continue;
        if (cold == 1)
            open_window();
        return;
    }
}

/* Takes what came: the rest of a head, then of a body. True where the answer is complete. */
static int take(struct member *member, const char *bytes, size_t length)
{
    int in_head = member->head_length < 4 || memcmp(member->head + member->head_length - 4, "\r\n\r\n", 4) != 0;

    while (in_head && length > 0) {
        if (member->head_length == HEAD_MAX - 1)
            fail("an answer's head is too long");
        member->head[member->head_length++] = *bytes++;
        length--;
        in_head = member->head_length < 4 || memcmp(member->head + member->head_length - 4, "\r\n\r\n", 4) != 0;
        if (!in_head) {
            member->head[member->head_length] = '\0';
            check_head(member->head);
        }
    }
    if (in_head)
        return 0;
    if (length > member->left)
        fail("an answer is longer than it said");
    member->left -= length;
    if (member->got < WARM && member->got + length >= WARM)
        warmed();
    member->got += length;
    return member->left == 0;
}

/* Reads once. 1: the answer is complete; 0: go on; -1: nothing is there now. */
static int read_some(struct member *member)
{
    char bytes[RECORD];
    int length = SSL_read(member->ssl, bytes, sizeof bytes);

    if (length > 0)
        return take(member, bytes, (size_t)length);
    if (SSL_get_error(member->ssl, length) != SSL_ERROR_WANT_READ)
        fail("a connection was closed");
    return -1;
}

static void turn(struct crew *crew, struct member *member)
{
    for (int i = 0; i < RECORDS_AT_A_TIME; i++) {
        int said = read_some(member);

        if (said < 0)
            return;
        if (said > 0) {
            ask(member);
            crew->requests++;
        }
    }
}

/* Is the window over? What was got before it opened is no part of it. */
static bool is_over(struct crew *crew, bool *counts)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (*counts)
        return between(&now, &plan.end) <= 0;
    if (between(&now, &plan.latest) <= 0 && atomic_exchange(&plan.cold, 0) > 0)
        open_window();
    if (!atomic_load(&plan.open))
        return false;
    for (size_t i = 0; i < crew->count; i++)
        crew->first[i].before = crew->first[i].got;
    crew->requests = 0;
    *counts = true;
    return false;
}

static void read_for_a_while(struct crew *crew)
{
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    bool counts = false;

    for (size_t i = 0; i < crew->count; i++) {
        struct member *member = &crew->first[i];
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = member };

        ask(member);
        crew->requests++;
        fcntl(member->fd, F_SETFL, O_NONBLOCK);
        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, member->fd, &event) < 0)
            fail(strerror(errno));
    }
    do {
        int ready = epoll_wait(epoll, events, 256, 100);

        for (int i = 0; i < ready; i++)
            turn(crew, events[i].data.ptr);
    } while (!is_over(crew, &counts));
    close(epoll);
}

static void *work(void *argument)
{
    struct crew *crew = argument;

    for (size_t i = 0; i < crew->count; i++) {
        struct member *member = &crew->first[i];

        join_in(member);
        if (plan.seconds > 0)
            continue;
        ask(member);
        crew->requests++;
        while (read_some(member) <= 0)
            ;
    }
    if (pthread_barrier_wait(&plan.there) == PTHREAD_BARRIER_SERIAL_THREAD) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        plan.latest = later(&now);
    }
    pthread_barrier_wait(&plan.there);
    if (plan.seconds > 0)
        read_for_a_while(crew);
    return NULL;
}

static void tell(const struct member *members, size_t count, uint64_t requests)
{
    uint64_t total = 0, least = UINT64_MAX, most = 0;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    for (size_t i = 0; i < count; i++) {
        uint64_t got = members[i].got - members[i].before;

        total += got;
        least = got < least ? got : least;
        most = got > most ? got : most;
    }
    printf("{\"seconds\":%.6f,\"bytes\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"least\":%" PRIu64 ",\"most\":%" PRIu64
           "}\n",
           between(&plan.began, &now), total, requests, least, most);
}

static size_t number(const char *text, size_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*end || value == 0 || value > most)
        fail("usage: crowd CONNECTIONS THREADS SECONDS PORT PATH SIZE SUITE");
    return (size_t)value;
}

static void prepare(char **argv)
{
    plan.seconds = strtod(argv[3], NULL);
    plan.port = (uint16_t)number(argv[4], UINT16_MAX);
    plan.size = number(argv[6], SIZE_MAX);
    if ((size_t)snprintf(plan.request, sizeof plan.request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[5]) >=
        sizeof plan.request)
        fail("PATH is too long");
    plan.context = SSL_CTX_new(TLS_client_method());
    if (!plan.context || SSL_CTX_set_min_proto_version(plan.context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(plan.context, argv[7]) != 1)
        fail("OpenSSL does not take that suite");
    SSL_CTX_set_mode(plan.context, SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv)
{
    struct crew crews[THREADS_MAX] = { 0 };
    uint64_t requests = 0;

    size_t count = argc == 8 ? number(argv[1], CONNECTIONS_MAX) : 0;
    size_t threads = number(argc == 8 ? argv[2] : "", THREADS_MAX);
    threads = threads < count ? threads : count;
    prepare(argv);
    struct member *members = calloc(count, sizeof *members);
    atomic_init(&plan.cold, count);
    if (!members || pthread_barrier_init(&plan.there, NULL, (unsigned)threads) != 0)
        fail("there is no memory");
    for (size_t i = 0, first = 0; i < threads; i++) {
        crews[i].first = members + first;
        crews[i].count = count / threads + (i < count % threads);
        first += crews[i].count;
        if (pthread_create(&crews[i].thread, NULL, work, &crews[i]) != 0)
            fail("there is no thread");
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(crews[i].thread, NULL);
        requests += crews[i].requests;
    }
    if (plan.seconds > 0) {
        tell(members, count, requests);
    } else {
        puts("idle");
        fflush(stdout);
        while (getchar() != EOF)
            ;
    }
    return 0; /* who closes thousands of connections one by one gains nothing by it */
}
