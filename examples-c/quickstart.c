#include <stdio.h>
#include <flagstore.h>

int main(void) {
    flagstore_error_t *error = NULL;
    flagstore_t *flags = flagstore_file_open("flags.json", &error);

    if (flags != NULL && flagstore_set(flags, "new-checkout", "{\"percent\": 25}", &error)) {
        if (flagstore_get_bool(flags, "dark-mode", true, NULL)) /* absent: the fallback */
            puts("dark mode is on");
        char *json = flagstore_get(flags, "new-checkout", &error);
        if (json != NULL)
            printf("new-checkout is %s\n", json);
        flagstore_free(json);
    }
    if (error != NULL)
        fprintf(stderr, "%s\n", flagstore_error_message(error));
    flagstore_free(flags); /* one function frees whatever the library hands out */
    flagstore_free(error);
    return error != NULL;
}
