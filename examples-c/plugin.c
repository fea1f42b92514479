/* plugin: use flagstore without linking to it, as an optional dependency or a plugin host does.
 *
 *     cc -std=c99 plugin.c -ldl -o plugin && ./plugin [LIBRARY]
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <flagstore.h>

/* Every call this program makes. Their types come from the header, so the two cannot disagree. */
#define CALLS(X)                                                                                   \
    X(abi_version) X(version) X(free) X(error_message) X(memory_open)                              \
    X(set) X(get) X(set_int64) X(get_int64) X(len)

#define POINTER(name) __typeof__(&flagstore_##name) name;
static struct { CALLS(POINTER) } fs;

#define SYMBOL(name) {"flagstore_" #name, &fs.name},
static const struct { const char *name; void *pointer; } symbols[] = { CALLS(SYMBOL) };

static bool fill(void *library, const char *name, void *pointer) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        return false;
    memcpy(pointer, &symbol, sizeof symbol); /* C has no cast from data to function */
    return true;
}

/* False, and the reason on stderr, unless the library is there and fits the header. It is never
 * unloaded: no dlclose. */
static bool load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL || !fill(library, "flagstore_abi_version", &fs.abi_version)) {
        fprintf(stderr, "plugin: %s\n", dlerror());
        return false;
    }
    if (fs.abi_version() != FLAGSTORE_ABI_VERSION) {
        fprintf(stderr, "plugin: %s has ABI %" PRIu32 ", the header %" PRIu32 "\n", path,
                fs.abi_version(), (uint32_t)FLAGSTORE_ABI_VERSION);
        return false;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        if (!fill(library, symbols[i].name, symbols[i].pointer)) {
            fprintf(stderr, "plugin: %s\n", dlerror());
            return false;
        }
    }
    return true;
}

static bool use(flagstore_t *flags, flagstore_error_t **error) {
    if (!fs.set(flags, "new-checkout", "{\"percent\": 25}", error)
        || !fs.set_int64(flags, "max-items", 12, error))
        return false;
    char *json = fs.get(flags, "new-checkout", error);
    if (json == NULL)
        return false;
    printf("new-checkout is %s, max-items is %" PRId64 ", %" PRId64 " flags\n", json,
           fs.get_int64(flags, "max-items", 10, NULL), fs.len(flags, NULL));
    fs.free(json);
    return true;
}

int main(int argc, char **argv) {
    if (!load(argc > 1 ? argv[1] : "libflagstore.so.0.2"))
        return 2;
    printf("loaded flagstore %s\n", fs.version());

    flagstore_error_t *error = NULL;
    flagstore_t *flags = fs.memory_open(&error);
    bool used = flags != NULL && use(flags, &error);
    if (!used)
        fprintf(stderr, "plugin: %s\n", fs.error_message(error));
    fs.free(error);
    fs.free(flags);
    return used ? 0 : 2;
}
