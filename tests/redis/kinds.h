/* The kinds of store that tests/c/check.h takes instead of its own: flags in the Redis that run.sh has started. */
#ifndef REDIS_KINDS_H
#define REDIS_KINDS_H

/* Promises about files have been kept already. */
#undef RUN
#define RUN(promise) ((void)promise)

static inline const char *redis_url(void) { return getenv("FLAGSTORE_REDIS"); }
static inline const char *redis_socket(void) { return getenv("FLAGSTORE_REDIS_SOCKET"); }

/* What a person does with redis-cli, whose quotes and escapes it has. What was answered is put into `answer`. */
static inline void redis_cli(char *answer, size_t room, const char *command) {
    char line[1 << 12];
    snprintf(line, sizeof line, "redis-cli -s '%s' 2>&1 <<'END'\n%s\nEND\n", redis_socket(), command);
    FILE *pipe = popen(line, "r");
    size_t len = pipe ? fread(answer, 1, room - 1, pipe) : 0;
    while (len > 0 && answer[len - 1] == '\n') len--;
    answer[len] = '\0';
    CHECK_THAT(pipe && pclose(pipe) == 0, "redis-cli: %s", command);
}

static inline flagstore_t *open_redis(const char *url, int32_t read_mode, flagstore_error_t **error) {
    flagstore_remote_options_t remote = {.size = sizeof remote, .read_mode = read_mode, .open_timeout_ms = 60000,
                                         .call_timeout_ms = 30000, .spread_ms = -1};
    flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote};
    return flagstore_redis_open(url, &options, error);
}

static inline flagstore_t *open_empty(const char *url, int32_t read_mode, flagstore_error_t **error) {
    char answer[100];
    redis_cli(answer, sizeof answer, "FLUSHALL");
    CHECK_TEXT("OK", answer);
    return open_redis(url, read_mode, error);
}

static inline flagstore_t *open_redis_fresh(flagstore_error_t **error) {
    return open_empty(redis_url(), FLAGSTORE_READ_FRESH, error);
}
static inline flagstore_t *open_redis_checked(flagstore_error_t **error) {
    return open_empty(redis_url(), FLAGSTORE_READ_CHECKED, error);
}
static inline flagstore_t *open_redis_watched(flagstore_error_t **error) {
    return open_empty(redis_url(), FLAGSTORE_READ_WATCHED, error);
}
static inline flagstore_t *open_redis_by_socket(flagstore_error_t **error) {
    char url[PATH_MAX + 30];
    snprintf(url, sizeof url, "redis+unix://%s?db=3", redis_socket());
    return open_empty(url, FLAGSTORE_READ_FRESH, error);
}
static inline flagstore_t *open_file_over_redis(flagstore_error_t **error) {
    flagstore_t *bottom = open_redis_fresh(error);
    return bottom ? open_over(open_unsynced(FLAGS_FILE, error), bottom, 0, error) : NULL;
}
static inline flagstore_t *open_memory_over_redis(flagstore_error_t **error) {
    flagstore_t *bottom = open_redis_watched(error);
    return bottom ? open_over(flagstore_memory_open(error), bottom, 1, error) : NULL;
}

static const struct store_kind STORE_KINDS[] = {
    {"redis", open_redis_fresh},
    {"redis checked", open_redis_checked},
    {"redis watched", open_redis_watched},
    {"redis by socket", open_redis_by_socket},
    {"file over redis", open_file_over_redis},
    {"memory over redis", open_memory_over_redis},
};

#endif
