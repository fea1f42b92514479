/* flagctl --layer: several files read as one, and which of them answers. */
#include <stdlib.h>

#include "flagctl.h"

flagstore_t *open_files(char **files, uint32_t how, flagstore_error_t **error) {
    size_t count = 0, opened = 0;
    while (files[count] != NULL)
        count++;
    if (count == 1)
        return open_file(files[0], how, error);

    flagstore_t **layers = calloc(count, sizeof *layers), *flags = NULL;
    if (layers == NULL) {
        *error = flagstore_error_new(FLAGSTORE_IO, "not enough memory");
        return NULL;
    }
    while (opened < count && (layers[opened] = open_file(files[opened], how, error)) != NULL)
        opened++;
    if (opened == count)
        flags = flagstore_layered_open(layers, count, 0, error);
    while (opened > 0)
        flagstore_free(layers[--opened]); /* the store holds them */
    free(layers);
    return flags;
}

int why(char **files, char **words) {
    bool answered = false;
    for (; *files != NULL; files++) {
        flagstore_error_t *error;
        flagstore_t *flags = open_file(*files, READING, &error);
        char *json = flags != NULL ? flagstore_get(flags, words[0], &error) : NULL;
        if (json != NULL)
            printf("%s %s: %s\n", answered ? "hidden " : "answers", *files, json);
        else if (error == NULL)
            printf("absent  %s\n", *files);
        answered = answered || json != NULL;
        flagstore_free(json);
        flagstore_free(flags);
        if (error != NULL)
            return fail(error);
    }
    return answered ? DONE : ABSENT;
}
