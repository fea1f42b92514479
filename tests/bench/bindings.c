/* Row 14: what a binding makes of a call, beside the same call made bare from its language. Each language has a program
   of its own in bindings/, which prints the times of both, round by round. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    const char *name, *bare, *ready, *command;
    double limit_ns; /* 0: none */
} language;

static void report_language(const language *it, const char *arguments, size_t flags) {
    const char *what = text_of("%s: get_bool, WATCHED / %s", it->name, it->bare);
    if (system(it->ready)) {
        report_missing(14, what, flags, NONE, "not installed");
        return;
    }
    double ours[MAX_ROUNDS], bare[MAX_ROUNDS], ratios[MAX_ROUNDS];
    FILE *pipe = popen(text_of("%s %s", it->command, arguments), "r");
    if (!pipe) die("popen failed");
    for (size_t i = 0; i < config.rounds; i++) {
        if (fscanf(pipe, "%lf %lf", &ours[i], &bare[i]) != 2) die("%s: no times", it->name);
        ratios[i] = ours[i] / bare[i];
    }
    while (fgetc(pipe) != EOF) {} /* it ends by itself */
    if (pclose(pipe)) die("%s failed", it->name);
    double typical = median(ours, config.rounds);
    report_values(14, what, flags, "ns", typical, median(bare, config.rounds), ratios, config.rounds, NONE);
    if (it->limit_ns <= 0) return;
    for (size_t i = 0; i < config.rounds; i++) ratios[i] = ours[i] / it->limit_ns;
    report_values(14, text_of("%s: get_bool, WATCHED / %.0f ns", it->name, it->limit_ns), flags, "ns", typical,
                  it->limit_ns, ratios, config.rounds, MOST(1));
}

void bindings_row(void) {
    const language languages[] = {
        {"C++", "the same call in C", text_of("test -x '%s/bindings-cpp'", config.programs),
         text_of("'%s/bindings-cpp'", config.programs), 0},
        {"Go", "a bare call by cgo", text_of("test -x '%s/bindings-go'", config.programs),
         text_of("'%s/bindings-go'", config.programs), 70},
        {"Ruby", "a bare call by ffi", "ruby -e 'require \"ffi\"' 2>/dev/null",
         text_of("ruby '%s/bindings/bindings.rb'", config.scripts), 260},
        {"Python", "a bare call by ctypes", "python3 -c 'import ctypes' 2>/dev/null",
         text_of("python3 '%s/bindings/bindings.py'", config.scripts), 520},
    };
    const dataset *data = dataset_of(1000);
    const char *arguments =
        text_of("'%s' %zu %.0f", file_of(data, "bindings.json"), config.rounds, config.sample_ns);
    for (size_t i = 0; i < COUNT(languages); i++) report_language(&languages[i], arguments, data->count);
}
