/* run: plain */
/* flagstore_free frees what the library handed out, whatever a sandbox or the size of pages keeps the library from
   learning about memory, and still tells what was freed before. */
#include "check.h"

#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static long page_size; /* what this system claims; 0: the truth */
static int asked_for_residence;

/* In front of the C library's: what a kernel with larger pages says. */
long sysconf(int name) {
    if (name == _SC_PAGESIZE && page_size) return page_size;
    static long (*real)(int) = NULL;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}

/* Such a kernel refuses an address that is a multiple of 4096 only; a sandbox may refuse any. */
int mincore(void *address, size_t length, unsigned char *residence) {
    (void)address, (void)length, (void)residence;
    asked_for_residence++;
    errno = EINVAL;
    return -1;
}

static char *text_of(size_t size, char letter) {
    char *value = malloc(size + 1);
    memset(value, letter, size);
    value[size] = '\0';
    return value;
}

/* Texts of every size, of which the large ones have pages of their own. */
static void free_texts(void *unused) {
    static const size_t sizes[] = {1, 4000, 4096, 65536, 131072, 131073, 200000, 1 << 20, 5 << 20, 34 << 20};
    (void)unused;
    flagstore_t *store = flagstore_memory_open(NULL);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *value = text_of(sizes[i], 'v');
        CHECK(flagstore_set_string(store, "flag", value, NULL));
        char *text = flagstore_get_string(store, "flag", NULL, NULL), *json = flagstore_get(store, "flag", NULL);
        CHECK(text && json && strcmp(text, value) == 0 && strlen(json) == sizes[i] + 2);
        flagstore_free(text);
        flagstore_free(json);
        flagstore_free(flagstore_list_all(store, NULL));
        free(value);
    }
    /* Small ones wherever they fall in a page. */
    enum { MANY = 2000 };
    static char *texts[MANY];
    CHECK(flagstore_set_string(store, "flag", "value", NULL));
    for (size_t i = 0; i < MANY; i++)
        texts[i] = flagstore_get_string(store, "flag", NULL, NULL);
    for (size_t i = 0; i < MANY; i++)
        CHECK_OWNED("value", texts[i]);
    flagstore_free(store);
}

static void free_large_text_twice(void *unused) {
    (void)unused;
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 1 << 17); /* its pages are gone after the first free */
#endif
    flagstore_t *store = flagstore_memory_open(NULL);
    char *value = text_of(1 << 20, 'v');
    flagstore_set_string(store, "flag", value, NULL);
    char *text = flagstore_get_string(store, "flag", NULL, NULL);
    flagstore_free(text);
    flagstore_free(text);
}

/* From here on the system answers this call so. */
static void filter(long number, uint32_t answer) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog whole = {COUNT(program), program};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0);
}

static void refuse(void *answer) {
    filter(SYS_mincore, *(const uint32_t *)answer);
    free_texts(NULL);
}

static void refuse_to_look_at_all(void *answer) {
    filter(SYS_futex, *(const uint32_t *)answer);
    free_texts(NULL);
}

static void what_a_sandbox_refuses_to_tell_aborts_nobody(void) {
    static const uint32_t answers[] = {
        SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ERRNO | ENOSYS, SECCOMP_RET_ERRNO | EINVAL, SECCOMP_RET_KILL_PROCESS,
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        end_child(start_child(refuse, (void *)&answers[i]));
        if (answers[i] != SECCOMP_RET_KILL_PROCESS) /* which no program with threads survives */
            end_child(start_child(refuse_to_look_at_all, (void *)&answers[i]));
    }
    free_texts(NULL);
    CHECK_INT(0, asked_for_residence);
}

static void with_pages_of(void *size) {
    page_size = *(const long *)size;
    free_texts(NULL);
    CHECK_INT(0, asked_for_residence);
}

static void pages_may_be_larger(void) {
    static const long sizes[] = {4096, 16384, 65536};
    for (size_t i = 0; i < COUNT(sizes); i++)
        end_child(start_child(with_pages_of, (void *)&sizes[i]));
}

static void refuse_and_free_twice(void *output) {
    static const uint32_t answer = SECCOMP_RET_ERRNO | EPERM;
    struct rlimit none = {0, 0}; /* no core file */
    setrlimit(RLIMIT_CORE, &none);
    filter(SYS_mincore, answer);
    dup2(*(int *)output, STDERR_FILENO);
    free_large_text_twice(NULL);
}

static void a_second_free_of_a_large_text_is_told_in_a_sandbox_too(void) {
    char output[256] = "";
    int pipes[2], status = 0;
    CHECK(pipe(pipes) == 0);
    pid_t pid = start_child(refuse_and_free_twice, &pipes[1]);
    CHECK(waitpid(pid, &status, 0) == pid);
    close(pipes[1]);
    CHECK(read(pipes[0], output, sizeof output - 1) > 0);
    close(pipes[0]);
    CHECK_THAT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "expected an abort, got %#x", (unsigned)status);
    const char *end = strchr(output, '\n');
    CHECK_THAT(strstr(output, "flagstore_free") && end && end[1] == '\0', "expected one line, got <%s>", output);
}

int main(void) {
    RUN(what_a_sandbox_refuses_to_tell_aborts_nobody);
    RUN(pages_may_be_larger);
    RUN(a_second_free_of_a_large_text_is_told_in_a_sandbox_too);
    return check_summary("sandboxed");
}
