/* Flags such as people have: keys like team-7.feature-000123, seven tenths booleans, the rest numbers, strings and
   small objects. The same every time. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEAMS = 40, MAX_KINDS = 16 };

uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static const char *const names[] = {"control", "variant-a", "variant-b", "blue", "eu-central-1", "caf\\u00e9 only",
                                    "https://example.com/help", "Please try again later."};

static char *value_of(uint32_t *random) {
    uint32_t kind = next_random(random) % 10, detail = next_random(random);
    if (kind < 7) return text_of("%s", detail % 2 ? "true" : "false");
    if (kind == 7) return detail % 3 ? text_of("%u", detail % 5000) : text_of("0.%02u", detail % 100);
    const char *name = names[detail / 7 % COUNT(names)];
    if (kind == 8) return text_of("\"%s\"", name);
    return text_of("{\"percent\":%u,\"variant\":\"%s\"}", detail % 101, name);
}

static int by_key(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The only value that is laid out in several lines is the object of two members. */
static size_t print_value(char *into, const char *value) {
    unsigned percent;
    char variant[64];
    if (sscanf(value, "{\"percent\":%u,\"variant\":\"%60[^\"]", &percent, variant) != 2)
        return (size_t)sprintf(into, "%s", value);
    return (size_t)sprintf(into, "{\n    \"percent\": %u,\n    \"variant\": \"%s\"\n  }", percent, variant);
}

static void print_file(dataset *data) {
    data->text = allocate(data->count * 160 + 16);
    char *end = data->text;
    end += sprintf(end, "{");
    for (size_t i = 0; i < data->count; i++) {
        end += sprintf(end, "%s\n  \"%s\": ", i ? "," : "", data->keys[i]);
        end += print_value(end, data->values[i]);
    }
    end += sprintf(end, "\n}\n");
    data->len = (size_t)(end - data->text);
}

static dataset *make(size_t flags) {
    dataset *data = allocate(sizeof *data);
    *data = (dataset){.count = flags,
                      .keys = allocate(flags * sizeof(char *)),
                      .values = allocate(flags * sizeof(char *)),
                      .bools = allocate(flags * sizeof(size_t)),
                      .order = allocate(ORDER * sizeof(char *)),
                      .any = allocate(ORDER * sizeof(char *))};
    uint32_t random = 2463534242;
    for (size_t i = 0; i < flags; i++) data->keys[i] = text_of("team-%zu.feature-%06zu", i % TEAMS, i);
    qsort(data->keys, flags, sizeof *data->keys, by_key);
    for (size_t i = 0; i < flags; i++) {
        data->values[i] = value_of(&random);
        char first = data->values[i][0];
        if (first == 't' || first == 'f') data->bools[data->bool_count++] = i;
    }
    for (size_t i = 0; i < ORDER; i++) {
        data->order[i] = data->keys[data->bools[next_random(&random) % data->bool_count]];
        data->any[i] = data->keys[next_random(&random) % flags];
    }
    print_file(data);
    return data;
}

const dataset *dataset_of(size_t flags) {
    static dataset *made[MAX_KINDS];
    static size_t count;
    for (size_t i = 0; i < count; i++)
        if (made[i]->count == flags) return made[i];
    if (count == MAX_KINDS) die("too many sizes");
    return made[count++] = make(flags);
}

size_t take_places(size_t count) {
    static size_t taken;
    return __atomic_fetch_add(&taken, count, __ATOMIC_RELAXED);
}

char *file_of(const dataset *data, const char *name) {
    char *path = text_of("%s/%s-%zu.json", config.dir, name, data->count);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(data->text, 1, data->len, file) != data->len || fclose(file)) die("cannot write %s", path);
    return path;
}

flagstore_t *memory_of(const dataset *data) {
    flagstore_error_t *error = NULL;
    flagstore_t *store = flagstore_memory_open(&error);
    must("memory_open", error);
    flagstore_batch_t *batch = flagstore_batch_new();
    for (size_t i = 0; i < data->count; i++) {
        flagstore_batch_set(batch, data->keys[i], data->values[i], &error);
        must(data->keys[i], error);
    }
    flagstore_commit(store, batch, &error);
    must("commit", error);
    flagstore_free(batch);
    return store;
}

flagstore_t *open_file(const char *path, int32_t read_mode, int32_t durability) {
    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {
        .size = sizeof options, .read_mode = read_mode, .durability = durability, .lock_timeout_ms = -1};
    flagstore_t *store = flagstore_file_open_with(path, &options, &error);
    if (flagstore_error_code(error) == FLAGSTORE_NOT_IMPLEMENTED) {
        flagstore_free(error);
        return NULL;
    }
    must(path, error);
    return store;
}
