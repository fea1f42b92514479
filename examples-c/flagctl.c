/* flagctl: read, change and watch a file of flags from a shell.
 *
 *     cc -std=c99 flagctl*.c -lflagstore -o flagctl
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flagctl.h"

static const char help[] =
    "usage: flagctl [FILE] COMMAND\n"
    "       flagctl --layer FILE [--layer FILE]... COMMAND\n"
    "\n"
    "  get KEY        print the value as JSON\n"
    "  set KEY JSON   store a value; JSON given as - is read from standard input\n"
    "  delete KEY     remove a flag\n"
    "  list           print every flag, one \"key: value\" line each; a key that is empty or\n"
    "                 contains a space, a colon or an escape is printed as a JSON string\n"
    "  list --json    print every flag as one JSON object on one line\n"
    "  len            print how many flags there are\n"
    "  type KEY       print null, bool, number, string, array, object or absent\n"
    "\n"
    "  why KEY        print which layer answers and what stands in the others, one line each:\n"
    "                 \"answers FILE: JSON\", \"hidden FILE: JSON\" or \"absent FILE\"\n"
    "  watch [KEY] [--count N]\n"
    "                 print each change, of one flag or of all, as list does; a flag that was\n"
    "                 deleted has no value; ends after N changes\n"
    "  apply FILE|-   make the changes of a batch in one write, or none: a JSON object of\n"
    "                   \"expect\": {KEY: JSON, ...}   only if these flags have these values\n"
    "                   \"absent\": {KEY: true, ...}   and there are no such flags\n"
    "                   \"clear\":  true               remove everything, then\n"
    "                   \"set\":    {KEY: JSON, ...}   store these\n"
    "                   \"delete\": {KEY: true, ...}   remove these\n"
    "  export         print every flag as one JSON object on one line\n"
    "  import         replace every flag by those of the JSON object on standard input,\n"
    "                 in one write\n"
    "  check FILE... [--fix]\n"
    "                 say where a file is written otherwise than flagstore writes it: layout,\n"
    "                 order of keys, escapes, repeated keys. --fix rewrites it, beside any\n"
    "                 other writer, by setting and deleting a flag \"flagctl check --fix\"\n"
    "  mirror [OPTION]... URL FILE\n"
    "                 keep the file equal to the flags on the Redis at URL, until interrupted;\n"
    "                 while Redis is away the file stays as it is\n"
    "                   --once               end when it is equal; status 1 if Redis was not\n"
    "                                        reached within --timeout SECONDS (10)\n"
    "                   --hash NAME          where the flags are (flagstore)\n"
    "                   --user NAME          and --password-file FILE; the password may also be\n"
    "                                        in $FLAGSTORE_REDIS_PASSWORD or in the URL\n"
    "                   --sentinel NAME      the primary that the Sentinels in the URL know\n"
    "                   --ca FILE, --cert FILE, --key FILE, --server-name NAME\n"
    "                                        for TLS (rediss://)\n"
    "                   --verify SECONDS     how often to read all although nothing was announced\n"
    "                   --quiet              say nothing when Redis is lost or reached\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "Without FILE, the file is $FLAGSTORE_FILE. A first argument that is the name of a\n"
    "command is always that command: write a file called list as ./list. Only set, apply,\n"
    "import and mirror create a missing file.\n"
    "\n"
    "With --layer, the flags of several files are read as one: a flag is that of the first file\n"
    "that has it. A file that cannot be read is an error unless one above it answers. Nothing\n"
    "is changed through layers: to set, delete, apply, import or check, name the one file.\n"
    "\n"
    "Exit status: 0 found or done, 1 no such flag or not as expected, 2 error. Of check:\n"
    "0 each file is canonical (with --fix: now), 1 one is not, 2 one is corrupt or unreadable.\n";

int fail(flagstore_error_t *error) {
    fprintf(stderr, "flagctl: %s\n", flagstore_error_message(error));
    flagstore_free(error);
    return FAILED;
}

/* ---- commands: each gets the words behind its name, NULL at the end ---- */

static int get(flagstore_t *flags, char **words) {
    flagstore_error_t *error;
    char *json = flagstore_get(flags, words[0], &error);
    if (json == NULL)
        return error != NULL ? fail(error) : ABSENT;
    puts(json);
    flagstore_free(json);
    return DONE;
}

