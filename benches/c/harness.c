/*
 * bench: does one piece of work with one client, and prints what it took as JSON, one line per figure.
 *
 *     bench CLIENT.so WORK [--OPTION VALUE]...
 *
 * Works: version, receive, send, round_trip, handshake, memory, startup, records, serve.
 *
 * CPU time is that of the whole process, all threads, by getrusage; with --relay PID that of another process is added,
 * by its CPU clock. The server says in which version, suite and group it speaks (--expect), so that nobody is measured
 * with another one.
 */
#define _GNU_SOURCE

#include "harness.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { COMMAND = 32, ANSWER = 96, MESSAGE = 64, TRANSFER = 65536 };

static const struct bench_client *client;
static struct bench_options options = {"", "", "bench.test", "x25519", 13, 0};
static const char *variant = "?";
static const char *expected = "";
static const char *label = ""; /* of the certificate, for the output */
static const char *certificate = "", *key = "";
static size_t call = 65536;
static size_t bytes = 100 * 1000 * 1000;
static int count = 100;
static int port;
static int tickets;
static pid_t relay;

static double seconds(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) != 0) {
        die("clock_gettime", strerror(errno));
    }
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage u;
    clockid_t other;
    double sum;

    getrusage(RUSAGE_SELF, &u);
    sum = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    if (relay != 0) {
        if (clock_getcpuclockid(relay, &other) != 0) {
            die("clock_getcpuclockid", "the relay is gone");
        }
        sum += seconds(other);
    }
    return sum;
}

static void print(const char *bench, const char *metric, double value)
{
    printf("{\"bench\": \"%s\", \"variant\": \"%s\", \"params\": {\"tls\": \"%s\"", bench, variant,
           options.tls == 12 ? "1.2" : "1.3");
    if (strncmp(bench, "bulk", 4) == 0) {
        printf(", \"call\": %zu, \"bytes\": %zu", call, bytes);
    } else if (strcmp(bench, "handshake") == 0) {
        printf(", \"group\": \"%s\", \"certificate\": \"%s\", \"resumed\": %s, \"count\": %d", options.group, label,
               options.resume ? "true" : "false", count);
    }
    printf("}, \"metric\": \"%s\", \"value\": %.9g}\n", metric, value);
}

