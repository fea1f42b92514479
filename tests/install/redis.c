/* Whether a library was built with the feature "redis": a store that reads the server at each call opens without one. */
#include <flagstore.h>
#include <stdio.h>

int main(void) {
    flagstore_error_t *error;
    flagstore_t *store = flagstore_redis_open("redis://localhost", NULL, &error);
    if (store == NULL)
        puts(flagstore_error_message(error));
    else
        puts(flagstore_has_feature("redis") ? "yes" : "not said");
    flagstore_free(store);
    flagstore_free(error);
}
