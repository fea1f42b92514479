/* One client of faults.py in C; worker.go, worker.rb and worker.py do the same in their languages. It reads commands
   from standard input, one a line, and answers each with one line, in order, at once:

     CODE MS VALUE       CODE: the number of the error, 0 for none; MS: how long the call took, with three decimals;
                         VALUE: what is said below, or the error's message; it may be empty

   Words are separated by one space; HANDLE is any word, KEY and JSON have no space in them. Absent is "absent".

     open HANDLE URL NAME=VALUE...    a store under that handle. The names are those of the fields of
                                      flagstore_redis_options_t and flagstore_remote_options_t; numbers are decimal
     get HANDLE KEY                   the JSON, or absent
     set HANDLE KEY JSON
     delete HANDLE KEY                true, or false: there was no such flag
     list HANDLE                      all flags as one JSON object, with sorted keys
     commit HANDLE KEY EXPECTED JSON  a batch of two: expects KEY to be EXPECTED, or absent; sets it to JSON
     revision HANDLE                  1 or more; the wait after it begins there
     wait HANDLE TIMEOUT_MS           true: there was a change since the last revision or wait; false: there was none
     watch HANDLE                     begins a watch of all flags
     seen HANDLE                      what the watch has told since the last seen: KEY=NEW words, in the order they came
     status HANDLE                    STATE PUSH AGE_MS RECONNECTS REFRESHES, all numbers
     sync HANDLE TIMEOUT_MS
     close HANDLE                     frees the watch and the store

   At the end of its input it frees what is open and ends with status 0. What it does not understand, or a handle that
   is not there, ends it with status 2. A control character in VALUE becomes a space. */
#include "flagstore.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HANDLES = 16, WORDS = 32 };

struct handle {
    char name[32];
    flagstore_t *store;
    flagstore_watch_t *watch;
    uint64_t revision;
    pthread_mutex_t lock; /* of what the watch has told */
    char seen[65536];
};
static struct handle handles[HANDLES];

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("worker: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(2);
}

static struct handle *find_handle(const char *name) {
    for (int i = 0; i < HANDLES; i++)
        if (handles[i].store && strcmp(handles[i].name, name) == 0) return &handles[i];
    die("no handle %s", name);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- open ---- */

#define REMOTE(field, type) {#field, type, false, offsetof(flagstore_remote_options_t, field)}
#define REDIS(field, type) {#field, type, true, offsetof(flagstore_redis_options_t, field)}
enum type { NUMBER, FLAGS, BYTES, TEXT };
static const struct option {
    const char *name;
    enum type type;
    bool is_of_redis;
    size_t offset;
} OPTIONS[] = {
    REMOTE(read_mode, NUMBER), REMOTE(when_lost, NUMBER), REMOTE(flags, FLAGS), REMOTE(open_timeout_ms, NUMBER),
    REMOTE(call_timeout_ms, NUMBER), REMOTE(max_stale_ms, NUMBER), REMOTE(verify_ms, NUMBER),
    REMOTE(spread_ms, NUMBER), REMOTE(retry_max_ms, NUMBER), REMOTE(max_bytes, BYTES), REMOTE(fallback_path, TEXT),
    REDIS(hash, TEXT), REDIS(username, TEXT), REDIS(password, TEXT), REDIS(password_file, TEXT),
    REDIS(tls_ca_file, TEXT), REDIS(tls_cert_file, TEXT), REDIS(tls_key_file, TEXT), REDIS(tls_server_name, TEXT),
    REDIS(sentinel_master, TEXT), REDIS(connections, NUMBER), REDIS(wait_replicas, NUMBER), REDIS(wait_ms, NUMBER),
};

static void set_option(char *word, flagstore_remote_options_t *remote, flagstore_redis_options_t *redis) {
    char *value = strchr(word, '=');
    if (!value) die("not an option: %s", word);
    *value++ = '\0';
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        if (strcmp(OPTIONS[i].name, word) != 0) continue;
        void *field = (OPTIONS[i].is_of_redis ? (char *)redis : (char *)remote) + OPTIONS[i].offset;
        switch (OPTIONS[i].type) {
        case NUMBER: *(int32_t *)field = (int32_t)strtol(value, NULL, 10); return;
        case FLAGS: *(uint32_t *)field = (uint32_t)strtoul(value, NULL, 10); return;
        case BYTES: *(uint64_t *)field = strtoull(value, NULL, 10); return;
        case TEXT: *(const char **)field = value; return;
        }
    }
    die("no option %s", word);
}

static char *open_handle(int count, char **words, flagstore_error_t **error) {
    flagstore_remote_options_t remote = {.size = sizeof remote};
    flagstore_redis_options_t redis = {.size = sizeof redis, .remote = &remote};
    struct handle *handle = handles;
    for (int i = 3; i < count; i++) set_option(words[i], &remote, &redis);
    while (handle < handles + HANDLES && handle->store) handle++;
    if (handle == handles + HANDLES) die("too many handles");
    snprintf(handle->name, sizeof handle->name, "%s", words[1]);
    pthread_mutex_init(&handle->lock, NULL);
    handle->store = flagstore_redis_open(words[2], &redis, error);
    handle->revision = 1, handle->watch = NULL, handle->seen[0] = '\0';
    return NULL;
}

