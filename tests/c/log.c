/* run: plain valgrind sanitizers */
/* The log: each error once, before the call returns, to whom it was asked for; and otherwise nothing at all. */
#define NO_REMOTE_KINDS
#include "check.h"

#include <sys/auxv.h>

enum { CANNOT_RUN = 77 };

struct log {
    int messages, last_level;
    char last[1024];
};

static void take(void *userdata, int32_t level, const char *message) {
    struct log *log = userdata;
    log->messages++;
    log->last_level = level;
    snprintf(log->last, sizeof log->last, "%s", message);
}

static flagstore_t *open_flags(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    SET(store, "flag", "1");
    return store;
}

/* Calls that fail, one for each code a test can bring about without much ado. */
static void invalid_argument(flagstore_t *store) { flagstore_free(flagstore_get(store, NULL, NULL)); }
static void not_a_store(flagstore_t *store) { (void)store, flagstore_len(NULL, NULL); }
static void invalid_json(flagstore_t *store) { flagstore_set(store, "flag", "?", NULL); }
static void type_mismatch(flagstore_t *store) { flagstore_get_bool(store, "flag", true, NULL); }
static void text_mismatch(flagstore_t *store) { flagstore_free(flagstore_get_string(store, "flag", "text", NULL)); }
static void missing_directory(flagstore_t *store) { (void)store, flagstore_file_open("missing/flags.json", NULL); }

static void corrupt_get(flagstore_t *store) {
    write_file(FLAGS_FILE, "{", 1);
    flagstore_free(flagstore_get(store, "flag", NULL));
}

static void corrupt_set(flagstore_t *store) { flagstore_set(store, "flag", "2", NULL); }
static void corrupt_list(flagstore_t *store) { flagstore_free(flagstore_list_all(store, NULL)); }

static void read_only(flagstore_t *store) {
    (void)store;
    flagstore_file_options_t options = {.size = sizeof options, .flags = FLAGSTORE_OPEN_READ_ONLY};
    flagstore_t *other = flagstore_file_open_with(FLAGS_FILE, &options, NULL);
    flagstore_set(other, "flag", "2", NULL);
    flagstore_free(other);
}

static void not_implemented(flagstore_t *store) {
    (void)store;
    flagstore_backend_t backend = {.size = sizeof backend, .get = forward_get};
    flagstore_t *other = flagstore_backend_open(&backend, NULL);
    flagstore_set(other, "flag", "2", NULL);
    flagstore_free(other);
}

static const struct {
    const char *name;
    void (*fail)(flagstore_t *store);
    const char *part; /* of the message */
} FAILURES[] = {
    {"invalid argument", invalid_argument, "key"},
    {"not a store", not_a_store, "store"},
    {"invalid JSON", invalid_json, "flag"},
    {"type mismatch", type_mismatch, "flag"},
    {"text mismatch", text_mismatch, "flag"},
    {"missing directory", missing_directory, "missing"},
    {"read-only", read_only, FLAGS_FILE},
    {"not implemented", not_implemented, "set"},
    {"corrupt get", corrupt_get, FLAGS_FILE},
    {"corrupt set", corrupt_set, FLAGS_FILE},
    {"corrupt list_all", corrupt_list, FLAGS_FILE},
};

static void each_error_is_logged_once_before_the_call_returns(void) {
    struct log log = {0, 0, ""};
    flagstore_t *store = open_flags();
    flagstore_set_log(take, &log, FLAGSTORE_LOG_WARN);
    for (size_t i = 0; i < COUNT(FAILURES); i++) {
        check_row = FAILURES[i].name;
        log.messages = 0;
        FAILURES[i].fail(store);
        CHECK_INT(1, log.messages);
        CHECK(log.last_level == FLAGSTORE_LOG_WARN || log.last_level == FLAGSTORE_LOG_ERROR);
        CHECK_THAT(strstr(log.last, FAILURES[i].part) != NULL,
                   "expected a message with <%s>, got <%s>", FAILURES[i].part, log.last);
    }
    flagstore_set_log(NULL, NULL, 0);
    flagstore_free(store);
}

static void what_is_no_error_is_not_logged(void) {
    struct log log = {0, 0, ""};
    flagstore_set_log(take, &log, FLAGSTORE_LOG_WARN);
    flagstore_t *store = open_flags();
    CHECK_GET(NULL, store, "absent");
    CHECK(!flagstore_delete(store, "absent", NULL));
    CHECK_INT(5, flagstore_get_int64(store, "absent", 5, NULL));
    CHECK(unlink(FLAGS_FILE) == 0);
    CHECK_ALL("{}", store);
    flagstore_free(store);
    flagstore_set_log(NULL, NULL, 0);
    CHECK_INT(0, log.messages);
    CHECK_TEXT("", log.last);
}

