/* The other half of refused_calls.c: the filter, the files, and the process that watches over the one under the
   filter. */
#ifndef REFUSED_CALLS_H
#define REFUSED_CALLS_H

#include "store.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum { MAX_CALLS = 16 };
enum { LIMIT_MS = 10000, REST_MS = 300, SPIN_MS = 100, HANG_MS = 3 * LIMIT_MS, CONTENDED_MS = 60, LATER_MS = 20 };
enum { OWNER = 12345, GROUP = 12346 };

/* ---- the filter ---- */

struct filter {
    bool before;
    int error, count, numbers[MAX_CALLS];
};

/* All threads of the process get it, those of the library too. */
static inline void install(const struct filter *filter) {
    struct sock_filter code[2 * MAX_CALLS + 2];
    unsigned short length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < filter->count; i++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)filter->numbers[i], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)filter->error);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, code};
    if (filter->count == 0) return;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        die("cannot install the filter: %s", strerror(errno));
}

/* ---- the files ---- */

struct place {
    char path[4096], missing[4096], torn[4096], lock[4096], new[4096];
    struct stat status; /* of the owner's file */
    long acl;           /* the length of its access list; none where the file system has none */
};

/* USER_OBJ rw, USER 12347 r, GROUP_OBJ nothing, MASK r, OTHER nothing: the mode's middle bits say r, the list does not. */
static const unsigned char ACCESS_LIST[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0x3b, 0x30, 0, 0,
                                            4, 0, 0, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255,
                                            32, 0, 0, 0, 255, 255, 255, 255};

static inline void put(const char *at, const char *text, size_t length, bool owned) {
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length) die("cannot write %s: %s", at, strerror(errno));
    if (owned && geteuid() == 0) {
        if (fchown(fd, OWNER, GROUP) != 0 || fchmod(fd, 0640) != 0) die("cannot give %s away: %s", at, strerror(errno));
        fsetxattr(fd, "user.note", "kept", 4, 0);
        fsetxattr(fd, "system.posix_acl_access", ACCESS_LIST, sizeof ACCESS_LIST, 0);
    }
    close(fd);
}

/* As another program changes the file: another inode under its name, everything else as it was. */
static inline void publish(const struct place *place, const char *flag) {
    static char text[300000];
    int length = sprintf(text, "{\n  \"big\": \"");
    memset(text + length, 'b', 200000);
    length += 200000;
    length += sprintf(text + length, "\",\n  \"flag\": %s,\n  \"gone\": true\n}\n", flag);
    put(place->new, text, (size_t)length, true);
    if (rename(place->new, place->path) != 0) die("cannot publish: %s", strerror(errno));
}

static inline struct place make_place(const char *folder) {
    struct place place;
    snprintf(place.path, sizeof place.path, "%s/flags.json", folder);
    snprintf(place.missing, sizeof place.missing, "%s/missing.json", folder);
    snprintf(place.torn, sizeof place.torn, "%s/torn.json", folder);
    snprintf(place.lock, sizeof place.lock, "%s/.flags.json.lock", folder);
    snprintf(place.new, sizeof place.new, "%s/new", folder);
    publish(&place, "1");
    put(place.torn, "{\"flag\": 1", 10, false);
    if (stat(place.path, &place.status) != 0) die("cannot stat: %s", strerror(errno));
    place.acl = (long)getxattr(place.path, "system.posix_acl_access", NULL, 0);
    return place;
}

/* ---- the watcher ---- */

