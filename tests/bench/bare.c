/* What the file rows are measured against: the least system calls that do the job. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

size_t bare_read(const char *path, buffer *into) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about)) die("cannot open %s", path);
    size_t size = (size_t)about.st_size;
    if (into->capacity < size + 64) { /* some parsers want room behind the text */
        free(into->data);
        into->data = allocate(size + 64);
        into->capacity = size + 64;
    }
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, into->data + len, size - len);
        if (got <= 0) die("cannot read %s", path);
        len += (size_t)got;
    }
    close(fd);
    return len;
}

void bare_replace(const char *path, const char *temporary, const char *text, size_t len, bool synced, int dir_fd) {
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) die("cannot create %s", temporary);
    size_t done = 0;
    while (done < len) {
        ssize_t put = write(fd, text + done, len - done);
        if (put <= 0) die("cannot write %s", temporary);
        done += (size_t)put;
    }
    if (synced && fsync(fd)) die("cannot sync %s", temporary);
    if (close(fd)) die("cannot close %s", temporary);
    if (rename(temporary, path)) die("cannot rename %s", temporary);
    if (synced && fsync(dir_fd)) die("cannot sync the directory of %s", path);
}