bool has_file(const char *file) {
    if (file != NULL && *file != '\0')
        return true;
    fputs("flagctl: no file: name one first, or set FLAGSTORE_FILE\n", stderr);
    return false;
}

char *read_all(FILE *input, const char *name, size_t *len) {
    size_t room = 4096;
    char *text = malloc(room);
    for (*len = 0; text != NULL; room *= 2) {
        *len += fread(text + *len, 1, room - *len, input);
        if (*len < room) {
            text[*len] = '\0';
            break;
        }
        char *larger = realloc(text, room * 2);
        if (larger == NULL)
            free(text);
        text = larger;
    }
    if (text != NULL && !ferror(input))
        return text;
    fprintf(stderr, "flagctl: cannot read %s: %s\n", name, strerror(errno));
    free(text);
    return NULL;
}

static int set(flagstore_t *flags, char **words) {
    flagstore_error_t *error = NULL;
    if (strcmp(words[1], "-") != 0)
        return flagstore_set(flags, words[0], words[1], &error) ? DONE : fail(error);

    size_t len;
    char *json = read_all(stdin, "standard input", &len);
    if (json == NULL)
        return FAILED;
    bool done = flagstore_set_n(flags, words[0], strlen(words[0]), json, len, &error);
    free(json);
    return done ? DONE : fail(error);
}

static int delete(flagstore_t *flags, char **words) {
    flagstore_error_t *error;
    if (flagstore_delete(flags, words[0], &error))
        return DONE;
    return error != NULL ? fail(error) : ABSENT;
}

/* One past the closing quote of the JSON string at `text`. */
static const char *string_end(const char *text) {
    for (text++; *text != '"'; text++)
        if (*text == '\\')
            text++;
    return text + 1;
}

/* The comma or brace behind the JSON value at `text`. */
static const char *value_end(const char *text) {
    for (int depth = 0;; text++) {
        if (*text == '"')
            text = string_end(text);
        if (depth == 0 && (*text == ',' || *text == '}'))
            return text;
        if (*text == '{' || *text == '[')
            depth++;
        if (*text == '}' || *text == ']')
            depth--;
    }
}

/* One line per flag. `object` is what flagstore_list_all answers: well-formed and compact. */
static void print_lines(const char *object) {
    while (object[1] != '}' && object[1] != '\0') {
        const char *key = object + 1;
        const char *colon = string_end(key);
        const char *end = value_end(colon + 1);
        size_t inner = (size_t)(colon - key) - 2;

        if (inner > 0 && strcspn(key + 1, "\\: \"") == inner)
            fwrite(key + 1, 1, inner, stdout);
        else
            fwrite(key, 1, inner + 2, stdout);
        fputs(": ", stdout);
        fwrite(colon + 1, 1, (size_t)(end - colon) - 1, stdout);
        putchar('\n');
        object = end;
    }
}

static int list(flagstore_t *flags, char **words) {
    if (words[0] != NULL && strcmp(words[0], "--json") != 0) {
        fprintf(stderr, "flagctl: list does not know \"%s\"; see flagctl --help\n", words[0]);
        return FAILED;
    }
    flagstore_error_t *error;
    char *object = flagstore_list_all(flags, &error);
    if (object == NULL)
        return fail(error);
    if (words[0] != NULL)
        puts(object);
    else
        print_lines(object);
    flagstore_free(object);
    return DONE;
}

static int export_all(flagstore_t *flags, char **words) {
    (void)words;
    char as_json[] = "--json", *option[] = {as_json, NULL};
    return list(flags, option);
}

static int len(flagstore_t *flags, char **words) {
    (void)words;
    flagstore_error_t *error;
    long long count = flagstore_len(flags, &error);
    if (count < 0)
        return fail(error);
    printf("%lld\n", count);
    return DONE;
}

static int type(flagstore_t *flags, char **words) {
    static const char *const names[] = {"absent", "null",  "bool",  "number",
                                        "string", "array", "object"};
    flagstore_error_t *error;
    int32_t found = flagstore_get_type(flags, words[0], &error);
    if (found < 0)
        return fail(error);
    puts(names[found]);
    return found == FLAGSTORE_TYPE_ABSENT ? ABSENT : DONE;
}