static int connected(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die("connect", strerror(errno));
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void receive_all(void *c, char *buffer, size_t length)
{
    size_t got = 0;

    while (got < length) {
        size_t n = client->receive(c, buffer + got, length - got);

        if (n == 0) {
            die("receive", "the connection has ended early");
        }
        got += n;
    }
}

static void command(void *c, char what, size_t number)
{
    char text[COMMAND] = "";

    snprintf(text, sizeof text, "%c %zu", what, number);
    client->send(c, text, sizeof text);
}

/* What the server says of the connection, against --expect. Answers whether it was resumed. */
static int check(void *c)
{
    char answer[ANSWER + 1] = "";
    char *resumed;

    command(c, 'Q', 0);
    receive_all(c, answer, ANSWER);
    resumed = strstr(answer, " resumed=");
    if (resumed == NULL) {
        die("the server's answer", answer);
    }
    *resumed = '\0';
    if (*expected != '\0' && strcmp(answer, expected) != 0) {
        fprintf(stderr, "agreed on \"%s\", not \"%s\"\n", answer, expected);
        exit(1);
    }
    return resumed[9] == '1';
}

static void *ready(void)
{
    void *c = client->open(connected());

    if (check(c)) {
        die("handshake", "resumed a session that nobody has");
    }
    return c;
}

static void bulk(int send)
{
    const char *bench = send ? "bulk_send" : "bulk_receive";
    char *buffer = malloc(call);
    void *c = ready();
    double cpu_begun, begun;
    size_t done;

    memset(buffer, 'x', call);
    /* Windows and buffers have grown by then. */
    for (int i = 0; i < 2; i++) {
        size_t length = i == 0 ? (bytes < 10 * 1000 * 1000 ? bytes : 10 * 1000 * 1000) : bytes;

        cpu_begun = cpu();
        begun = seconds(CLOCK_MONOTONIC);
        command(c, send ? 'R' : 'S', length);
        for (done = 0; done < length;) {
            size_t part = length - done < call ? length - done : call;

            if (send) {
                client->send(c, buffer, part);
            } else {
                part = client->receive(c, buffer, part);
                if (part == 0) {
                    die("receive", "the connection has ended early");
                }
            }
            done += part;
        }
        if (send) {
            receive_all(c, buffer, 1);
        }
    }
    print(bench, "cpu_s_per_gb", (cpu() - cpu_begun) / ((double)bytes / 1e9));
    print(bench, "mb_per_s", (double)bytes / 1e6 / (seconds(CLOCK_MONOTONIC) - begun));
    client->close(c);
    free(buffer);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void round_trips(void)
{
    char message[MESSAGE] = "hello";
    double *took = calloc((size_t)count, sizeof *took);
    void *c = ready();
    double begun = 0;

    command(c, 'E', (size_t)count + 100);
    for (int i = -100; i < count; i++) {
        double start = seconds(CLOCK_MONOTONIC);

        if (i == 0) {
            begun = cpu();
        }
        client->send(c, message, sizeof message);
        receive_all(c, message, sizeof message);
        if (i >= 0) {
            took[i] = (seconds(CLOCK_MONOTONIC) - start) * 1e6;
        }
    }
    print("round_trip", "cpu_us", (cpu() - begun) / count * 1e6);
    qsort(took, (size_t)count, sizeof *took, ascending);
    print("round_trip", "median_us", took[count / 2]);
    print("round_trip", "p99_us", took[(size_t)count * 99 / 100]);
    client->close(c);
    free(took);
}

/* Connect, handshake, close, again and again. When resuming the server's answer is read as well: behind it is nothing
 * that could be missed, and before it came the ticket for the next one. */
static void handshakes(void)
{
    double begun = 0, inside = 0;
    int resumed = 0;

    for (int i = -3; i < count; i++) {
        double start;
        int fd = connected();
        void *c;

        if (i == 0) {
            begun = cpu();
            inside = 0;
        }
        start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        c = client->open(fd);
        inside += seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
        if (options.resume) {
            resumed += check(c) && i >= 0;
        } else if (i < 0 && check(c)) {
            die("handshake", "resumed a session that is not to be offered");
        }
        client->close(c);
    }
    print("handshake", "per_cpu_s", count / (cpu() - begun));
    print("handshake", "inside_cpu_us", inside / count * 1e6);
    if (options.resume) {
        print("handshake", "resumed_share", (double)resumed / count);
    }
}

static double resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;

    if (f == NULL || fscanf(f, "%ld %ld", &size, &pages) != 2) {
        die("/proc/self/statm", strerror(errno));
    }
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double heap(void)
{
    struct mallinfo2 m = mallinfo2();

    return (double)m.uordblks + (double)m.hblkhd;
}

static void transfer(void *c, char *buffer)
{
    command(c, 'S', TRANSFER);
    receive_all(c, buffer, TRANSFER);
    command(c, 'R', TRANSFER);
    client->send(c, buffer, TRANSFER);
    receive_all(c, buffer, 1);
}

static void memory(void)
{
    void **all = calloc((size_t)count, sizeof *all);
    char *buffer = malloc(TRANSFER);
    struct timespec idle = {1, 500 * 1000 * 1000};
    double heap_before, resident_before;
    void *first = ready();

    /* What the library has once is there before the counting begins. */
    transfer(first, buffer);
    nanosleep(&idle, NULL);
    heap_before = heap();
    resident_before = resident();
    for (int i = 0; i < count; i++) {
        all[i] = ready();
        transfer(all[i], buffer);
    }
    nanosleep(&idle, NULL);
    print("memory", "heap_bytes", (heap() - heap_before) / count);
    print("memory", "resident_bytes", (resident() - resident_before) / count);
    for (int i = 0; i < count; i++) {
        client->close(all[i]);
    }
    client->close(first);
    free(all);
    free(buffer);
}

static void load(const char *path)
{
    void *object = dlopen(path, RTLD_NOW);

    client = object != NULL ? dlsym(object, "bench_client") : NULL;
    if (client == NULL) {
        die(path, dlerror());
    }
}

static void startup(const char *path)
{
    int fd = connected();
    double begun = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double loaded, set_up;
    void *c;

    load(path);
    loaded = seconds(CLOCK_PROCESS_CPUTIME_ID);
    client->setup(&options);
    set_up = seconds(CLOCK_PROCESS_CPUTIME_ID);
    c = client->open(fd);
    print("startup", "load_cpu_ms", (loaded - begun) * 1e3);
    print("startup", "setup_cpu_ms", (set_up - begun) * 1e3);
    print("startup", "first_socket_cpu_ms", (seconds(CLOCK_PROCESS_CPUTIME_ID) - begun) * 1e3);
    check(c);
    client->close(c);
}

static void records(void)
{
    for (int seal = 0; seal < 2; seal++) {
        double begun;

        client->records(seal, bytes / 10);
        begun = cpu();
        client->records(seal, bytes);
        print(seal ? "aead_seal" : "aead_open", "cpu_s_per_gb", (cpu() - begun) / ((double)bytes / 1e9));
    }
}

static void serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        die("listen", strerror(errno));
    }
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    client->serve(fd, certificate, key, tickets);
}

