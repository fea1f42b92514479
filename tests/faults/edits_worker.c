/* Those who use the library while others edit its file (edits.py). The document that all of them write is
   {"counter": C, "edition": E, "payload": "E." times T, "times": T}, so that a mixture of two does not fit together.

     edits_worker read PATH THREADS                     until standard input ends; every read must be a whole document;
                                                        prints "reading" once it does, in the end
                                                        READS CHANGES LOWEST HIGHEST (of the editions seen)
     edits_worker naive PATH                            reads without the library until then; prints READS WRONG
     edits_worker set PATH DURABILITY PAUSE_US PROGRESS until standard input ends; sets "counter" to 1, 2, ..., and
                                                        PROGRESS to the last; prints SETS REFUSED
     edits_worker stopped PATH                          one set, which is stopped between its read and its rename
     edits_worker looks PATH                            one read, which is stopped before its first look at the bytes
                                                        and before the second; prints the edition
     edits_worker replace PATH EDITS PROGRESS           replaces the file without the lock, at any moment, while
                                                        another process sets; prints how many edits the sets undid */
#include "store.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { ROOM = 1 << 18, MAX_THREADS = 16 };

static bool told_to_end(void) {
    struct pollfd told = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&told, 1, 0) != 0;
}

/* ---- the document ---- */

struct document {
    long counter, edition, times;
};

static void write_document(char *to, const struct document *it) {
    char number[32];
    int len = snprintf(number, sizeof number, "%ld.", it->edition);
    int at = snprintf(to, ROOM, "{\"counter\":%ld,\"edition\":%ld,\"payload\":\"", it->counter, it->edition);
    if (it->times < 0 || at + it->times * len + 100 > ROOM) die("edition %ld, %ld times", it->edition, it->times);
    for (long i = 0; i < it->times; i++, at += len) memcpy(to + at, number, (size_t)len);
    snprintf(to + at, 100, "\",\"times\":%ld}", it->times);
}

static long edition_of(const char *text) {
    static __thread char expected[ROOM];
    struct document it = {0};
    const char *times = strstr(text, "\"times\":");
    if (times && sscanf(text, "{\"counter\":%ld,\"edition\":%ld", &it.counter, &it.edition) == 2)
        it.times = atol(times + 8);
    write_document(expected, &it);
    if (strcmp(text, expected) != 0) die("not a whole document: <%.300s>", text);
    return it.edition;
}

/* ---- read ---- */

struct reader {
    const char *path;
    bool announce;
    long reads, changes, lowest, highest;
};

static void see(struct reader *reader, long edition, long *last) {
    if (reader->lowest == 0 || edition < reader->lowest) reader->lowest = edition;
    if (edition > reader->highest) reader->highest = edition;
    reader->changes += edition != *last;
    reader->reads++;
    *last = edition;
}

static long edition_of_snapshot(const flagstore_t *store) {
    flagstore_error_t *error = NULL;
    flagstore_snapshot_t *snapshot = flagstore_snapshot(store, &error);
    must("snapshot", error);
    const char *edition = flagstore_snapshot_find(snapshot, "edition", NULL);
    const char *payload = flagstore_snapshot_find(snapshot, "payload", NULL);
    if (flagstore_snapshot_count(snapshot) != 4 || !edition || !payload || atol(payload + 1) != atol(edition))
        die("a snapshot of %zu flags, edition %s", flagstore_snapshot_count(snapshot), edition ? edition : "missing");
    long number = atol(edition);
    flagstore_free(snapshot);
    return number;
}

static void *read_until_told(void *argument) {
    struct reader *reader = argument;
    flagstore_t *store = open_store(reader->path, FLAGSTORE_SYNC_FULL);
    long last = 0;
    while (!told_to_end()) {
        char *text = list_all(store);
        see(reader, edition_of(text), &last);
        flagstore_free(text);
        see(reader, edition_of_snapshot(store), &last);
        long edition = (long)get_number(store, "edition"); /* 0: there was no such flag */
        if (edition == 0) die("the edition was missing");
        see(reader, edition, &last);
        if (reader->announce && puts("reading") >= 0) fflush(stdout);
        reader->announce = false;
    }
    flagstore_free(store);
    return NULL;
}

