/* What row 13 compares flagctl with: cjson_get FILE KEY prints one value of a JSON file. */
#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    struct stat about;
    if (!file || fstat(fileno(file), &about)) return 2;
    size_t len = (size_t)about.st_size;
    char *text = malloc(len + 1);
    if (!text || fread(text, 1, len, file) != len) return 2;
    cJSON *value = cJSON_GetObjectItemCaseSensitive(cJSON_ParseWithLength(text, len), argv[2]);
    char *json = value ? cJSON_PrintUnformatted(value) : NULL;
    if (!json) return 1;
    puts(json);
    return 0;
}