static void parse(int argc, char **argv)
{
    for (int i = 3; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (strcmp(name, "--variant") == 0) {
            variant = value;
        } else if (strcmp(name, "--mode") == 0) {
            options.mode = value;
        } else if (strcmp(name, "--ca") == 0) {
            options.ca = value;
        } else if (strcmp(name, "--name") == 0) {
            options.name = value;
        } else if (strcmp(name, "--group") == 0) {
            options.group = value;
        } else if (strcmp(name, "--tls") == 0) {
            options.tls = atoi(value);
        } else if (strcmp(name, "--resume") == 0) {
            options.resume = atoi(value);
        } else if (strcmp(name, "--expect") == 0) {
            expected = value;
        } else if (strcmp(name, "--call") == 0) {
            call = strtoul(value, NULL, 10);
        } else if (strcmp(name, "--bytes") == 0) {
            bytes = strtoul(value, NULL, 10);
        } else if (strcmp(name, "--count") == 0) {
            count = atoi(value);
        } else if (strcmp(name, "--port") == 0) {
            port = atoi(value);
        } else if (strcmp(name, "--relay") == 0) {
            relay = atoi(value);
        } else if (strcmp(name, "--certificate") == 0) {
            certificate = value;
        } else if (strcmp(name, "--key") == 0) {
            key = value;
        } else if (strcmp(name, "--label") == 0) {
            label = value;
        } else if (strcmp(name, "--tickets") == 0) {
            tickets = atoi(value);
        } else {
            die(name, "no such option");
        }
    }
}

int main(int argc, char **argv)
{
    const char *work = argc > 2 ? argv[2] : "";

    if (argc < 3 || argc % 2 != 1) {
        die("usage", "bench CLIENT.so WORK [--OPTION VALUE]...");
    }
    signal(SIGPIPE, SIG_IGN);
    parse(argc, argv);
    if (strcmp(work, "startup") == 0) {
        startup(argv[1]);
        return 0;
    }
    load(argv[1]);
    if (strcmp(work, "version") == 0) {
        puts(client->version());
        return 0;
    }
    if (strcmp(work, "records") == 0) {
        records();
        return 0;
    }
    if (strcmp(work, "serve") == 0) {
        serve();
        return 0;
    }
    client->setup(&options);
    if (strcmp(work, "receive") == 0 || strcmp(work, "send") == 0) {
        bulk(strcmp(work, "send") == 0);
    } else if (strcmp(work, "round_trip") == 0) {
        round_trips();
    } else if (strcmp(work, "handshake") == 0) {
        handshakes();
    } else if (strcmp(work, "memory") == 0) {
        memory();
    } else {
        die(work, "no such work");
    }
    return 0;
}
