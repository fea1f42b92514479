/* The part of the soak that forks: forks URL. A thread reads through a FRESH and a WATCHED store all the time, while
   children, one after the other, read and change through both as they inherited them. At the end of its input it says

     CHILDREN ANSWERS ACKNOWLEDGED UNCERTAIN, and of each key NUMBER:0, or NUMBER:1 if there may be one more

   Another status than 0: what it says went wrong. */
#include "flagstore.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 4, PATIENT_S = 30 };
/* What came of a child; with MADE the change that was uncertain before it had been made. */
enum { ACKNOWLEDGED, NOT_MADE, UNCERTAIN, WRONG, MADE = 16 };

static flagstore_t *stores[2];
static long answers, mine[KEYS];
static bool is_pending[KEYS], is_ending;

static void fail(const char *what, const char *key, const char *text) {
    fprintf(stderr, "forks: %s: %s: %s\n", what, key, text ? text : "absent");
    _exit(WRONG);
}

static const char *key_of(int i) {
    static const char *const keys[KEYS] = {"fork.0", "fork.1", "fork.2", "fork.3"};
    return keys[i];
}

/* The number in an answer, 0 for none; -1 if there is no answer. *text is to be freed. */
static long ask(const flagstore_t *store, int i, char **text) {
    flagstore_error_t *error;
    char wanted[64];
    *text = flagstore_get(store, key_of(i), &error);
    if (error) {
        if (flagstore_error_code(error) != FLAGSTORE_UNAVAILABLE)
            fail("a read", key_of(i), flagstore_error_message(error));
        flagstore_free(error);
        return -1;
    }
    if (!*text) return 0;
    int len = snprintf(wanted, sizeof wanted, "{\"key\":\"%s\",\"n\":", key_of(i));
    if (strncmp(*text, wanted, (size_t)len) != 0) fail("the answer to another question", key_of(i), *text);
    return strtol(*text + len, NULL, 10);
}

static void *read_all_the_time(void *unused) {
    for (int turn = 0; !__atomic_load_n(&is_ending, __ATOMIC_RELAXED); turn++) {
        char *text;
        if (ask(stores[turn % 2], turn % KEYS, &text) < 0) usleep(10000);
        else __atomic_add_fetch(&answers, 1, __ATOMIC_RELAXED);
        flagstore_free(text);
    }
    return unused;
}

static int change(int i, const char *text, long n) {
    flagstore_error_t *error;
    char value[64];
    flagstore_batch_t *batch = flagstore_batch_new();
    snprintf(value, sizeof value, "{\"key\":\"%s\",\"n\":%ld}", key_of(i), n);
    bool done = flagstore_batch_expect(batch, key_of(i), text, &error)
                && flagstore_batch_set(batch, key_of(i), value, &error) && flagstore_commit(stores[0], batch, &error);
    int32_t code = flagstore_error_code(error);
    if (!done && code != FLAGSTORE_CONFLICT && code != FLAGSTORE_UNAVAILABLE && code != FLAGSTORE_UNCERTAIN)
        fail("a change", key_of(i), flagstore_error_message(error));
    flagstore_free(error);
    flagstore_free(batch);
    return done ? ACKNOWLEDGED : code == FLAGSTORE_UNCERTAIN ? UNCERTAIN : NOT_MADE;
}

static int child(int i, bool frees) {
    alarm(PATIENT_S); /* it hangs */
    char *text;
    ask(stores[1], (i + 1) % KEYS, &text);
    flagstore_free(text);
    long n = ask(stores[0], i, &text);
    int result = NOT_MADE;
    if (n >= 0) {
        if (n != mine[i] && !(is_pending[i] && n == mine[i] + 1)) {
            fprintf(stderr, "forks: %s: %ld changes are certain, one more %s\n", key_of(i), mine[i],
                    is_pending[i] ? "may be" : "is not");
            fail("changes were lost, or made though reported as not made", key_of(i), text);
        }
        result = change(i, text, n + 1) | (n > mine[i] ? MADE : 0);
    }
    flagstore_free(text);
    for (int s = 0; frees && s < 2; s++) flagstore_free(stores[s]);
    return result;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    long children = 0, acknowledged = 0, uncertain = 0;
    for (int s = 0; s < 2; s++) {
        flagstore_error_t *error;
        flagstore_remote_options_t remote = {.size = sizeof remote, .open_timeout_ms = 30000,
                                             .read_mode = s ? FLAGSTORE_READ_WATCHED : FLAGSTORE_READ_FRESH};
        flagstore_redis_options_t options = {.size = sizeof options, .remote = &remote};
        if (!(stores[s] = flagstore_redis_open(argv[1], &options, &error)))
            fail("open", argv[1], flagstore_error_message(error));
    }
    pthread_t reader;
    pthread_create(&reader, NULL, read_all_the_time, NULL);
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (; poll(&input, 1, 20) == 0; children++) {
        int i = (int)(children % KEYS), status;
        pid_t pid = fork();
        if (pid == 0) {
            int result = child(i, children / KEYS % 2 == 0);
            children / KEYS % 3 == 0 ? exit(result) : _exit(result);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid) fail("fork", key_of(i), "no child");
        if (!WIFEXITED(status)) /* the alarm: it hung */
            fail("a child was ended by a signal", key_of(i), strsignal(WTERMSIG(status)));
        int result = WEXITSTATUS(status);
        if ((result & 15) >= WRONG) return 1;
        /* An attempt of before can be made no more once there is one of now that was made: both expect the same. */
        if (result & MADE) mine[i]++, is_pending[i] = false;
        if ((result & 15) == ACKNOWLEDGED) mine[i]++, acknowledged++, is_pending[i] = false;
        if ((result & 15) == UNCERTAIN) is_pending[i] = true, uncertain++;
    }
    __atomic_store_n(&is_ending, true, __ATOMIC_RELAXED);
    pthread_join(reader, NULL);
    printf("%ld %ld %ld %ld", children, answers, acknowledged, uncertain);
    for (int i = 0; i < KEYS; i++) printf(" %ld:%d", mine[i], is_pending[i]);
    puts("");
    for (int s = 0; s < 2; s++) flagstore_free(stores[s]);
    return 0;
}
