/* run: plain checked valgrind sanitizers */
/* Where a file store may live: links, permissions, directories that come and go, and what is no file at all. */
#include "check.h"

#include <sys/socket.h>
#include <sys/un.h>

static flagstore_t *open_path(const char *path) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(path, &error);
    CHECK_OK(error);
    return store;
}

#define ANY 0 /* errno is there, whatever it is */

static void check_io(int line, int errno_code, flagstore_error_t **error) {
    int os_code = *error == GARBAGE ? 0 : flagstore_error_os_code(*error);
    if (!check_error(__FILE__, line, FLAGSTORE_IO, NULL, error)) return;
    check_that(os_code == errno_code || (errno_code == ANY && os_code != 0), __FILE__, line,
               "expected errno %d, got %d", errno_code, os_code);
}

static void check_no_open(int line, const char *path, int errno_code) {
    flagstore_error_t *error = GARBAGE;
    check_row = path;
    CHECK(flagstore_file_open(path, &error) == NULL);
    check_io(line, errno_code, &error);
}

/* Every call on a store whose path went bad after it was opened. */
static void check_no_call(int line, flagstore_t *store, int errno_code) {
    flagstore_error_t *error = GARBAGE;
    CHECK(flagstore_get(store, "flag", &error) == NULL);
    check_io(line, errno_code, &error);
    CHECK(flagstore_list_all(store, &error) == NULL);
    check_io(line, errno_code, &error);
    CHECK_INT(-1, flagstore_len(store, &error));
    check_io(line, errno_code, &error);
    CHECK(flagstore_get_bool(store, "flag", true, &error));
    check_io(line, errno_code, &error);
    CHECK(!flagstore_set(store, "flag", "2", &error));
    check_io(line, errno_code, &error);
    CHECK(!flagstore_delete(store, "flag", &error));
    check_io(line, errno_code, &error);
}

static void permission_bits_are_kept(void) {
    static const mode_t modes[] = {0600, 0640, 0644, 0664, 0666, 0604, 0755};
    flagstore_t *store = open_path(FLAGS_FILE);
    for (size_t i = 0; i < COUNT(modes); i++) {
        CHECK(chmod(FLAGS_FILE, modes[i]) == 0);
        ino_t before = STATUS_OF(FLAGS_FILE).st_ino;
        CHECK(flagstore_set_int64(store, "flag", (int64_t)i, NULL));
        CHECK(STATUS_OF(FLAGS_FILE).st_ino != before); /* it was replaced, not overwritten */
        CHECK_INT(modes[i], STATUS_OF(FLAGS_FILE).st_mode & 07777);
    }
    flagstore_free(store);
}

static void a_new_file_has_0666_less_the_umask(void) {
    static const mode_t masks[] = {022, 027, 077, 0};
    for (size_t i = 0; i < COUNT(masks); i++) {
        mode_t before = umask(masks[i]);
        flagstore_t *store = open_path(FLAGS_FILE);
        CHECK_INT(0666 & ~masks[i], STATUS_OF(FLAGS_FILE).st_mode & 07777);
        CHECK(unlink(FLAGS_FILE) == 0);
        SET(store, "flag", "1");
        CHECK_INT(0666 & ~masks[i], STATUS_OF(FLAGS_FILE).st_mode & 07777);
        CHECK_INT(masks[i], umask(before));
        flagstore_free(store);
        CHECK(unlink(FLAGS_FILE) == 0);
    }
}