static void the_level_says_how_grave_is_grave_enough(void) {
    struct log log = {0, 0, ""};
    flagstore_t *store = open_flags();
    flagstore_set_log(take, &log, FLAGSTORE_LOG_ERROR);
    invalid_json(store); /* the caller's doing: a warning */
    CHECK_INT(0, log.messages);
    missing_directory(store); /* the system's: an error */
    CHECK_INT(1, log.messages);
    CHECK_INT(FLAGSTORE_LOG_ERROR, log.last_level);
    flagstore_set_log(take, &log, FLAGSTORE_LOG_DEBUG);
    invalid_json(store);
    CHECK(log.messages >= 2);
    flagstore_set_log(take, &log, 0);
    log.messages = 0;
    missing_directory(store);
    CHECK_INT(0, log.messages);
    flagstore_set_log(NULL, NULL, 0);
    flagstore_free(store);
}

static void null_turns_the_log_off_and_another_callback_takes_over(void) {
    struct log one = {0, 0, ""}, other = {0, 0, ""};
    flagstore_t *store = open_flags();
    flagstore_set_log(take, &one, FLAGSTORE_LOG_WARN);
    invalid_json(store);
    flagstore_set_log(take, &other, FLAGSTORE_LOG_WARN);
    invalid_json(store);
    flagstore_set_log(NULL, &other, FLAGSTORE_LOG_WARN);
    invalid_json(store);
    CHECK_INT(1, one.messages);
    CHECK_INT(1, other.messages);
    flagstore_free(store);
}

/* Whoever reads a log or a terminal is not to be led astray by a name that somebody chose. */
static const struct {
    const char *raw, *escaped;
} NAMES[] = {
    {"a\nb", "a\\nb"}, {"a\tb", "a\\tb"}, {"a\x1b[2Jb", "a\\u{1b}[2Jb"}, {"a\x7f", "a\\u{7f}"},
    {"a\xc2\x9b" "b", "a\\u{9b}b"}, {"a\xe2\x80\xae" "b", "a\\u{202e}b"}, {"a\xe2\x81\xa6" "b", "a\\u{2066}b"},
    {"a\xe2\x80\xa8" "b", "a\\u{2028}b"}, {"a\xd8\x9c" "b", "a\\u{61c}b"}, {"\xc3\xa9 \xf0\x9f\x98\x80", "\xc3\xa9 \xf0\x9f\x98\x80"},
};

static void a_line_moves_no_terminal_and_no_reader(void) {
    struct log log = {0, 0, ""};
    flagstore_set_log(take, &log, FLAGSTORE_LOG_WARN);
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        char path[64];
        flagstore_error_t *error = GARBAGE;
        check_row = NAMES[i].escaped;
        snprintf(path, sizeof path, "%s/flags.json", NAMES[i].raw);
        CHECK(flagstore_file_open(path, &error) == NULL);
        CHECK_THAT(strstr(log.last, NAMES[i].escaped) != NULL, "expected <%s>, got <%s>", NAMES[i].escaped, log.last);
        CHECK_ERROR(FLAGSTORE_IO, NAMES[i].raw, error); /* the caller gets the path as it is */
    }
    flagstore_set_log(NULL, NULL, 0);
}

static void a_conflict_is_logged_without_what_is_stored(flagstore_t *store) {
    struct log log = {0, 0, ""};
    flagstore_error_t *error = GARBAGE;
    flagstore_batch_t *batch = flagstore_batch_new();
    SET(store, "flag", "\"a secret\"");
    CHECK(flagstore_batch_expect(batch, "flag", "\"a guess\"", NULL));
    flagstore_set_log(take, &log, FLAGSTORE_LOG_WARN);
    CHECK(!flagstore_commit(store, batch, &error));
    flagstore_set_log(NULL, NULL, 0);
    CHECK_INT(1, log.messages);
    CHECK(strstr(log.last, "flag") && !strstr(log.last, "secret") && !strstr(log.last, "guess"));
    CHECK_ERROR(FLAGSTORE_CONFLICT, "a secret", error); /* the caller may read the flag anyway */
    flagstore_free(batch);
}

struct caller {
    flagstore_t *store;
    int calls;
};

/* Calls the library back, into the very store and lock that the failed call was about, and fails itself. */
static void call_back(void *userdata, int32_t level, const char *message) {
    (void)level, (void)message;
    struct caller *caller = userdata;
    if (++caller->calls > 1) return;
    CHECK_GET("1", caller->store, "flag");
    SET(caller->store, "logged", "true");
    flagstore_set(caller->store, "flag", "?", NULL);
    flagstore_set_log(call_back, caller, FLAGSTORE_LOG_WARN);
}