static void read_in_threads(const char *path, int threads) {
    pthread_t started[MAX_THREADS];
    struct reader readers[MAX_THREADS] = {0}, all = {0};
    if (threads < 1 || threads > MAX_THREADS) die("%d threads", threads);
    for (int i = 0; i < threads; i++) {
        readers[i].path = path;
        readers[i].announce = i == 0;
        pthread_create(&started[i], NULL, read_until_told, &readers[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(started[i], NULL);
        if (readers[i].reads == 0) continue;
        all.reads += readers[i].reads, all.changes += readers[i].changes;
        if (all.lowest == 0 || readers[i].lowest < all.lowest) all.lowest = readers[i].lowest;
        if (readers[i].highest > all.highest) all.highest = readers[i].highest;
    }
    printf("%ld %ld %ld %ld\n", all.reads, all.changes, all.lowest, all.highest);
}

/* ---- naive: what a single look at the file finds ---- */

/* The text, "" if there is no file. */
static const char *text_of(const char *path) {
    static char text[ROOM];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static void read_naively(const char *path) {
    long reads = 0, wrong = 0;
    for (; !told_to_end(); reads++) {
        const char *text = text_of(path);
        size_t len = strlen(text);
        wrong += len < 3 || strcmp(text + len - 3, "\n}\n") != 0;
    }
    printf("%ld %ld\n", reads, wrong);
}

/* ---- set ---- */

static volatile long *shared_progress(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) die("cannot share %s: %s", path, strerror(errno));
    close(fd);
    return at;
}

/* Others who change the file all the time may be told of (EBUSY), and a directory that goes away (ENOENT). */
static void set_until_told(const char *path, int32_t durability, long pause_us, volatile long *progress) {
    flagstore_t *store = open_store(path, durability);
    long sets = 0, refused = 0;
    while (!told_to_end()) {
        flagstore_error_t *error = NULL;
        if (!flagstore_set_int64(store, "counter", sets + 1, &error)) {
            int code = flagstore_error_os_code(error);
            if (code != EBUSY && code != ENOENT) must("set", error);
            refused++;
        }
        flagstore_free(error);
        __atomic_store_n(progress, ++sets, __ATOMIC_SEQ_CST);
        if (pause_us) sleep_us(pause_us);
    }
    flagstore_free(store);
    printf("%ld %ld\n", sets, refused);
}

/* ---- stopped, looks: the library's fsync and read go through here ---- */

static bool stop_after_sync;

int fsync(int fd) {
    long result = syscall(SYS_fsync, fd);
    if (stop_after_sync) {
        stop_after_sync = false; /* what is tried anew is not stopped again */
        raise(SIGSTOP);
    }
    return (int)result;
}

static void set_stopped(const char *path) {
    flagstore_t *store = open_store(path, FLAGSTORE_SYNC_FULL);
    stop_after_sync = true;
    set_number(store, "counter", 1000);
    if (stop_after_sync) die("the set has synced nothing");
    flagstore_free(store);
}

static int stops_before_reads;

ssize_t read(int fd, void *to, size_t len) {
    if (stops_before_reads > 0) {
        stops_before_reads--;
        raise(SIGSTOP);
    }
    return syscall(SYS_read, fd, to, len);
}

static void read_stopped(const char *path) {
    flagstore_t *store = open_store(path, FLAGSTORE_SYNC_FULL);
    stops_before_reads = 2;
    long edition = (long)get_number(store, "edition");
    stops_before_reads = 0;
    printf("%ld\n", edition);
    flagstore_free(store);
}

/* ---- replace ---- */

static long edition_in(const char *path) {
    const char *text = text_of(path), *at = strstr(text, "\"edition\":");
    if (!at) die("no edition in <%.300s>", text);
    return atol(at + 10);
}

static void replace_by(const char *path, const char *beside, const struct document *it) {
    static char text[ROOM];
    write_document(text, it);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) die("%s: %s", beside, strerror(errno));
    close(fd);
    if (rename(beside, path) != 0) die("%s: %s", path, strerror(errno));
}

/* Waits for the end of the set that is under way. */
static void let_set_end(volatile long *progress) {
    long before = __atomic_load_n(progress, __ATOMIC_SEQ_CST);
    double end = now_ms() + LOCK_TIMEOUT_MS;
    while (__atomic_load_n(progress, __ATOMIC_SEQ_CST) <= before) {
        if (now_ms() > end) die("the sets do not go on");
        sched_yield();
    }
}

static void replace_against_sets(const char *path, long edits, volatile long *progress) {
    char beside[4096];
    long undone = 0, edition = edition_in(path);
    double set_ms = 0;
    snprintf(beside, sizeof beside, "%s~", path);
    for (long i = 0; i < edits; i++) {
        struct document it = {.counter = 0, .edition = ++edition, .times = 1 + edition % 100};
        let_set_end(progress);
        /* At any moment of a set, not always at the same. */
        for (double end = now_ms() + set_ms * (double)rand() / RAND_MAX; now_ms() < end;) sched_yield();
        replace_by(path, beside, &it);
        double before = now_ms();
        let_set_end(progress); /* only this one can have read the file before */
        undone += edition_in(path) != edition;
        let_set_end(progress);
        double took = now_ms() - before;
        if (took < 5) set_ms = took; /* else the machine was busy elsewhere */
    }
    printf("%ld\n", undone);
}

int main(int count, char **arguments) {
    const char *what = count > 2 ? arguments[1] : "", *path = count > 2 ? arguments[2] : "";
    if (strcmp(what, "read") == 0 && count == 4) read_in_threads(path, atoi(arguments[3]));
    else if (strcmp(what, "naive") == 0 && count == 3) read_naively(path);
    else if (strcmp(what, "set") == 0 && count == 6)
        set_until_told(path, atoi(arguments[3]), atol(arguments[4]), shared_progress(arguments[5]));
    else if (strcmp(what, "stopped") == 0 && count == 3) set_stopped(path);
    else if (strcmp(what, "looks") == 0 && count == 3) read_stopped(path);
    else if (strcmp(what, "replace") == 0 && count == 5)
        replace_against_sets(path, atol(arguments[3]), shared_progress(arguments[4]));
    else die("see the top of edits_worker.c");
    return 0;
}