static inline bool file_has(const char *at, const char *wanted) {
    static char text[400000];
    int fd = open(at, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    close(fd);
    text[length < 0 ? 0 : length] = '\0';
    return strstr(text, wanted) != NULL;
}

static inline bool is(const char *step, const char *name) { return strcmp(step, name) == 0; }

static inline void report(const char *step, const char *outcome, const char *details) {
    printf("%s %s %s\n", step, outcome, details);
    fflush(stdout);
}

/* What was reported as done is there for everybody. */
static inline bool is_lost(const struct place *place, const char *step) {
    if (is(step, "set")) return !file_has(place->path, "\"flag\": 2");
    if (is(step, "set_same")) return !file_has(place->path, "\"flag\": 3");
    if (is(step, "set_contended")) return !file_has(place->path, "\"flag\": 4");
    if (is(step, "delete")) return file_has(place->path, "\"gone\"");
    if (is(step, "set_first")) return !file_has(place->missing, "\"flag\": 2");
    return false;
}

/* Each change of who may do what is told once. */
static inline void look_at_owner(const struct place *place, const char *step, int lines, int *lines_before) {
    struct stat now;
    char text[200];
    if (stat(place->path, &now) != 0) return report(step, "SILENT_LOSS", "the file is gone");
    long acl = (long)getxattr(place->path, "system.posix_acl_access", NULL, 0);
    bool is_same = now.st_mode == place->status.st_mode && now.st_uid == place->status.st_uid
                   && now.st_gid == place->status.st_gid && acl == place->acl;
    sprintf(text, "mode %o owner %d:%d access list of %ld bytes", now.st_mode & 07777, (int)now.st_uid, (int)now.st_gid,
            acl);
    /* Without the list the middle bits are the group's, of which nobody might read. */
    bool is_wider = (now.st_mode & 07 & ~place->status.st_mode) || (place->acl > 0 && acl <= 0 && now.st_mode & 070);
    if (is_wider) report(step, "WIDENED", text);
    else if (!is_same && lines == *lines_before) report(step, "SILENT_CHANGE", text);
    else if (!is_same) report(step, "changed", text);
    *lines_before = lines;
}

static inline int hold(const char *lock) {
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) flock(fd, LOCK_EX);
    return fd;
}

static inline void reply(int user) {
    if (send(user, "", 1, MSG_NOSIGNAL) < 0) fprintf(stderr, "it has ended\n");
}

/* The other program's part in a step, some of it while the step runs. */
static inline void take_part(const struct place *place, const char *step, int user) {
    if (is(step, "get_others")) publish(place, "3");
    if (is(step, "set_contended")) {
        int lock = hold(place->lock);
        reply(user);
        sleep_us(CONTENDED_MS * 1000L);
        close(lock);
        return;
    }
    reply(user);
    if (is(step, "wait_for_change") || is(step, "watch_sees")) {
        sleep_us(LATER_MS * 1000L);
        publish(place, is(step, "watch_sees") ? "6" : "5");
    }
}

static inline void judge(const struct place *place, const char *text, int *lines_before) {
    char step[100] = "", outcome[100] = "";
    int lines = 0, code = 0, os_code = 0, at = 0;
    sscanf(text, "= %99s %99s %d %d %d %n", step, outcome, &lines, &code, &os_code, &at);
    char details[1200];
    snprintf(details, sizeof details, "%d %d %s", code, os_code, text + at);
    if (!is(outcome, "ok")) report(step, outcome, details);
    else if (is_lost(place, step)) report(step, "SILENT_LOSS", "reported as done, and is not there");
    look_at_owner(place, step, lines, lines_before);
    /* The next step begins with the owner's file as it was. */
    if (is(step, "delete") || strncmp(step, "set", 3) == 0)
        publish(place, is(step, "set") ? (file_has(place->path, "\"flag\": 2") ? "2" : "1") : "3");
}

/* Until the user has ended; 0 unless this half fails. */
static inline int watch_over(pid_t user, int ends, const struct place *place) {
    char text[2000], step[100] = "start";
    int lines_before = 0, status;
    for (;;) {
        struct pollfd ready = {ends, POLLIN, 0};
        int answered = poll(&ready, 1, HANG_MS);
        ssize_t length = answered > 0 ? recv(ends, text, sizeof text - 1, 0) : -1;
        if (length <= 0) {
            bool hangs = answered == 0;
            if (hangs) kill(user, SIGKILL);
            waitpid(user, &status, 0);
            sprintf(text, "status %#x", (unsigned)status);
            report(step, hangs ? "HANG" : "ABORT", text);
            return 0;
        }
        text[length] = '\0';
        if (text[0] == '?') {
            snprintf(step, sizeof step, "%.99s", text + 2);
            take_part(place, step, ends);
        } else if (text[0] == '=') {
            judge(place, text, &lines_before);
            reply(ends);
        } else {
            reply(ends);
            waitpid(user, &status, 0);
            sprintf(text, "%d lines, status %#x", lines_before, (unsigned)status);
            report("end", status == 0 ? "ok" : "ABORT", text);
            return 0;
        }
    }
}

#endif
