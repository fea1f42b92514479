/* flagctl check: are files written as the library writes them? --fix rewrites those that are not. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, sigprocmask */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flagctl.h"

/* A change that changes nothing leaves a file alone, so --fix sets this flag and deletes it: two changes as any other,
 * beside any other writer. One that was interrupted leaves the flag, which the next one deletes. */
static const char marker[] = "flagctl check --fix";

static char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "flagctl: cannot read %s: %s\n", path, strerror(errno));
        return NULL;
    }
    char *text = read_all(file, path, len);
    fclose(file);
    return text;
}

/* ---- what the library makes of the same flags ---- */

static bool copy_flags(const flagstore_snapshot_t *from, const char *path, flagstore_error_t **error) {
    flagstore_file_options_t options = {0};
    options.size = sizeof options;
    options.durability = FLAGSTORE_SYNC_NONE;
    flagstore_t *to = flagstore_file_open_with(path, &options, error);
    flagstore_batch_t *batch = flagstore_batch_new();
    bool done = to != NULL;
    for (size_t i = 0; done && i < flagstore_snapshot_count(from); i++) {
        size_t key_len, len;
        const char *key = flagstore_snapshot_key(from, i, &key_len);
        const char *json = flagstore_snapshot_value(from, i, &len);
        done = flagstore_batch_set_n(batch, key, key_len, json, len, error);
    }
    done = done && flagstore_commit(to, batch, error);
    flagstore_free(batch);
    flagstore_free(to);
    return done;
}

/* The canonical text of the flags, to be freed with free; NULL, after saying why, if that fails. */
static char *canonical_text(const flagstore_snapshot_t *flags, size_t *len) {
    const char *place = getenv("TMPDIR");
    char folder[256], path[300], lock[300];
    snprintf(folder, sizeof folder, "%.200s/flagctl.XXXXXX", place != NULL && *place != '\0' ? place : "/tmp");
    if (mkdtemp(folder) == NULL) {
        fprintf(stderr, "flagctl: cannot make a temporary directory %s: %s\n", folder, strerror(errno));
        return NULL;
    }
    snprintf(path, sizeof path, "%s/flags", folder);
    snprintf(lock, sizeof lock, "%s/.flags.lock", folder);
    flagstore_error_t *error;
    char *text = NULL;
    if (copy_flags(flags, path, &error))
        text = read_file(path, len);
    else
        fail(error);
    unlink(path);
    unlink(lock);
    rmdir(folder);
    return text;
}

/* ---- the first difference ---- */

/* The length of the token at `text`, which is well-formed JSON: white space, a string, a mark or a word. */
static size_t token_len(const char *text) {
    if (*text == '"') {
        const char *end = text + 1;
        for (; *end != '"'; end++)
            if (*end == '\\')
                end++;
        return (size_t)(end - text) + 1;
    }
    size_t space = strspn(text, " \t\r\n");
    if (space > 0)
        return space;
    size_t word = strcspn(text, " \t\r\n{}[],:\"");
    return word > 0 ? word : *text != '\0';
}

