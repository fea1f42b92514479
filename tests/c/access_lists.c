/* run: plain */
/* While a change copies an access list, and whatever of it fails, nobody may read the new file who might not read the
   old one: the group's bits are the list's mask, and come only with the list. */
#include "check.h"

#include <sys/syscall.h>
#include <sys/xattr.h>

#define ACL "system.posix_acl_access"

/* USER_OBJ rw, USER 12347 r, GROUP_OBJ nothing, MASK rw, OTHER nothing: the mode says that the group may read, and the
   list that it may not. */
static const unsigned char LIST[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0x3b, 0x30, 0, 0,
                                     4, 0, 0, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255,
                                     32, 0, 0, 0, 255, 255, 255, 255};

/* ---- the library's changes of the new file's rights go through here ---- */

static int looks, refuse_list, refuse_look;

/* Whether the group, or others, may do what the list forbids. */
static void look(int fd, const char *after) {
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
    char name[64], path[PATH_MAX] = "";
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (readlink(name, path, sizeof path - 1) < 0 || strstr(path, ".lock")) return;
    looks++;
    bool has_list = fgetxattr(fd, ACL, NULL, 0) > 0;
    CHECK_THAT(has_list || (status.st_mode & 070) == 0, "after %s the group may do %o without the list", after,
               (unsigned)status.st_mode & 070);
    CHECK_THAT((status.st_mode & 07) == 0, "after %s others may do %o", after, (unsigned)status.st_mode & 07);
}

int fchmod(int fd, mode_t mode) {
    int result = (int)syscall(SYS_fchmod, fd, mode);
    look(fd, "fchmod");
    return result;
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags) {
    if (refuse_list && strcmp(name, ACL) == 0) {
        errno = ENOSPC;
        return -1;
    }
    int result = (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
    look(fd, name);
    return result;
}

ssize_t flistxattr(int fd, char *list, size_t size) {
    if (refuse_look) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_flistxattr, fd, list, size);
}

/* ---- the promise ---- */

static bool put_with_list(void) {
    put(FLAGS_FILE, "{\"flag\":1}");
    CHECK(chmod(FLAGS_FILE, 0600) == 0);
    if (setxattr(FLAGS_FILE, ACL, LIST, sizeof LIST, 0) == 0) return true;
    printf("SKIPPED: no access lists on this file system: %s\n", strerror(errno));
    return false;
}

static void set_and_check(void) {
    flagstore_error_t *error = GARBAGE;
    flagstore_t *store = flagstore_file_open(FLAGS_FILE, &error);
    CHECK_OK(error);
    if (flagstore_set(store, "flag", "2", &error)) {
        struct stat status = STATUS_OF(FLAGS_FILE);
        bool has_list = getxattr(FLAGS_FILE, ACL, NULL, 0) > 0;
        CHECK_THAT(has_list || (status.st_mode & 077) == 0, "the file's mode is %o without a list",
                   (unsigned)status.st_mode & 0777);
        CHECK_GET("2", store, "flag");
    } else {
        CHECK_FILE("{\"flag\":1}", FLAGS_FILE);
    }
    flagstore_free(error);
    flagstore_free(store);
}

static void the_mask_comes_with_its_list(void) {
    if (!put_with_list()) return;
    looks = 0;
    set_and_check();
    CHECK_THAT(looks > 0, "no step of the copy was seen");
    CHECK_INT((long long)sizeof LIST, (long long)getxattr(FLAGS_FILE, ACL, NULL, 0));
}

static void without_the_list_there_is_no_mask(void) {
    if (!put_with_list()) return;
    refuse_list = 1;
    set_and_check();
    refuse_list = 0;
}

static void what_cannot_be_listed_may_be_a_list(void) {
    if (!put_with_list()) return;
    refuse_look = 1;
    set_and_check();
    refuse_look = 0;
}

int main(void) {
    RUN(the_mask_comes_with_its_list);
    RUN(without_the_list_there_is_no_mask);
    RUN(what_cannot_be_listed_may_be_a_list);
    return check_summary("access_lists");
}
