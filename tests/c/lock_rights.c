/* run: plain */
/* Who may open the lock file may keep others waiting: from its first moment on these are none but those who may write
   the directory, and all of them before anybody waits for it. */
#include "check.h"

#include <sys/file.h>
#include <sys/syscall.h>

/* ---- the library's open and flock go through here ---- */

static int creations, locks;
static unsigned created, locked; /* the lock file's rights: as asked for, and at the first flock of a call */

static int watched_open(const char *path, int flags, unsigned mode) {
    if (flags & O_CREAT && strstr(path, LOCK_FILE)) {
        creations++;
        created = mode;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define WITH_MODE(opened) \
    unsigned mode = 0; \
    if (flags & O_CREAT) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode = va_arg(arguments, unsigned); \
        va_end(arguments); \
    } \
    return opened

int open(const char *path, int flags, ...) { WITH_MODE(watched_open(path, flags, mode)); }
#ifdef __GLIBC__
int open64(const char *path, int flags, ...) { WITH_MODE(watched_open(path, flags, mode)); }
#endif

int flock(int fd, int operation) {
    struct stat status;
    if (operation & LOCK_EX && locks++ == 0 && fstat(fd, &status) == 0) locked = status.st_mode & 0777;
    return (int)syscall(SYS_flock, fd, operation);
}

/* ---- the promise ---- */

static void the_lock_file_is_for_those_who_may_write_the_directory(void) {
    static const struct { mode_t directory, lock; } cases[] = {
        {0700, 0400}, {0755, 0400}, {0750, 0400}, {0775, 0440}, {0777, 0444}, {0733, 0444}, {0702, 0404},
    };
    for (int i = 0; i < 2 * (int)COUNT(cases); i++) {
        mode_t masked = i % 2 ? 077 : 0, before = umask(masked), wanted = cases[i / 2].lock;
        char row[64], name[32];
        snprintf(row, sizeof row, "directory %o, umask %o", (unsigned)cases[i / 2].directory, (unsigned)masked);
        check_row = row;
        snprintf(name, sizeof name, "folder%d", i);
        CHECK(mkdir(name, 0700) == 0 && chmod(name, cases[i / 2].directory) == 0 && chdir(name) == 0);
        creations = locks = 0;
        flagstore_error_t *error = GARBAGE;
        flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
        CHECK_OK(error);
        CHECK_INT(1, creations);
        CHECK_THAT((created & 07777) == wanted, "it is created with %o", created & 07777);
        CHECK_THAT(locks > 0 && locked == wanted, "it is locked for the first time with %o", locked);
        SET(store, "flag", "1");
        CHECK_THAT((STATUS_OF(LOCK_FILE).st_mode & 07777) == wanted, "it has %o in the end",
                   (unsigned)STATUS_OF(LOCK_FILE).st_mode & 07777);
        flagstore_free(store);
        CHECK(chdir("..") == 0);
        umask(before);
    }
    check_row = "";
}

int main(void) {
    RUN(the_lock_file_is_for_those_who_may_write_the_directory);
    return check_summary("lock_rights");
}