static void close_handle(struct handle *handle) {
    flagstore_free(handle->watch);
    flagstore_free(handle->store);
    handle->store = NULL;
}

/* ---- calls with a handle ---- */

static void note(void *userdata, const char *key, const char *old_json, const char *new_json) {
    (void)old_json;
    struct handle *handle = userdata;
    pthread_mutex_lock(&handle->lock);
    size_t len = strlen(handle->seen);
    snprintf(handle->seen + len, sizeof handle->seen - len, "%s%s=%s", len ? " " : "", key,
             new_json ? new_json : "absent");
    pthread_mutex_unlock(&handle->lock);
}

static bool commit(flagstore_t *store, char **words, flagstore_error_t **error) {
    flagstore_batch_t *batch = flagstore_batch_new();
    bool is_absent = strcmp(words[3], "absent") == 0;
    bool done = flagstore_batch_expect(batch, words[2], is_absent ? NULL : words[3], error)
                && flagstore_batch_set(batch, words[2], words[4], error) && flagstore_commit(store, batch, error);
    flagstore_free(batch);
    return done;
}

static const char *tell_status(const flagstore_t *store, flagstore_error_t **error) {
    static char text[128];
    flagstore_status_t status = {.size = sizeof status};
    if (!flagstore_status(store, &status, error)) return "";
    snprintf(text, sizeof text, "%d %d %lld %llu %llu", status.state, status.push, (long long)status.age_ms,
             (unsigned long long)status.reconnects, (unsigned long long)status.refreshes);
    return text;
}

static const char *tell_seen(struct handle *handle) {
    static char text[sizeof handle->seen];
    pthread_mutex_lock(&handle->lock);
    memcpy(text, handle->seen, sizeof text);
    handle->seen[0] = '\0';
    pthread_mutex_unlock(&handle->lock);
    return text;
}

/* The text to answer with; *owned is to be freed when it has been printed. */
static const char *call(int count, char **words, flagstore_error_t **error, char **owned) {
#define IS(name, words_of) (strcmp(words[0], name) == 0 && count == (words_of))
    struct handle *handle = find_handle(words[1]);
    flagstore_t *store = handle->store;
    if (IS("get", 3)) return (*owned = flagstore_get(store, words[2], error)) ? *owned : "absent";
    if (IS("set", 4)) return flagstore_set(store, words[2], words[3], error), "";
    if (IS("delete", 3)) return flagstore_delete(store, words[2], error) ? "true" : "false";
    if (IS("list", 2)) return *owned = flagstore_list_all(store, error);
    if (IS("commit", 5)) return commit(store, words, error), "";
    if (IS("wait", 3))
        return flagstore_wait(store, &handle->revision, atoi(words[2]), error) ? "true" : "false";
    if (IS("status", 2)) return tell_status(store, error);
    if (IS("sync", 3)) return flagstore_sync(store, atoi(words[2]), error), "";
    if (IS("watch", 2)) return handle->watch = flagstore_watch(store, NULL, note, handle, error), "";
    if (IS("seen", 2)) return tell_seen(handle);
    if (IS("close", 2)) return close_handle(handle), "";
    if (!IS("revision", 2)) die("what is %s with %d words?", words[0], count);
    static char number[24];
    uint64_t revision = flagstore_revision(store, error);
    if (revision) handle->revision = revision;
    snprintf(number, sizeof number, "%llu", (unsigned long long)revision);
    return number;
}

static void answer(int count, char **words) {
    char *owned = NULL;
    flagstore_error_t *error = NULL;
    double start = now_ms();
    bool opens = count >= 3 && strcmp(words[0], "open") == 0;
    const char *value = opens ? open_handle(count, words, &error) : call(count, words, &error, &owned);
    double elapsed = now_ms() - start;
    if (error) value = flagstore_error_message(error);
    printf("%d %.3f ", flagstore_error_code(error), elapsed);
    for (; value && *value; value++) putchar((unsigned char)*value < ' ' ? ' ' : *value);
    putchar('\n');
    fflush(stdout);
    flagstore_free(owned);
    flagstore_free(error);
}

int main(void) {
    char *line = NULL, *words[WORDS];
    size_t room = 0;
    for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;) {
        int count = 0;
        for (char *rest = strtok(line, " \n"); rest && count < WORDS; rest = strtok(NULL, " \n")) words[count++] = rest;
        if (count < 2) die("not a command: %s", line);
        answer(count, words);
    }
    for (int i = 0; i < HANDLES; i++)
        if (handles[i].store) close_handle(&handles[i]);
    free(line);
    return 0;
}
