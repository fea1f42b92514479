/* Preloaded: an allocation that fails, and a write that takes fewer bytes than it was given.

   Faults happen only between the two calls of getppid with which one_call marks the call it makes.
       FAIL_AT=N           the Nth allocation from there on fails
       FAIL_FROM=1         and so does every later one
       FAIL_SIZE=BYTES     only allocations of at least that size are counted
       SHORT_WRITE=BYTES   no write takes more; every second one is interrupted first (EINTR)
       FILES=N             only so many descriptors may be open
   At the end the number of allocations goes to standard error as "allocations N"; of each that failed, its size as
   "failed SIZE" and the stack, before anything can abort. */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool armed;
static unsigned long fail_at, fail_size, allocations, short_write, writes;
static bool fail_from;

static unsigned long number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

static void say(const char *what, unsigned long value) {
    char line[64], *at = line + sizeof line;
    *--at = '\n';
    do *--at = (char)('0' + value % 10); while (value /= 10);
    *--at = ' ';
    at -= strlen(what);
    memcpy(at, what, strlen(what));
    if (syscall(SYS_write, STDERR_FILENO, at, line + sizeof line - at) < 0) _exit(3);
}

/* The marks of one_call. */
pid_t getppid(void) {
    if (!armed) {
        void *warm_up[4];
        backtrace(warm_up, 4); /* its first use loads a library */
        fail_at = number("FAIL_AT"), fail_from = number("FAIL_FROM"), fail_size = number("FAIL_SIZE");
        short_write = number("SHORT_WRITE");
        if (number("FILES")) setrlimit(RLIMIT_NOFILE, &(struct rlimit){number("FILES"), number("FILES")});
    }
    armed = !armed;
    if (!armed) say("allocations", allocations);
    return 1;
}

static bool fails(size_t size) {
    if (!armed || size < fail_size) return false;
    allocations++;
    if (!fail_at || allocations < fail_at || (allocations > fail_at && !fail_from)) return false;
    armed = false;
    void *stack[48];
    int depth = backtrace(stack, 48);
    say("failed", size);
    backtrace_symbols_fd(stack, depth, STDERR_FILENO);
    armed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) { return fails(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails(count * size) ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return fails(size) ? NULL : __libc_realloc(old, size); }
void *aligned_alloc(size_t alignment, size_t size) { return fails(size) ? NULL : __libc_memalign(alignment, size); }

int posix_memalign(void **room, size_t alignment, size_t size) {
    if (fails(size)) return ENOMEM;
    *room = __libc_memalign(alignment, size);
    return *room ? 0 : ENOMEM;
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (armed && short_write) {
        if (++writes % 2) {
            errno = EINTR;
            return -1;
        }
        if (count > short_write) count = short_write;
    }
    return syscall(SYS_write, file, bytes, count);
}
