/* load LIBRARY FUNCTION: prints how many nanoseconds it takes to load a library that is not loaded yet. */
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    double start = now_ns();
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    void *function = library ? dlsym(library, argv[2]) : NULL;
    double took = now_ns() - start;
    if (!function) {
        fprintf(stderr, "load: %s\n", dlerror());
        return 1;
    }
    printf("%.0f\n", took);
    return 0;
}
