/* flagctl mirror: keeps a file equal to the flags of a remote store, for programs that read files. */
#define _POSIX_C_SOURCE 200809L /* sigaction, nanosleep */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flagctl.h"
#include "flagctl_mirror.h"

enum {
    LOOK_MS = 250,      /* how often the file, the state of the store and signals are looked at */
    PATIENCE_MS = 1000, /* how long the first attempt to reach the store goes without a word */
    NOT_EQUAL = 1
};

/* What was last said of the store. */
typedef enum { NOTHING, NOT_YET, REACHED, LOST, VANISHED, EMPTY } state_t;

typedef struct {
    char *url;   /* with the password, if that stands in it */
    char *shown; /* without */
    bool once, quiet;
    long timeout; /* of --once, in seconds */
    flagstore_remote_options_t remote;
    flagstore_redis_options_t redis;

    flagstore_t *store;
    mirror_file_t file;
    state_t said;
    bool was_equal;  /* since it began: from then on the library knows whether the store's flags have vanished */
    bool is_refused; /* the file could not be written at the last attempt */
    long long start;
    char *reason; /* why the store is not reached */
} mirror_t;

static volatile sig_atomic_t ended;

static void end(int signal) {
    (void)signal;
    ended = 1;
}

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* ---- the command line ---- */

static char *copy(const char *text) {
    char *own = malloc(strlen(text) + 1);
    if (own == NULL)
        abort();
    return strcpy(own, text);
}

/* Keeps the URL, and takes its password out of the list of processes. */
static void take_url(mirror_t *mirror, char *word) {
    mirror->url = copy(word);
    mirror->shown = copy(word);
    char *user = strstr(word, "://") + 3, *at = strrchr(user, '@'), *colon = strchr(user, ':');
    if (at == NULL)
        return;
    strcpy(mirror->shown + (user - word), at + 1);
    if (colon != NULL && colon < at)
        memset(colon + 1, 'x', (size_t)(at - colon) - 1);
}

static bool take_seconds(const char *word, long most, long *seconds) {
    char *rest;
    *seconds = strtol(word, &rest, 10);
    return *seconds >= 1 && *seconds <= most && *rest == '\0';
}

/* Understands one option, and says how many words it has; 0: it is none, or not a good one. */
static int take_option(mirror_t *mirror, char **words) {
    flagstore_redis_options_t *redis = &mirror->redis;
    const struct {
        const char *name, **value;
    } texts[] = {{"--hash", &redis->hash},
                 {"--user", &redis->username},
                 {"--password-file", &redis->password_file},
                 {"--ca", &redis->tls_ca_file},
                 {"--cert", &redis->tls_cert_file},
                 {"--key", &redis->tls_key_file},
                 {"--server-name", &redis->tls_server_name},
                 {"--sentinel", &redis->sentinel_master}};
    if (strcmp(words[0], "--once") == 0)
        return mirror->once = true;
    if (strcmp(words[0], "--quiet") == 0)
        return mirror->quiet = true;
    if (words[1] == NULL)
        return 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(words[0], texts[i].name) == 0) {
            *texts[i].value = words[1];
            return 2;
        }
    }
    long seconds;
    if (strcmp(words[0], "--timeout") == 0)
        return take_seconds(words[1], 1000000, &mirror->timeout) ? 2 : 0;
    if (strcmp(words[0], "--verify") == 0 && take_seconds(words[1], 1000000, &seconds)) {
        mirror->remote.verify_ms = (int32_t)seconds * 1000;
        return 2;
    }
    return 0;
}

static bool understand(mirror_t *mirror, char **words) {
    while (*words != NULL) {
        if (strncmp(*words, "--", 2) == 0) {
            int taken = take_option(mirror, words);
            if (taken == 0)
                return false;
            words += taken;
            continue;
        }
        bool is_url = strstr(*words, "://") != NULL;
        if (is_url ? mirror->url != NULL : mirror->file.path != NULL)
            return false;
        if (is_url)
            take_url(mirror, *words);
        else
            mirror->file.path = *words;
        words++;
    }
    return mirror->url != NULL;
}

/* ---- what is said ---- */

