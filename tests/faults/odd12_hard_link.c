/* A set by root beside somebody who slips a hard link of another file in at the lock's name.

     odd12_hard_link PATH SECRET WHEN

   WHEN is "before" the set, or "between" the look that finds no lock file and its creation: the C library's open goes
   through here. Prints CODE ERRNO MESSAGE. */
#include "store.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

static const char *secret, *between;

static void slip_in(const char *at) {
    if (link(secret, at) != 0 && errno != EEXIST) die("cannot link %s: %s", at, strerror(errno));
}

static int open_now(int folder, const char *path, int flags, unsigned mode) {
    size_t length = strlen(path);
    if (between && flags & O_CREAT && length > 5 && strcmp(path + length - 5, ".lock") == 0) {
        slip_in(between);
        between = NULL;
    }
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define WITH_MODE(call) \
    va_list rest; \
    va_start(rest, flags); \
    unsigned mode = flags & O_CREAT ? va_arg(rest, unsigned) : 0; \
    va_end(rest); \
    return call

int open64(const char *path, int flags, ...) { WITH_MODE(open_now(AT_FDCWD, path, flags, mode)); }
int open(const char *path, int flags, ...) { WITH_MODE(open_now(AT_FDCWD, path, flags, mode)); }
int openat64(int folder, const char *path, int flags, ...) { WITH_MODE(open_now(folder, path, flags, mode)); }
int openat(int folder, const char *path, int flags, ...) { WITH_MODE(open_now(folder, path, flags, mode)); }

int main(int count, char **arguments) {
    if (count != 4) die("see the top of odd12_hard_link.c");
    char lock[4096];
    const char *name = strrchr(arguments[1], '/');
    snprintf(lock, sizeof lock, "%.*s/.%s.lock", (int)(name - arguments[1]), arguments[1], name + 1);
    secret = arguments[2];
    if (strcmp(arguments[3], "before") == 0) slip_in(lock);
    else between = lock;
    flagstore_t *store = open_store(arguments[1], FLAGSTORE_SYNC_NONE);
    flagstore_error_t *error = NULL;
    flagstore_set(store, "flag", "2", &error);
    if (between) fprintf(stderr, "no lock file was created under its own name\n");
    printf("%d %d %s\n", (int)flagstore_error_code(error), (int)flagstore_error_os_code(error),
           flagstore_error_message(error));
    flagstore_free(error);
    flagstore_free(store);
    return 0;
}