/* ---- the command line ---- */

typedef struct {
    const char *name, *usage;
    int (*run)(flagstore_t *flags, char **words);
    int (*run_on_files)(char **files, char **words); /* instead of `run` */
    int least, most; /* how many words follow the name */
    uint32_t open;
} command_t;

static const command_t commands[] = {
    {"get", "get KEY", get, NULL, 1, 1, READING},
    {"set", "set KEY JSON", set, NULL, 2, 2, 0},
    {"delete", "delete KEY", delete, NULL, 1, 1, FLAGSTORE_OPEN_EXISTING},
    {"list", "list [--json]", list, NULL, 0, 1, READING},
    {"len", "len", len, NULL, 0, 0, READING},
    {"type", "type KEY", type, NULL, 1, 1, READING},
    {"watch", "watch [KEY] [--count N]", watch_changes, NULL, 0, 3, READING},
    {"apply", "apply FILE|-", apply_batch, NULL, 1, 1, 0},
    {"export", "export", export_all, NULL, 0, 0, READING},
    {"import", "import", import_all, NULL, 0, 0, 0},
    {"why", "why KEY", NULL, why, 1, 1, READING},
    {"check", "check FILE... [--fix]", NULL, check_files, 0, INT_MAX, 0},
    {"mirror", "mirror [OPTION]... URL FILE", NULL, mirror, 1, INT_MAX, 0},
};

static const command_t *find_command(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

flagstore_t *open_file(const char *path, uint32_t how, flagstore_error_t **error) {
    flagstore_file_options_t options = {0};
    options.size = sizeof options;
    options.flags = how;
    return flagstore_file_open_with(path, &options, error);
}

static int run_on_store(const command_t *command, char **files, char **words) {
    flagstore_error_t *error;
    flagstore_t *flags = open_files(files, command->open, &error);
    if (flags == NULL)
        return fail(error);
    int status = command->run(flags, words);
    flagstore_free(flags);
    return status;
}

static int run(const command_t *command, char **files, char **words) {
    int status = command->run != NULL ? run_on_store(command, files, words)
                                      : command->run_on_files(files, words);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "flagctl: cannot write the answer: %s\n", strerror(errno));
        return FAILED;
    }
    return status;
}

/* Gathers the files of --layer FILE, which may stand in front of the command any number of times, at the beginning of
 * the words. Returns the words behind them. */
static char **take_layers(char **words, size_t *count) {
    char **rest = words;
    for (*count = 0; rest[0] != NULL && rest[1] != NULL && strcmp(rest[0], "--layer") == 0; rest += 2)
        words[(*count)++] = rest[1];
    if (*count > 0)
        words[*count] = NULL;
    return rest;
}

int main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return fputs(help, stdout) < 0 ? FAILED : DONE;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("flagctl %s\n", flagstore_version()) < 0 ? FAILED : DONE;
    if (argc < 2) {
        fputs(help, stderr);
        return FAILED;
    }

    size_t layers;
    char *one[] = {getenv("FLAGSTORE_FILE"), NULL}, **words = take_layers(argv + 1, &layers);
    char **files = layers > 0 ? argv + 1 : one;
    const command_t *command = find_command(words[0]);
    if (command == NULL && layers == 0) {
        one[0] = *words++;
        command = find_command(words[0]);
    }
    if (command == NULL) {
        fprintf(stderr, "flagctl: \"%s\" is not a command; see flagctl --help\n",
                words[0] != NULL ? words[0] : files[layers > 0 ? layers - 1 : 0]);
        return FAILED;
    }
    if (layers > 0 && command->open != READING) {
        fprintf(stderr, "flagctl: %s is for one file: name that instead of any --layer\n", command->name);
        return FAILED;
    }
    words++;
    int count = (int)(argv + argc - words);
    if (count < command->least || count > command->most) {
        fprintf(stderr, "flagctl: usage: flagctl [FILE] %s (a file called %s is ./%s)\n",
                command->usage, command->name, command->name);
        return FAILED;
    }
    bool names_files = command->run_on_files == check_files || command->run_on_files == mirror;
    if (names_files && words != argv + 2)
        *--words = argv[1]; /* one more file */
    else if (!names_files && !has_file(files[0]))
        return FAILED;
    return run(command, files, words);
}
