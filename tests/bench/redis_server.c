/* The server of the rows of Redis, and what talks to it. */
#include "redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 20 };

struct redis_server {
    pid_t pid;
    int port;
    char *dir, *socket, *tcp, *local;
};

static redis_server *running; /* ended at exit, however this program ends */

void pause_ms(double ms) {
    struct timespec time = {(time_t)(ms / 1e3), (long)(ms * 1e6) % 1000000000};
    while (nanosleep(&time, &time) && errno == EINTR) {}
}

/* ---- the process ---- */

static void end_at_exit(void) {
    if (!running || !running->pid) return;
    kill(running->pid, SIGKILL);
    waitpid(running->pid, NULL, 0);
    running->pid = 0;
}

/* A port that nobody has at the moment. */
static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || getsockname(fd, (struct sockaddr *)&address, &len))
        die("no free port");
    close(fd);
    return ntohs(address.sin_port);
}

static void run_server(const redis_server *it) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(null, fd);
    execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", text_of("%d", it->port), "--unixsocket",
           it->socket, "--dir", it->dir, "--save", "", "--appendonly", "no", "--logfile", "log", (char *)NULL);
    _exit(127);
}

static bool answers(const redis_server *it) {
    redisContext *peer = redisConnect("127.0.0.1", it->port);
    redisReply *reply = peer && !peer->err ? redisCommand(peer, "PING") : NULL;
    bool good = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply) freeReplyObject(reply);
    if (peer) redisFree(peer);
    return good;
}

/* false: it has ended. */
static bool start_process(redis_server *it) {
    it->pid = fork();
    if (it->pid < 0) die("fork failed");
    if (it->pid == 0) run_server(it);
    for (double end = now_ns() + PATIENT_MS * 1e6; now_ns() < end; pause_ms(0.5)) {
        if (waitpid(it->pid, NULL, WNOHANG) == it->pid) return it->pid = 0, false;
        if (answers(it)) return true;
    }
    die("redis-server does not answer; its log is in %s", it->dir);
}

redis_server *redis_start(void) {
    redis_server *it = allocate(sizeof *it);
    it->dir = text_of("%s/redis", config.dir);
    if (mkdir(it->dir, 0700)) die("cannot make %s", it->dir);
    it->dir = realpath(it->dir, NULL);
    it->socket = text_of("%s/socket", it->dir);
    it->local = text_of("redis+unix://%s", it->socket);
    running = it;
    atexit(end_at_exit);
    for (int i = 0; i < TRIES; i++) { /* somebody else may have taken the port */
        it->port = free_port();
        it->tcp = text_of("redis://127.0.0.1:%d", it->port);
        if (start_process(it)) return it;
    }
    die("redis-server does not start; its log is in %s", it->dir);
}

void redis_kill(redis_server *it) {
    kill(it->pid, SIGKILL);
    waitpid(it->pid, NULL, 0);
    it->pid = 0;
}

void redis_restart(redis_server *it) {
    if (!start_process(it)) die("redis-server does not start again; its log is in %s", it->dir);
}

void redis_end(redis_server *it) {
    if (it->pid) redis_kill(it);
}

/* Returns when no thread of it runs any more. */
void redis_stop(redis_server *it) {
    int status;
    kill(it->pid, SIGSTOP);
    if (waitpid(it->pid, &status, WUNTRACED) != it->pid || !WIFSTOPPED(status)) die("redis-server has ended");
}

void redis_continue(redis_server *it) {
    kill(it->pid, SIGCONT);
    redis_await(it);
}

void redis_await(redis_server *it) {
    for (double end = now_ns() + PATIENT_MS * 1e6; !answers(it); pause_ms(0.5))
        if (now_ns() > end) die("redis-server does not answer; its log is in %s", it->dir);
}

void redis_save(redis_server *it) {
    redisContext *peer = redis_peer(it, true);
    freeReplyObject(redis_ask(peer, "SAVE"));
    redisFree(peer);
}

const char *redis_tcp(const redis_server *it) { return it->tcp; }
const char *redis_unix(const redis_server *it) { return it->local; }

/* ---- hiredis ---- */

redisContext *redis_peer(const redis_server *it, bool local) {
    redisContext *peer = local ? redisConnectUnix(it->socket) : redisConnect("127.0.0.1", it->port);
    if (!peer || peer->err) die("hiredis: %s", peer ? peer->errstr : "out of memory");
    return peer;
}

static redisReply *checked(redisContext *peer, redisReply *reply) {
    if (!reply) die("hiredis: %s", peer->errstr);
    if (reply->type == REDIS_REPLY_ERROR) die("redis-server: %s", reply->str);
    return reply;
}

redisReply *redis_ask(redisContext *peer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(peer, format, arguments);
    va_end(arguments);
    return checked(peer, reply);
}

redisReply *redis_ask_argv(redisContext *peer, size_t count, const char **words, const size_t *lens) {
    return checked(peer, redisCommandArgv(peer, (int)count, words, lens));
}

/* ---- stores ---- */

flagstore_t *redis_open(const char *url, const char *hash, int32_t read_mode, int32_t spread_ms, int32_t timeout_ms) {
    flagstore_remote_options_t remote = {.size = sizeof remote, .read_mode = read_mode, .spread_ms = spread_ms,
                                         .call_timeout_ms = timeout_ms, .open_timeout_ms = PATIENT_MS};
    flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote, .hash = hash};
    flagstore_error_t *error = NULL;
    flagstore_t *store = flagstore_redis_open(url, &options, &error);
    must(url, error);
    return store;
}

const char *redis_hash_of(const dataset *data) {
    return text_of("flags-%zu", data->count);
}

void redis_fill(const redis_server *it, const dataset *data, const char *hash) {
    flagstore_error_t *error = NULL;
    flagstore_t *store = redis_open(it->local, hash, FLAGSTORE_READ_FRESH, 0, PATIENT_MS);
    flagstore_batch_t *batch = flagstore_batch_new();
    for (size_t i = 0; i < data->count; i++) flagstore_batch_set(batch, data->keys[i], data->values[i], NULL);
    flagstore_commit(store, batch, &error);
    must("commit", error);
    flagstore_free(batch);
    flagstore_free(store);
}

/* ---- results ---- */

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double redis_quantile(double *values, size_t count, double at) {
    qsort(values, count, sizeof *values, by_value);
    return values[(size_t)(at * (double)(count - 1) + 0.5)];
}

void redis_against(int row, const char *what, size_t flags, double value, double limit, bool limited) {
    double ratio = value / limit;
    report_values(row, what, flags, "ns", value, limit, &ratio, 1, limited ? MOST(1) : NONE);
}
