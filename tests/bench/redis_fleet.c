/* Rows 20 and 21: many WATCHED stores on one server: an outage, and a change that all of them read at about the same
   time. They are in this process, so that their states can be looked at without disturbing them. */
#include "redis.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CLIENTS = 100, QUICK_CLIENTS = 20, LOST_MS = 30000, SILENCES = 10, OUTAGES = 3, CONNECTS = 15 };
enum { CHANGES = 20, ASKED = 1 << 17 };

/* ---- connects, counted: the library's calls of connect come here ---- */

/* Each store names the server as another host, by which its connects are known. */
enum { NETWORK = 0x7f0100, HOSTS = 256 };
static atomic_uint connects[HOSTS];

int connect(int fd, const struct sockaddr *address, socklen_t len) {
    struct sockaddr_in to;
    if (address->sa_family == AF_INET) {
        memcpy(&to, address, sizeof to);
        uint32_t host = ntohl(to.sin_addr.s_addr);
        if (host >> 8 == NETWORK) {
            atomic_fetch_add(&connects[host % HOSTS], 1);
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            address = (struct sockaddr *)&to;
        }
    }
    return (int)syscall(SYS_connect, fd, address, len);
}

static const char *url_of(const redis_server *server, size_t client) {
    return text_of("redis://127.1.0.%zu%s", client + 1, strrchr(redis_tcp(server), ':'));
}

/* ---- the stores ---- */

typedef struct {
    flagstore_t *stores[CLIENTS];
    size_t count;
} fleet;

static size_t clients(void) {
    return config.quick ? QUICK_CLIENTS : CLIENTS;
}

static fleet open_fleet(const redis_server *server, const dataset *data, size_t count) {
    fleet it = {.count = count};
    for (size_t i = 0; i < count; i++)
        it.stores[i] = redis_open(url_of(server, i), redis_hash_of(data), FLAGSTORE_READ_WATCHED, 0, 0);
    return it;
}

static void close_fleet(fleet *it) {
    for (size_t i = 0; i < it->count; i++) flagstore_free(it->stores[i]);
}

static int32_t state_of(const flagstore_t *store) {
    flagstore_status_t status = {.size = sizeof status};
    flagstore_error_t *error = NULL;
    flagstore_status(store, &status, &error);
    must("status", error);
    return status.state;
}

/* When the last of them came into that state; 1 ms is as good as it is looked at. */
static double await_state(const fleet *it, int32_t state, const char *name) {
    double end = now_ns() + LOST_MS * 1e6;
    for (size_t i = 0; i < it->count; i++)
        for (; state_of(it->stores[i]) != state; pause_ms(1))
            if (now_ns() > end) die("after %d ms a store is still not %s", LOST_MS, name);
    return now_ns();
}

/* ---- 20 ---- */

static void report_silence(redis_server *server, const dataset *data) {
    double stale[SILENCES], live[SILENCES];
    size_t times = config.quick ? 1 : SILENCES;
    uint32_t random = 2463534242;
    fleet it = open_fleet(server, data, 1);
    for (size_t i = 0; i < times; i++) {
        pause_ms(next_random(&random) % 1000); /* anywhere between two heartbeats */
        redis_stop(server);
        double begin = now_ns();
        stale[i] = await_state(&it, FLAGSTORE_STATE_STALE, "STALE") - begin;
        redis_continue(server);
        begin = now_ns();
        live[i] = await_state(&it, FLAGSTORE_STATE_LIVE, "LIVE") - begin;
    }
    close_fleet(&it);
    double typical = redis_quantile(stale, times, 0.5), slowest = redis_quantile(stale, times, 1);
    double back = redis_quantile(live, times, 1);
    redis_against(20, "the server is silent: until STALE, median / 2 s", data->count, typical, 2e9, false);
    redis_against(20, "the server is silent: until STALE, the slowest / 2 s", data->count, slowest, 2e9, true);
    redis_against(20, "it goes on: until LIVE, the slowest / 1.2 s", data->count, back, 1.2e9, true);
}

/* A row of two numbers that are no times. */
static void report_connects(const char *what, size_t flags, double number, bool limited) {
    double ratio = number / CONNECTS;
    report_values(20, what, flags, "", number, CONNECTS, &ratio, 1, limited ? MOST(1) : NONE);
}

