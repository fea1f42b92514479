/* Row 16: changes of a store on Redis, beside hiredis that runs the same script with the same arguments. */
#include "redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 16, TOKEN = 64 };

/* Each of them has flags of its own, of which it knows the values. */
typedef struct {
    const dataset *data;
    const char *hash;
    flagstore_t *store;
    redisContext *peer;
    const char *sha;
    bool *values;
    size_t next;
} writer;

static const char *text(bool value) { return value ? "true" : "false"; }

static size_t next_flag(writer *it) {
    size_t flag = it->data->bools[it->next++ % it->data->bool_count];
    it->values[flag] = !it->values[flag];
    return flag;
}

/* ---- ours ---- */

static void ours_set(void *state, size_t count) {
    writer *it = state;
    for (size_t i = 0; i < count; i++) {
        size_t flag = next_flag(it);
        flagstore_error_t *error = NULL;
        flagstore_set_bool(it->store, it->data->keys[flag], it->values[flag], &error);
        if (error) must("set_bool", error);
    }
}

static void ours_commit(void *state, size_t count) {
    writer *it = state;
    for (size_t i = 0; i < count; i++) {
        size_t flag = next_flag(it);
        flagstore_error_t *error = NULL;
        flagstore_batch_t *batch = flagstore_batch_new();
        flagstore_batch_expect(batch, it->data->keys[flag], text(!it->values[flag]), NULL);
        flagstore_batch_set(batch, it->data->keys[flag], text(it->values[flag]), NULL);
        flagstore_commit(it->store, batch, &error);
        if (error) must("commit", error);
        flagstore_free(batch);
    }
}

/* ---- the peer ---- */

typedef struct {
    const char *words[MAX_WORDS];
    size_t lens[MAX_WORDS], count;
} command;

static void add(command *it, const char *word) {
    it->words[it->count] = word;
    it->lens[it->count++] = strlen(word);
}

/* The token is another one each time, as it must be. */
static void begin_script(command *it, const writer *by, char *meta, char *token) {
    static uint64_t changes;
    it->count = 0;
    sprintf(meta, "{%s}:meta", by->hash);
    sprintf(token, "{%s}:done:%032llx", by->hash, (unsigned long long)++changes);
    add(it, "EVALSHA");
    add(it, by->sha);
    add(it, "3");
    add(it, by->hash);
    add(it, meta);
    add(it, token);
}

static void run_script(const writer *it, const command *script) {
    redisReply *reply = redis_ask_argv(it->peer, script->count, (const char **)script->words, script->lens);
    if (reply->type != REDIS_REPLY_ARRAY || strcmp(reply->element[0]->str, "done")) die("hiredis: nothing was changed");
    freeReplyObject(reply);
}

static void peer_change(writer *it, size_t count, bool guarded) {
    char meta[TOKEN], token[2 * TOKEN];
    for (size_t i = 0; i < count; i++) {
        size_t flag = next_flag(it);
        command script;
        begin_script(&script, it, meta, token);
        add(&script, guarded ? "1" : "0");
        add(&script, "0");
        add(&script, "1");
        add(&script, "");
        if (guarded) {
            add(&script, it->data->keys[flag]);
            add(&script, text(!it->values[flag]));
        }
        add(&script, it->data->keys[flag]);
        add(&script, text(it->values[flag]));
        run_script(it, &script);
    }
}

static void peer_set(void *state, size_t count) { peer_change(state, count, false); }
static void peer_commit(void *state, size_t count) { peer_change(state, count, true); }

static void peer_hset(void *state, size_t count) {
    writer *it = state;
    for (size_t i = 0; i < count; i++) {
        size_t flag = next_flag(it);
        command hset = {.count = 0};
        add(&hset, "HSET");
        add(&hset, it->hash);
        add(&hset, it->data->keys[flag]);
        add(&hset, text(it->values[flag]));
        freeReplyObject(redis_ask_argv(it->peer, hset.count, (const char **)hset.words, hset.lens));
    }
}

/* ---- the row ---- */

static const char *load_script(redisContext *peer) {
    static char script[1 << 16];
    const char *path = text_of("%s/../../src/redis/commit.lua", config.scripts);
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(script, 1, sizeof script - 1, file) : 0;
    if (!len) die("cannot read %s", path);
    fclose(file);
    const char *words[] = {"SCRIPT", "LOAD", script};
    redisReply *reply = redis_ask_argv(peer, 3, words, (size_t[]){6, 4, len});
    char *sha = text_of("%s", reply->str);
    freeReplyObject(reply);
    return sha;
}

static writer writer_of(const redis_server *server, const dataset *data, const char *name, bool local) {
    const char *url = local ? redis_unix(server) : redis_tcp(server);
    writer it = {.data = data, .hash = name, .peer = redis_peer(server, local),
                 .store = redis_open(url, name, FLAGSTORE_READ_FRESH, 0, PATIENT_MS),
                 .values = allocate(data->count * sizeof(bool))};
    redis_fill(server, data, name);
    it.sha = load_script(it.peer);
    for (size_t i = 0; i < data->count; i++) it.values[i] = data->values[i][0] == 't';
    return it;
}

static void report_by(redis_server *server, const char *way, bool local) {
    enum { SET, SET_PEER, COMMIT, COMMIT_PEER, HSET, ALL };
    static void (*const runs[ALL])(void *, size_t) = {ours_set, peer_set, ours_commit, peer_commit, peer_hset};
    static const char *const names[ALL] = {"ours", "hiredis EVALSHA", "ours", "hiredis EVALSHA", "hiredis HSET"};
    const dataset *data = dataset_of(1000);
    writer writers[ALL];
    contestant all[ALL];
    for (size_t i = 0; i < ALL; i++) {
        writers[i] = writer_of(server, data, text_of("writes-%s-%zu", way, i), local);
        all[i] = (contestant){.name = names[i], .run = runs[i], .state = &writers[i]};
    }
    redis_measure(all, ALL, 5);
    report(16, text_of("Redis set, %s", way), data->count, &all[SET], &all[SET_PEER], MOST(1.15));
    report(16, text_of("Redis guarded commit, %s", way), data->count, &all[COMMIT], &all[COMMIT_PEER], MOST(1.15));
    report(16, text_of("Redis set, %s", way), data->count, &all[SET], &all[HSET], NONE);
    for (size_t i = 0; i < ALL; i++) {
        flagstore_free(writers[i].store);
        redisFree(writers[i].peer);
        free(writers[i].values);
    }
}

void redis_set_row(redis_server *server) {
    report_by(server, "loopback", false);
    report_by(server, "unix-socket", true);
}