static void the_callback_may_call_the_library(flagstore_t *store) {
    struct caller caller = {store, 0};
    SET(store, "flag", "1");
    flagstore_set_log(call_back, &caller, FLAGSTORE_LOG_WARN);
    invalid_json(store);
    CHECK_INT(2, caller.calls);
    type_mismatch(store);
    CHECK_INT(3, caller.calls);
    flagstore_set_log(NULL, NULL, 0);
    CHECK_ALL("{\"flag\":1,\"logged\":true}", store);
}

/* Runs every failure with standard output and error going to files. */
static void fail_into_files(void) {
    flagstore_t *store = open_flags();
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    CHECK(freopen("out", "w", stdout) != NULL && freopen("err", "w", stderr) != NULL);
    for (size_t i = 0; i < COUNT(FAILURES); i++)
        FAILURES[i].fail(store);
    flagstore_free(store);
    fflush(stdout);
    fflush(stderr);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
}

static void nothing_is_printed_unasked(void) {
    fail_into_files();
    CHECK_FILE("", "out");
    CHECK_FILE("", "err");
}

static size_t lines_of_errors(void) {
    size_t len = 0, lines = 0;
    char *text = read_file("err", &len);
    for (size_t i = 0; text && i < len; i++)
        lines += text[i] == '\n';
    free(text);
    return lines;
}

static void the_environment_asks_for_lines_on_standard_error(void) {
    fail_into_files();
    CHECK_FILE("", "out");
    CHECK_INT((long long)COUNT(FAILURES), (long long)lines_of_errors());
}

static void a_callback_takes_over_from_the_environment(void) {
    struct log log = {0, 0, ""};
    flagstore_set_log(take, &log, FLAGSTORE_LOG_WARN);
    fail_into_files();
    flagstore_set_log(NULL, NULL, 0);
    CHECK_INT((long long)COUNT(FAILURES), log.messages);
    CHECK_FILE("", "err");
}

/* The library looks at the environment once: this program runs again, with FLAGSTORE_LOG set. */
static int run_again(const char *program) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        setenv("FLAGSTORE_LOG", "warn", 1);
        execl(program, program, (char *)NULL);
        _exit(CANNOT_RUN);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void the_environment_turns_the_log_on(void) {
    char program[PATH_MAX] = "";
    CHECK(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    CHECK_INT(0, run_again(program));
}

/* A group that this process may give to its files and that is not its own; -1: there is none. */
static gid_t other_group(void) {
    gid_t groups[256];
    int count = getgroups(COUNT(groups), groups);
    if (geteuid() == 0) return getegid() == 65534 ? 65533 : 65534;
    while (count > 0 && groups[count - 1] == getegid())
        count--;
    return count > 0 ? groups[count - 1] : (gid_t)-1;
}

/* A copy of this program that runs with another group's rights; its environment is a stranger's. */
static void the_environment_does_not_count_with_rights_that_the_caller_lacks(void) {
    char command[PATH_MAX + 64], program[PATH_MAX] = "";
    CHECK(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    snprintf(command, sizeof command, "cp '%s' privileged", program);
    CHECK(system(command) == 0);
    int status = other_group() != (gid_t)-1 && chown("privileged", (uid_t)-1, other_group()) == 0
                         && chmod("privileged", 02755) == 0
                     ? run_again("./privileged")
                     : CANNOT_RUN << 8;
    /* valgrind runs no such program, a file system may ignore the bit, and there may be no other group. */
    if (status == CANNOT_RUN << 8)
        printf("log: NOT TESTED: %s\n", check_context);
    else
        CHECK_INT(0, status);
}

int main(void) {
    if (getauxval(AT_SECURE)) {
        RUN(nothing_is_printed_unasked);
        _exit(check_failures != 0); /* no leak checker may look into such a process */
    }
    if (strstr(program_invocation_name, "privileged")) _exit(CANNOT_RUN);
    if (getenv("FLAGSTORE_LOG")) {
        RUN(the_environment_asks_for_lines_on_standard_error);
        RUN(a_callback_takes_over_from_the_environment);
        return check_failures != 0;
    }
    RUN(each_error_is_logged_once_before_the_call_returns);
    RUN(what_is_no_error_is_not_logged);
    RUN(the_level_says_how_grave_is_grave_enough);
    RUN(null_turns_the_log_off_and_another_callback_takes_over);
    RUN(a_line_moves_no_terminal_and_no_reader);
    RUN_ON_EVERY_KIND(a_conflict_is_logged_without_what_is_stored);
    RUN_ON_EVERY_KIND(the_callback_may_call_the_library);
    RUN(nothing_is_printed_unasked);
    RUN(the_environment_turns_the_log_on);
    RUN(the_environment_does_not_count_with_rights_that_the_caller_lacks);
    return check_summary("log");
}
