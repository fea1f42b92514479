/* A file system that shows another folder, of which the kernel keeps nothing: files change there without its knowledge,
   as on another machine, whose clock may go wrong.

     row13_fuse FOLDER MOUNTPOINT [SHIFT_MS]

   All times that it shows are so many milliseconds later than those of the folder. */
#define FUSE_USE_VERSION 31
#include <fuse.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int folder;
static long shift_ms;

static const char *inside(const char *path) { return path[1] ? path + 1 : "."; }

static int result_of(int result) { return result == -1 ? -errno : 0; }

/* ---- looks ---- */

static struct timespec shifted(struct timespec time, long ms) {
    long long ns = time.tv_nsec + (long long)ms * 1000000;
    long long seconds = ns >= 0 ? ns / 1000000000 : -((-ns + 999999999) / 1000000000);
    return (struct timespec){time.tv_sec + seconds, ns - seconds * 1000000000};
}

static int show_attributes(const char *path, struct stat *to, struct fuse_file_info *file) {
    int result = file ? fstat((int)file->fh, to) : fstatat(folder, inside(path), to, AT_SYMLINK_NOFOLLOW);
    to->st_atim = shifted(to->st_atim, shift_ms);
    to->st_mtim = shifted(to->st_mtim, shift_ms);
    to->st_ctim = shifted(to->st_ctim, shift_ms);
    return result_of(result);
}

static int show_link(const char *path, char *to, size_t room) {
    ssize_t len = readlinkat(folder, inside(path), to, room - 1);
    if (len < 0) return -errno;
    to[len] = '\0';
    return 0;
}

static int show_folder(const char *path, void *to, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file,
                       enum fuse_readdir_flags flags) {
    (void)offset, (void)file, (void)flags;
    int fd = openat(folder, inside(path), O_RDONLY | O_DIRECTORY);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) return -errno;
    for (struct dirent *entry; (entry = readdir(directory));) fill(to, entry->d_name, NULL, 0, 0);
    closedir(directory);
    return 0;
}

/* ---- files ---- */

static int keep(int fd, struct fuse_file_info *file) {
    file->fh = (uint64_t)fd;
    return result_of(fd);
}

static int open_file(const char *path, struct fuse_file_info *file) {
    return keep(openat(folder, inside(path), (file->flags & (O_ACCMODE | O_TRUNC)) | O_CLOEXEC), file);
}

static int create_file(const char *path, mode_t mode, struct fuse_file_info *file) {
    int flags = (file->flags & (O_ACCMODE | O_TRUNC | O_EXCL)) | O_CREAT | O_CLOEXEC;
    return keep(openat(folder, inside(path), flags, mode), file);
}

static int read_file(const char *path, char *to, size_t len, off_t offset, struct fuse_file_info *file) {
    (void)path;
    ssize_t got = pread((int)file->fh, to, len, offset);
    return got < 0 ? -errno : (int)got;
}

static int write_file(const char *path, const char *from, size_t len, off_t offset, struct fuse_file_info *file) {
    (void)path;
    ssize_t put = pwrite((int)file->fh, from, len, offset);
    return put < 0 ? -errno : (int)put;
}

static int truncate_file(const char *path, off_t len, struct fuse_file_info *file) {
    if (file) return result_of(ftruncate((int)file->fh, len));
    int fd = openat(folder, inside(path), O_WRONLY | O_CLOEXEC);
    int result = result_of(fd < 0 ? -1 : ftruncate(fd, len));
    if (fd >= 0) close(fd);
    return result;
}

static int sync_file(const char *path, int data_only, struct fuse_file_info *file) {
    (void)path, (void)data_only;
    return result_of(fsync((int)file->fh));
}

static int lock_file(const char *path, struct fuse_file_info *file, int operation) {
    (void)path;
    return result_of(flock((int)file->fh, operation));
}

static int close_file(const char *path, struct fuse_file_info *file) {
    (void)path;
    close((int)file->fh);
    return 0;
}

/* ---- names ---- */

static int remove_file(const char *path) { return result_of(unlinkat(folder, inside(path), 0)); }

static int rename_file(const char *from, const char *to, unsigned flags) {
    return flags ? -EINVAL : result_of(renameat(folder, inside(from), folder, inside(to)));
}

static int make_folder(const char *path, mode_t mode) { return result_of(mkdirat(folder, inside(path), mode)); }

static int remove_folder(const char *path) { return result_of(unlinkat(folder, inside(path), AT_REMOVEDIR)); }

static int make_link(const char *target, const char *path) { return result_of(symlinkat(target, folder, inside(path))); }

static int set_mode(const char *path, mode_t mode, struct fuse_file_info *file) {
    (void)file;
    return result_of(fchmodat(folder, inside(path), mode, 0));
}

static int set_owner(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *file) {
    (void)file;
    return result_of(fchownat(folder, inside(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int set_times(const char *path, const struct timespec times[2], struct fuse_file_info *file) {
    (void)file;
    struct timespec back[2];
    for (int i = 0; i < 2; i++)
        back[i] = times[i].tv_nsec == UTIME_NOW || times[i].tv_nsec == UTIME_OMIT ? times[i] : shifted(times[i], -shift_ms);
    return result_of(utimensat(folder, inside(path), back, AT_SYMLINK_NOFOLLOW));
}

static void *keep_nothing(struct fuse_conn_info *connection, struct fuse_config *config) {
    (void)connection;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
    config->direct_io = config->use_ino = 1;
    umask(0); /* the kernel has taken the caller's away */
    return NULL;
}

static const struct fuse_operations OPERATIONS = {
    .init = keep_nothing, .getattr = show_attributes, .readlink = show_link, .readdir = show_folder,
    .open = open_file, .create = create_file, .read = read_file, .write = write_file, .truncate = truncate_file,
    .fsync = sync_file, .flock = lock_file, .release = close_file, .unlink = remove_file, .rename = rename_file,
    .mkdir = make_folder, .rmdir = remove_folder, .symlink = make_link, .chmod = set_mode, .chown = set_owner,
    .utimens = set_times,
};

int main(int count, char **arguments) {
    if (count < 3 || (folder = open(arguments[1], O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
        fputs("row13_fuse FOLDER MOUNTPOINT [SHIFT_MS]\n", stderr);
        return 2;
    }
    if (count > 3) shift_ms = atol(arguments[3]);
    char *options[] = {arguments[0], "-f", "-o", "default_permissions", arguments[2], NULL};
    return fuse_main(5, options, &OPERATIONS, NULL);
}