static size_t count_members(const char *text) {
    size_t count = 0;
    for (size_t len; (len = token_len(text)) > 0; text += len)
        count += *text == ':';
    return count;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

/* Says where `text` and the canonical text of the same flags part, and why. */
static void report(const char *path, const char *text, const char *canonical) {
    size_t members = count_members(text), left = count_members(canonical);
    const char *at = text, *want = canonical;
    size_t len = token_len(at), want_len = token_len(want);
    while (len == want_len && memcmp(at, want, len) == 0) {
        at += len;
        want += want_len;
        len = token_len(at);
        want_len = token_len(want);
    }
    bool strings = *at == '"' && *want == '"';
    const char *why = "a key stands more than once; its last value counts";
    if ((is_space(*at) || is_space(*want)) && at[strspn(at, " \t\r\n")] == want[strspn(want, " \t\r\n")]) {
        why = "white space or line breaks differ";
        if (is_space(*at) && is_space(*want))
            for (; *at == *want; at++) /* the difference in it */
                want++;
    } else if (strings && flagstore_json_equal(at, len, want, want_len)) {
        why = "characters are escaped otherwise";
    } else if (strings && want[want_len] == ':') {
        why = "the keys are not in order";
    }
    size_t line = 1, column = 1; /* all before it is canonical and so ASCII: a byte is a character */
    for (const char *c = text; c < at; c++) {
        column++;
        if (*c == '\n') {
            column = 1;
            line++;
        }
    }
    printf("%s:%zu:%zu: not canonical: %s", path, line, column, why);
    if (members > left)
        printf(" (%zu repeated in all)", members - left);
    putchar('\n');
}

/* ---- one file ---- */

static int fix(const char *path, bool marked) {
    flagstore_error_t *error;
    flagstore_t *flags = open_file(path, FLAGSTORE_OPEN_EXISTING, &error);
    sigset_t stop, before;
    sigemptyset(&stop);
    sigaddset(&stop, SIGHUP);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, &before);
    bool done = flags != NULL && (marked || flagstore_set_bool(flags, marker, true, &error));
    /* That it is gone already, by another --fix, is as good. */
    done = done && (flagstore_delete(flags, marker, &error) || error == NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    flagstore_free(flags);
    return done ? DONE : fail(error);
}

/* The bytes of the file, with a NUL behind them, and the flags in them, as of one moment. */
static char *read_both(const char *path, size_t *len, flagstore_snapshot_t **snapshot) {
    flagstore_error_t *error;
    char *text = NULL;
    flagstore_t *flags = open_file(path, READING, &error);
    uint64_t revision, now = flags != NULL ? flagstore_revision(flags, &error) : 0;
    do {
        revision = now;
        free(text);
        flagstore_free(*snapshot);
        text = NULL;
        *snapshot = now != 0 ? flagstore_snapshot(flags, &error) : NULL;
        if (*snapshot == NULL) {
            fail(error);
            break;
        }
        text = read_file(path, len);
        now = text != NULL ? flagstore_revision(flags, &error) : revision;
    } while (now != revision);
    flagstore_free(flags);
    return text;
}

static int check_file(const char *path, bool fixing) {
    flagstore_snapshot_t *snapshot = NULL;
    size_t len, canonical_len = 0;
    char *text = read_both(path, &len, &snapshot);
    char *canonical = text != NULL ? canonical_text(snapshot, &canonical_len) : NULL;
    int status = canonical != NULL ? DONE : FAILED;
    if (canonical != NULL) {
        bool marked = flagstore_snapshot_find(snapshot, marker, NULL) != NULL;
        bool same = len == canonical_len && memcmp(text, canonical, len) == 0;
        if (!same)
            report(path, text, canonical);
        else if (marked)
            printf("%s: an interrupted --fix left the flag \"%s\"\n", path, marker);
        if (!same || marked)
            status = fixing ? fix(path, marked) : DIFFERENT;
    }
    flagstore_free(snapshot);
    free(canonical);
    free(text);
    return status;
}

int check_files(char **files, char **words) {
    bool fixing = false, named = false;
    for (char **word = words; *word != NULL; word++) {
        if (strcmp(*word, "--fix") == 0) {
            fixing = true;
        } else if (strncmp(*word, "--", 2) == 0) {
            fprintf(stderr, "flagctl: check does not know \"%s\"; see flagctl --help\n", *word);
            return FAILED;
        } else {
            named = true;
        }
    }
    if (!named)
        return has_file(*files) ? check_file(*files, fixing) : FAILED;
    int worst = DONE;
    for (; *words != NULL; words++) {
        int status = strcmp(*words, "--fix") == 0 ? DONE : check_file(*words, fixing);
        worst = status > worst ? status : worst;
    }
    return worst;
}