static void say(const mirror_t *mirror, const char *format, ...) {
    if (mirror->quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    fputs("flagctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static void keep_reason(mirror_t *mirror, const char *reason) {
    free(mirror->reason);
    mirror->reason = copy(reason);
}

/* One line when the state of the store is another than the one that was said. */
static void say_state(mirror_t *mirror, state_t state) {
    const char *url = mirror->shown, *file = mirror->file.path;
    if (state == mirror->said)
        return;
    if (state == REACHED)
        say(mirror, "%s is reached%s", url, mirror->said == LOST || mirror->said == VANISHED ? " again" : "");
    else if (state == VANISHED)
        say(mirror, "the flags have vanished from %s, %s stays as it is", url, file);
    else if (state == EMPTY)
        say(mirror, "%s has no flags, %s stays as it is: remove it if it should have none", url, file);
    else
        say(mirror, "%s is %s, %s stays as it is: %s", url, state == LOST ? "lost" : "not reached yet", file,
            mirror->reason);
    mirror->said = state;
}

/* ---- the store ---- */

static int32_t state_of(const flagstore_t *store) {
    flagstore_status_t status = {0};
    status.size = sizeof status;
    flagstore_status(store, &status, NULL);
    return status.state;
}

static void look_at_lost(mirror_t *mirror) {
    flagstore_error_t *error = NULL;
    flagstore_snapshot_t *last = flagstore_snapshot(mirror->store, &error);
    state_t state = last == NULL ? NOT_YET : state_of(mirror->store) == FLAGSTORE_STATE_LOST ? VANISHED : LOST;
    /* Why, a state does not tell; and by now it may be reached again, or for the first time: the next look sees that. */
    if (last != NULL && (state == mirror->said || flagstore_sync(mirror->store, LOOK_MS, &error)))
        state = NOTHING;
    else
        keep_reason(mirror, flagstore_error_message(error));
    if (state == NOT_YET && (mirror->once || now_ms() - mirror->start < PATIENCE_MS))
        state = NOTHING;
    if (state != NOTHING)
        say_state(mirror, state);
    flagstore_free(error);
    flagstore_free(last);
}

/* The flags, if the store is known to hold just these; otherwise NULL, and the file stays as it is. */
static flagstore_snapshot_t *live_flags(mirror_t *mirror) {
    if (state_of(mirror->store) != FLAGSTORE_STATE_LIVE) {
        look_at_lost(mirror);
        return NULL;
    }
    flagstore_error_t *error;
    flagstore_snapshot_t *flags = flagstore_snapshot(mirror->store, &error);
    flagstore_free(error); /* it was lost just now: the next look tells */
    if (flags == NULL)
        return NULL;
    /* A Redis that was restarted without its data looks as if it never had any, and this may have been restarted too. */
    if (flagstore_snapshot_count(flags) == 0 && !mirror->was_equal && mirror_file_has_flags(&mirror->file)) {
        keep_reason(mirror, "it has no flags, and the file has some; remove it if it should have none");
        say_state(mirror, EMPTY);
        flagstore_free(flags);
        return NULL;
    }
    say_state(mirror, REACHED);
    return flags;
}

/* Until the store changes, or it is time to look again. */
static void wait_for_change(const mirror_t *mirror, uint64_t revision) {
    flagstore_error_t *error = NULL;
    if (revision == 0 || (!flagstore_wait(mirror->store, &revision, LOOK_MS, &error) && error != NULL)) {
        struct timespec pause = {0, LOOK_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    flagstore_free(error);
}

/* One look at both sides. Whether the file is equal; an error is the file's. */
static bool make_equal(mirror_t *mirror, uint64_t revision, flagstore_error_t **error) {
    *error = NULL;
    size_t unreadable = mirror->file.unreadable;
    flagstore_snapshot_t *flags = live_flags(mirror);
    bool done = flags != NULL && mirror_file_update(&mirror->file, mirror->store, flags, revision, error);
    flagstore_free(flags);
    if (done && mirror->file.unreadable != unreadable && mirror->file.unreadable > 0)
        say(mirror, "flags on %s are not JSON (%zu), %s keeps their last values", mirror->shown,
            mirror->file.unreadable, mirror->file.path);
    else if (done && mirror->file.unreadable != unreadable)
        say(mirror, "every flag on %s is JSON again", mirror->shown);
    mirror->was_equal = mirror->was_equal || done;
    if (done && mirror->is_refused)
        say(mirror, "%s is written again", mirror->file.path);
    if (*error != NULL && !mirror->is_refused && !mirror->once) /* an error, also for --quiet */
        fprintf(stderr, "flagctl: %s is not written for now: %s\n", mirror->file.path, flagstore_error_message(*error));
    if (done || *error != NULL)
        mirror->is_refused = !done;
    return done;
}

static int keep_equal(mirror_t *mirror) {
    while (!ended) {
        flagstore_error_t *error;
        uint64_t revision = flagstore_revision(mirror->store, NULL); /* of the flags or before: never too new */
        bool done = make_equal(mirror, revision, &error);
        if (mirror->once && (done || error != NULL))
            return done ? DONE : fail(error);
        flagstore_free(error);
        if (mirror->once && now_ms() - mirror->start >= mirror->timeout * 1000LL) {
            fprintf(stderr, "flagctl: %s is not equal to %s after %ld s: %s\n", mirror->file.path, mirror->shown,
                    mirror->timeout, mirror->reason != NULL ? mirror->reason : "it was not reached");
            return NOT_EQUAL;
        }
        if (!ended)
            wait_for_change(mirror, revision);
    }
    return mirror->once ? NOT_EQUAL : DONE;
}

static int run(mirror_t *mirror) {
    flagstore_error_t *error = NULL;
    struct sigaction action = {0};
    action.sa_handler = end;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN; /* whoever reads the messages may go */
    sigaction(SIGPIPE, &action, NULL);

    mirror->start = now_ms();
    if (!mirror_file_check(&mirror->file, &error))
        return fail(error);
    mirror->store = flagstore_redis_open(mirror->url, &mirror->redis, &error);
    return mirror->store != NULL ? keep_equal(mirror) : fail(error);
}

int mirror(char **files, char **words) {
    mirror_t mirror = {.timeout = 10};
    mirror.remote.size = sizeof mirror.remote;
    mirror.remote.read_mode = FLAGSTORE_READ_WATCHED;
    mirror.remote.flags = FLAGSTORE_OPEN_READ_ONLY | FLAGSTORE_OPEN_LAZY; /* an outage now is waited out as any other */
    mirror.redis.size = sizeof mirror.redis;
    mirror.redis.remote = &mirror.remote;
    mirror.redis.password = getenv("FLAGSTORE_REDIS_PASSWORD");

    int status = FAILED;
    if (!understand(&mirror, words)) {
        fputs("flagctl: usage: flagctl mirror [OPTION]... URL FILE; see flagctl --help\n", stderr);
    } else {
        if (mirror.file.path == NULL)
            mirror.file.path = files[0];
        if (mirror.redis.password_file != NULL)
            mirror.redis.password = NULL;
        status = has_file(mirror.file.path) ? run(&mirror) : FAILED;
    }
    flagstore_free(mirror.store);
    flagstore_free(mirror.file.store);
    free(mirror.reason);
    free(mirror.shown);
    free(mirror.url);
    return status;
}
