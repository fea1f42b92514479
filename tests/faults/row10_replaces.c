/* Row 10: a process that replaces a file again and again, and processes that read it meanwhile.

     row10_replaces write PATH NAME TURNS   each turn sets NAME to a document of another size
     row10_replaces read PATH NAMES         until standard input ends; prints how many reads there were

   Every read must find a whole known document: for each name the last turn or a later one, and "steady". What a WATCHED
   store reads may be behind what a look at the file has found, though never behind what the store itself has read. */
#include "store.h"

#include <fcntl.h>
#include <poll.h>

enum { LARGEST = 5000, NAMES = 4, ROOM = NAMES * (LARGEST + 100) };

static int fill_of(long turn) { return (int)(turn * 61 % LARGEST); }

static int value_of(char *to, size_t room, long turn, const char *gap, const char *colon, const char *end) {
    static char fill[LARGEST + 1];
    if (!fill[0]) memset(fill, 'f', LARGEST);
    return snprintf(to, room, "{%s\"fill\"%s\"%.*s\",%s\"turn\"%s%ld%s}", gap, colon, fill_of(turn), fill, gap, colon,
                    turn, end);
}

static void write_turns(const char *path, const char *name, long turns) {
    flagstore_t *store = open_store(path, FLAGSTORE_SYNC_NONE);
    char json[LARGEST + 100];
    for (long turn = 1; turn <= turns; turn++) {
        value_of(json, sizeof json, turn, "", ":", "");
        set(store, name, json);
    }
    flagstore_free(store);
}

/* How the bytes must look: as the library lists them, and as the file holds them. */
struct layout {
    const char *open, *after_key, *gap, *end_value, *between, *close;
};
static const struct layout LISTED = {"{", ":", "", "", ",", "}"};
static const struct layout FILED = {"{\n  ", ": ", "\n    ", "\n  ", ",\n  ", "\n}\n"};

/* What was read must be, byte for byte, the document of the turns it names, none of them before `last`. */
static void check(const char *text, const struct layout *it, const char *names, long last[NAMES], const char *how) {
    static __thread char expected[ROOM];
    int at = snprintf(expected, ROOM, "%s", it->open);
    const char *from = text;
    for (int i = 0; names[i]; i++) {
        const char *turn = strstr(from, "\"turn\"");
        if (!turn) die("%s: turn %d is missing in <%s>", how, i, text);
        long number = strtol(turn + 6 + strlen(it->after_key), (char **)&from, 10);
        if (number < last[i]) die("%s: turn %ld of %c came after turn %ld", how, number, names[i], last[i]);
        last[i] = number;
        at += snprintf(expected + at, ROOM - (size_t)at, "\"%c\"%s", names[i], it->after_key);
        at += value_of(expected + at, ROOM - (size_t)at, number, it->gap, it->after_key, it->end_value);
        at += snprintf(expected + at, ROOM - (size_t)at, "%s", it->between);
    }
    snprintf(expected + at, ROOM - (size_t)at, "\"steady\"%strue%s", it->after_key, it->close);
    if (strcmp(text, expected) != 0) die("%s: expected <%s>, read <%s>", how, expected, text);
}

static void check_file(const char *path, const char *names, long last[NAMES]) {
    char bytes[ROOM];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) die("cannot open %s: %s", path, strerror(errno));
    size_t len = 0;
    for (ssize_t got; (got = read(fd, bytes + len, sizeof bytes - 1 - len)) > 0;) len += (size_t)got;
    close(fd);
    bytes[len] = '\0';
    check(bytes, &FILED, names, last, "the file");
}

static void check_single(const flagstore_t *store, const char *names) {
    flagstore_error_t *error = NULL;
    if (!flagstore_get_bool(store, "steady", false, &error) || error) must("steady", error), die("steady was not there");
    int64_t len = flagstore_len(store, &error), expected = (int64_t)strlen(names) + 1;
    must("len", error);
    if (len != expected) die("%lld keys instead of %lld", (long long)len, (long long)expected);
}

static long read_until_told(const char *path, const char *names) {
    flagstore_t *store = open_store(path, FLAGSTORE_SYNC_NONE);
    long last[NAMES] = {0}, in_file[NAMES] = {0}, reads = 0;
    bool may_be_behind = read_mode() == FLAGSTORE_READ_WATCHED;
    struct pollfd told = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&told, 1, 0) == 0) {
        char *text = list_all(store);
        check(text, &LISTED, names, last, "list_all");
        flagstore_free(text);
        check_file(path, names, may_be_behind ? in_file : last);
        check_single(store, names);
        reads += 4;
    }
    flagstore_free(store);
    return reads;
}

int main(int count, char **arguments) {
    if (count == 5 && strcmp(arguments[1], "write") == 0) {
        write_turns(arguments[2], arguments[3], atol(arguments[4]));
    } else if (count == 4 && strcmp(arguments[1], "read") == 0 && strlen(arguments[3]) <= NAMES) {
        printf("%ld\n", read_until_told(arguments[2], arguments[3]));
    } else {
        die("see the top of row10_replaces.c");
    }
    return 0;
}
