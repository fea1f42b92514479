/* Row 23: what Redis adds to the library, with the feature and without. */
#include "redis.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The stripped library, built in the same way (run.sh), before there was anything of Redis in it. */
static const double before = 1203640;

static double stripped_size(const char *library) {
    const char *stripped = text_of("%s/stripped.so", config.dir);
    struct stat about;
    if (system(text_of("strip -o '%s' '%s'", stripped, library)) || stat(stripped, &about)) die("strip failed");
    return (double)about.st_size;
}

static void report_size(const char *what, double size, double limit) {
    double ratio = size / limit;
    report_values(23, what, 0, "B", size, limit, &ratio, 1, MOST(1));
}

void redis_size_row(const char *plain) {
    Dl_info about;
    if (!dladdr((void *)(uintptr_t)flagstore_version, &about)) die("dladdr failed");
    report_size("the stripped shared library with Redis / 1.6 MB", stripped_size(about.dli_fname), 1.6e6);
    const char *what = "the one without Redis / what it was before, and 40 KB";
    if (plain) report_size(what, stripped_size(plain), before + 40e3);
    else report_missing(23, what, 0, MOST(1), "not built");
}
