/* A file system that shows another folder, of which the kernel keeps nothing: files change there without its knowledge,
   as on another machine.

     row13_fuse FOLDER MOUNTPOINT */
#define FUSE_USE_VERSION 31
#include <fuse.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int folder;

static const char *inside(const char *path) { return path[1] ? path + 1 : "."; }

static int show_attributes(const char *path, struct stat *to, struct fuse_file_info *file) {
    (void)file;
    return fstatat(folder, inside(path), to, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
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

static int open_file(const char *path, struct fuse_file_info *file) {
    int fd = openat(folder, inside(path), O_RDONLY | O_CLOEXEC);
    file->fh = (uint64_t)fd;
    return fd < 0 ? -errno : 0;
}

static int read_file(const char *path, char *to, size_t len, off_t offset, struct fuse_file_info *file) {
    (void)path;
    ssize_t got = pread((int)file->fh, to, len, offset);
    return got < 0 ? -errno : (int)got;
}

static int close_file(const char *path, struct fuse_file_info *file) {
    (void)path;
    close((int)file->fh);
    return 0;
}

static void *keep_nothing(struct fuse_conn_info *connection, struct fuse_config *config) {
    (void)connection;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
    config->direct_io = config->use_ino = 1;
    return NULL;
}

static const struct fuse_operations OPERATIONS = {
    .init = keep_nothing, .getattr = show_attributes, .readlink = show_link, .readdir = show_folder,
    .open = open_file, .read = read_file, .release = close_file,
};

int main(int count, char **arguments) {
    if (count != 3 || (folder = open(arguments[1], O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
        fputs("row13_fuse FOLDER MOUNTPOINT\n", stderr);
        return 2;
    }
    char *options[] = {arguments[0], "-f", "-o", "default_permissions", arguments[2], NULL};
    return fuse_main(5, options, &OPERATIONS, NULL);
}
