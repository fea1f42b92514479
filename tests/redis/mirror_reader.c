/* Reads a file as the programs do for which it is mirrored: from memory, told of changes. Prints the flag "n" whenever it
 * changes. Fails at once if a read fails, or if there is no such flag. */
#include <flagstore.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    flagstore_error_t *error = NULL;
    flagstore_file_options_t options = {0};
    options.size = sizeof options;
    options.read_mode = FLAGSTORE_READ_WATCHED;
    options.flags = FLAGSTORE_OPEN_EXISTING | FLAGSTORE_OPEN_READ_ONLY;
    flagstore_t *flags = flagstore_file_open_with(argv[1], &options, &error);
    long long last = -1;
    while (flags != NULL && error == NULL) {
        uint64_t revision = flagstore_revision(flags, &error);
        long long n = error == NULL ? (long long)flagstore_get_int64(flags, "n", -1, &error) : -1;
        if (n == -1)
            break;
        if (n != last)
            printf("%lld\n", n);
        fflush(stdout);
        last = n;
        flagstore_wait(flags, &revision, -1, &error);
    }
    printf("failed: %s\n", error != NULL ? flagstore_error_message(error) : "there is no flag n");
    flagstore_free(flags);
    flagstore_free(error);
    return 1;
}