static bool is_link(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

static void a_link_is_followed_and_survives(void) {
    CHECK(mkdir("real", 0755) == 0 && mkdir("links", 0755) == 0);
    CHECK(symlink("../real/flags.json", "links/first") == 0 && symlink("links/first", "second") == 0);
    write_file("real/flags.json", "{\"flag\":1}", 10);
    flagstore_t *store = open_path("second");
    CHECK_GET("1", store, "flag");
    SET(store, "flag", "2");
    CHECK_FILE("{\n  \"flag\": 2\n}\n", "real/flags.json");
    CHECK(is_link("second") && is_link("links/first"));
    CHECK(access("real/" LOCK_FILE, F_OK) == 0); /* the lock stands beside the real file: all names share it */
    CHECK(access(LOCK_FILE, F_OK) != 0 && access(".second.lock", F_OK) != 0 && access("links/.first.lock", F_OK) != 0);
    flagstore_free(store);
}

static void a_link_may_be_turned_to_another_file(void) {
    write_file("one.json", "{\"flag\":1}", 10);
    write_file("two.json", "{\"flag\":2}", 10);
    CHECK(symlink("one.json", "current") == 0 && symlink("two.json", "next") == 0);
    flagstore_t *store = open_path("current");
    CHECK_GET("1", store, "flag");
    CHECK(rename("next", "current") == 0);
    CHECK_GET("2", store, "flag");
    SET(store, "flag", "3");
    CHECK_FILE("{\"flag\":1}", "one.json");
    CHECK_FILE("{\n  \"flag\": 3\n}\n", "two.json");
    flagstore_free(store);
}

enum { SWAPS = 3000 };

/* As a deploy does that turns "current" to another version. */
static void swap(void *store) {
    flagstore_free(store); /* the child's copy */
    for (int i = 0; i < SWAPS; i++)
        CHECK(symlink(i % 2 ? "a" : "b", "current-new") == 0 && rename("current-new", "current") == 0);
}

/* What was read of one version never lands in the other. */
static void a_link_that_is_swapped_during_sets_mixes_no_versions(void) {
    CHECK(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0 && symlink("a", "current") == 0);
    put("a/" FLAGS_FILE, "{\"version\": \"a\"}");
    put("b/" FLAGS_FILE, "{\"version\": \"b\"}");
    flagstore_file_options_t options = {.size = sizeof options, .durability = FLAGSTORE_SYNC_NONE};
    flagstore_t *store = flagstore_file_open_with("current/" FLAGS_FILE, &options, NULL);
    pid_t swapper = start_child(swap, store);
    int sets = 0;
    for (siginfo_t ended = {.si_pid = 0}; ended.si_pid == 0; sets++) {
        flagstore_error_t *error = NULL; /* EBUSY: it was overtaken each time */
        if (!flagstore_set_int64(store, "n", sets, &error)) CHECK_INT(EBUSY, flagstore_error_os_code(error));
        flagstore_free(error);
        CHECK(waitid(P_PID, (id_t)swapper, &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
    }
    end_child(swapper);
    flagstore_free(store);
    for (int i = 0; i < 2; i++) {
        flagstore_t *version = open_path(i ? "b/" FLAGS_FILE : "a/" FLAGS_FILE);
        CHECK_GET(i ? "\"b\"" : "\"a\"", version, "version");
        flagstore_free(version);
    }
}

static void a_dangling_link_is_an_error_not_an_empty_store(void) {
    flagstore_error_t *error = GARBAGE;
    CHECK(symlink("nowhere.json", "link") == 0 && symlink("gone/flags.json", "far") == 0);
    CHECK(symlink("loop", "loop") == 0);
    check_no_open(__LINE__, "link", ENOENT);
    check_no_open(__LINE__, "far", ENOENT);
    check_no_open(__LINE__, "loop", ELOOP);
    CHECK(access("nowhere.json", F_OK) != 0);
    write_file("nowhere.json", "{\"flag\":1}", 10);
    flagstore_t *store = open_path("link");
    CHECK(unlink("nowhere.json") == 0);
    check_no_call(__LINE__, store, ENOENT);
    CHECK(access("nowhere.json", F_OK) != 0 && is_link("link"));
    CHECK(unlink("link") == 0);
    CHECK_GET(NULL, store, "flag"); /* without the link it is a missing file: an empty store */
    CHECK_INT(0, flagstore_len(store, &error));
    CHECK_OK(error);
    flagstore_free(store);
}

static void a_missing_directory_is_an_error(void) {
    check_no_open(__LINE__, "missing/flags.json", ENOENT);
    check_no_open(__LINE__, "", ENOENT);
    write_file("file", "{}", 2);
    check_no_open(__LINE__, "file/flags.json", ENOTDIR);
    CHECK(mkdir("dir", 0755) == 0);
    flagstore_t *store = open_path("dir/flags.json");
    SET(store, "flag", "1");
    CHECK(rename("dir", "moved") == 0);
    check_no_call(__LINE__, store, ENOENT);
    CHECK(access("dir", F_OK) != 0);
    CHECK(rename("moved", "dir") == 0);
    CHECK_GET("1", store, "flag");
    flagstore_free(store);
}

static void a_name_that_is_too_long_is_an_error(void) {
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    check_no_open(__LINE__, name, ENAMETOOLONG);
}

static void make_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    close(fd);
}

/* A FIFO without a writer would block a careless open for ever: the deadline of the promise would tell. */
static void what_is_no_regular_file_is_an_error(void) {
    static const char *const paths[] = {"directory", "fifo", "socket", "/dev/null", ".", "/"};
    CHECK(mkdir("directory", 0755) == 0 && mkfifo("fifo", 0644) == 0);
    make_socket("socket");
    for (size_t i = 0; i < COUNT(paths); i++)
        check_no_open(__LINE__, paths[i], ANY);
    CHECK(access(".fifo.lock", F_OK) != 0 && access(".socket.lock", F_OK) != 0);
}

/* Nor is a lock file made beside what may never have been a file of flags. */
static void a_file_that_becomes_something_else_is_an_error(void) {
    flagstore_t *store = open_path(FLAGS_FILE);
    CHECK(unlink(LOCK_FILE) == 0);
    CHECK(unlink(FLAGS_FILE) == 0 && mkfifo(FLAGS_FILE, 0644) == 0);
    check_no_call(__LINE__, store, ANY);
    CHECK(unlink(FLAGS_FILE) == 0 && mkdir(FLAGS_FILE, 0755) == 0);
    check_no_call(__LINE__, store, ANY);
    CHECK(access(LOCK_FILE, F_OK) != 0);
    CHECK(rmdir(FLAGS_FILE) == 0);
    SET(store, "flag", "1");
    flagstore_free(store);
}

static void a_later_change_of_directory_does_no_harm(void) {
    flagstore_t *store = open_path(FLAGS_FILE);
    CHECK(mkdir("elsewhere", 0755) == 0 && chdir("elsewhere") == 0);
    SET(store, "flag", "1");
    CHECK_GET("1", store, "flag");
    CHECK(access(FLAGS_FILE, F_OK) != 0);
    CHECK_FILE("{\n  \"flag\": 1\n}\n", "../" FLAGS_FILE);
    flagstore_free(store);
}

int main(void) {
    RUN(permission_bits_are_kept);
    RUN(a_new_file_has_0666_less_the_umask);
    RUN(a_link_is_followed_and_survives);
    RUN(a_link_may_be_turned_to_another_file);
    RUN(a_link_that_is_swapped_during_sets_mixes_no_versions);
    RUN(a_dangling_link_is_an_error_not_an_empty_store);
    RUN(a_missing_directory_is_an_error);
    RUN(a_name_that_is_too_long_is_an_error);
    RUN(what_is_no_regular_file_is_an_error);
    RUN(a_file_that_becomes_something_else_is_an_error);
    RUN(a_later_change_of_directory_does_no_harm);
    return check_summary("places");
}