/* The server is away for three seconds: long enough for the longest delay between attempts. */
static void report_outage(redis_server *server, const dataset *data) {
    double back = 0, most = 0, sum = 0, away_ms = config.quick ? 500 : 3000;
    size_t times = config.quick ? 1 : OUTAGES;
    fleet it = open_fleet(server, data, clients());
    redis_save(server);
    for (size_t i = 0; i < times; i++) {
        for (size_t host = 0; host < HOSTS; host++) connects[host] = 0;
        redis_kill(server);
        await_state(&it, FLAGSTORE_STATE_STALE, "STALE");
        pause_ms(away_ms);
        redis_restart(server);
        double begin = now_ns(), took = await_state(&it, FLAGSTORE_STATE_LIVE, "LIVE") - begin;
        if (took > back) back = took;
        for (size_t host = 0; host < HOSTS; host++) {
            sum += connects[host];
            if (connects[host] > most) most = connects[host];
        }
    }
    const char *what = text_of("server back: until %zu clients are LIVE, the slowest / 1.2 s", it.count);
    redis_against(20, what, data->count, back, 1.2e9, true);
    what = text_of("connects of a client in an outage of %.1f s, the most / 15", away_ms / 1e3);
    report_connects(what, data->count, most, true);
    report_connects("the same, the average / 15", data->count, sum / (double)(times * it.count), false);
    close_fleet(&it);
}

void redis_outage_row(redis_server *server) {
    const dataset *data = dataset_of(1000);
    redis_fill(server, data, redis_hash_of(data));
    report_silence(server, data);
    report_outage(server, data);
}

/* ---- 21 ---- */

typedef struct {
    redisContext *peer;
    double *latencies;
    atomic_size_t count;
    atomic_bool asking, stop;
} bystander;

/* Asks every 0.1 ms or so while it shall. */
static void *ask(void *argument) {
    bystander *it = argument;
    for (; !it->stop; pause_ms(0.1)) {
        if (!it->asking || it->count == ASKED) continue;
        double begin = now_ns();
        freeReplyObject(redis_ask(it->peer, "HGET bystander flag"));
        it->latencies[it->count] = now_ns() - begin;
        it->count++;
    }
    return NULL;
}

/* Has it ask for so long, and at least once. */
static void ask_for(bystander *it, double ms) {
    size_t before = it->count;
    it->asking = true;
    for (pause_ms(ms); it->count == before; pause_ms(1)) {}
    it->asking = false;
}

/* Returns when all of them have the value. */
static void await_value(const fleet *it, const char *key, int64_t value) {
    double end = now_ns() + LOST_MS * 1e6;
    for (size_t i = 0; i < it->count; i++)
        for (; flagstore_get_int64(it->stores[i], key, -1, NULL) != value; pause_ms(1))
            if (now_ns() > end) die("after %d ms a store has not seen a change", LOST_MS);
}

/* The median, and the slowest of a hundred. */
static void report_latencies(bystander *it, const char *while_what, size_t flags, bool limited) {
    redis_against(21, text_of("a bystander's HGET while %s, median / 2 ms", while_what), flags,
                  redis_quantile(it->latencies, it->count, 0.5), 2e6, false);
    redis_against(21, "the same, of a hundred the slowest / 2 ms", flags,
                  redis_quantile(it->latencies, it->count, 0.99), 2e6, limited);
    it->count = 0;
}

void redis_herd_row(redis_server *server) {
    const dataset *data = dataset_of(1000);
    redis_fill(server, data, redis_hash_of(data));
    bystander it = {.peer = redis_peer(server, false), .latencies = allocate(ASKED * sizeof(double))};
    freeReplyObject(redis_ask(it.peer, "HSET bystander flag true"));
    fleet watching = open_fleet(server, data, clients());
    flagstore_t *store = redis_open(redis_tcp(server), redis_hash_of(data), FLAGSTORE_READ_FRESH, 0, PATIENT_MS);
    pthread_t thread;
    if (pthread_create(&thread, NULL, ask, &it)) die("pthread_create failed");
    ask_for(&it, config.quick ? 100 : 2000);
    report_latencies(&it, "nothing changes", data->count, false);
    for (int i = 0; i < (config.quick ? 3 : CHANGES); i++) {
        flagstore_error_t *error = NULL;
        it.asking = true;
        flagstore_set_int64(store, "changes.made", i, &error);
        must("set_int64", error);
        await_value(&watching, "changes.made", i);
        ask_for(&it, 0);
        pause_ms(50);
    }
    report_latencies(&it, text_of("%zu clients read again", watching.count), data->count, true);
    it.stop = true;
    pthread_join(thread, NULL);
    redisFree(it.peer);
    flagstore_free(store);
    close_fleet(&watching);
    free(it.latencies);
}
