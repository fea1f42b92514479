/* The table of results, a line as soon as it is known, and the same as JSON. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

typedef struct {
    int row;
    const char *what, *unit, *why; /* why: there is no number */
    size_t flags;
    double ours, peer, ratio, low, high;
    goal goal;
} line;

static line lines[512];
static size_t line_count;
static const char *cpu, *kernel, *file_system;
static long cores;
static double load; /* how many others wanted a processor when it began */

static char *output_of(const char *command) {
    char text[256] = "";
    FILE *pipe = popen(command, "r");
    if (pipe) {
        if (!fgets(text, sizeof text, pipe)) text[0] = 0;
        pclose(pipe);
    }
    text[strcspn(text, "\n")] = 0;
    return text_of("%s", text[0] ? text : "unknown");
}

/* The texts are ours or the system's names of things; quotes and backslashes are all that could go wrong. */
static void put_text(FILE *file, const char *name, const char *text) {
    fprintf(file, "\"%s\": \"", name);
    for (; *text; text++) fprintf(file, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fprintf(file, "\"");
}

static void look_at_machine(void) {
    struct utsname name;
    uname(&name);
    cpu = output_of("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1");
    kernel = text_of("%s %s %s", name.sysname, name.release, name.machine);
    file_system = output_of(text_of("df --output=fstype '%s' | tail -n 1", config.dir));
    cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!load && getloadavg(&load, 1) != 1) load = -1;
}

void put_machine(FILE *json) {
    look_at_machine();
    fprintf(json, "\"machine\": {");
    put_text(json, "cpu", cpu);
    fprintf(json, ", \"cores\": %ld, \"load\": %.2f, ", cores, load);
    put_text(json, "kernel", kernel);
    fprintf(json, ", ");
    put_text(json, "file_system", file_system);
    fprintf(json, "}");
}

void report_machine(void) {
    look_at_machine();
    printf("%s, %ld cores, load %.1f; %s; files on %s; flagstore %s\n", cpu, cores, load, kernel, file_system,
           flagstore_version());
    printf("median of %zu rounds of at least %.0f ms, contestants in turn; of reads the fastest eighth of a round\n",
           config.rounds, config.sample_ns / 1e6);
    if (load > 0.5) printf("the processors are busy with something else: rows 2 and 9 need them free\n");
    printf("\n%3s  %-66s %7s %10s %10s %8s %8s  %s\n", "row", "what / peer", "flags", "ours", "peer", "ratio", "goal",
           "met?");
}

static const char *met(const line *it) {
    if (it->why) return it->why;
    if (it->goal.kind < AT_MOST) return "-";
    bool holds = it->goal.kind == AT_MOST ? it->ratio <= it->goal.ratio : it->ratio >= it->goal.ratio;
    return holds ? "yes" : "NO";
}

static void print_amount(char *into, size_t size, double amount, const char *unit) {
    static const char *const times[] = {"ns", "us", "ms", "s"}, *const bytes[] = {"B", "KB", "MB", "GB"};
    const char *const *units = !strcmp(unit, "ns") ? times : !strcmp(unit, "B") ? bytes : NULL;
    size_t step = 0;
    while (units && amount >= 1000 && step < 3) {
        amount /= 1000;
        step++;
    }
    int digits = amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
    snprintf(into, size, "%.*f %s", digits, amount, units ? units[step] : unit);
}

static void print_line(const line *it) {
    char ours[32] = "-", peer[32] = "-", ratio[32] = "-", wanted[32] = "-", flags[32] = "-";
    if (!it->why) {
        print_amount(ours, sizeof ours, it->ours, it->unit);
        print_amount(peer, sizeof peer, it->peer, it->unit);
        snprintf(ratio, sizeof ratio, "%.2f", it->ratio);
    }
    if (it->goal.kind >= AT_MOST)
        snprintf(wanted, sizeof wanted, "%s %g", it->goal.kind == AT_MOST ? "<=" : ">=", it->goal.ratio);
    if (it->flags) snprintf(flags, sizeof flags, "%zu", it->flags);
    printf("%3d  %-66s %7s %10s %10s %8s %8s  %s\n", it->row, it->what, flags, ours, peer, ratio, wanted, met(it));
    fflush(stdout);
}

static void add(line it) {
    if (line_count == COUNT(lines)) die("too many results");
    lines[line_count] = it;
    print_line(&lines[line_count++]);
}

void report_values(int row, const char *what, size_t flags, const char *unit, double ours, double peer,
                   const double *ratios, size_t count, goal goal) {
    add((line){.row = row, .what = what, .unit = unit, .flags = flags, .ours = ours, .peer = peer,
               .ratio = median(ratios, count), .low = quantile(ratios, count, 0.25),
               .high = quantile(ratios, count, 0.75), .goal = goal});
}

void report(int row, const char *what, size_t flags, const contestant *ours, const contestant *peer, goal goal) {
    double ratios[MAX_ROUNDS];
    bool rates = goal.kind == AT_LEAST || goal.kind == NO_GOAL_RATE;
    for (size_t i = 0; i < config.rounds; i++)
        ratios[i] = rates ? peer->ns[i] / ours->ns[i] : ours->ns[i] / peer->ns[i];
    report_values(row, text_of("%s / %s", what, peer->name), flags, "ns", median(ours->ns, config.rounds),
                  median(peer->ns, config.rounds), ratios, config.rounds, goal);
}

void report_missing(int row, const char *what, size_t flags, goal goal, const char *why) {
    add((line){.row = row, .what = what, .unit = "", .why = why, .flags = flags, .goal = goal});
}

static void put_line(FILE *file, const line *it) {
    fprintf(file, "    {\"row\": %d, ", it->row);
    put_text(file, "what", it->what);
    fprintf(file, ", \"flags\": %zu, ", it->flags);
    if (it->goal.kind >= AT_MOST)
        fprintf(file, "\"goal\": {\"%s\": %g}, ", it->goal.kind == AT_MOST ? "at_most" : "at_least", it->goal.ratio);
    if (!it->why) {
        put_text(file, "unit", it->unit);
        fprintf(file, ", \"ours\": %.6g, \"peer\": %.6g, \"ratio\": %.4g, \"quartiles\": [%.4g, %.4g], ", it->ours,
                it->peer, it->ratio, it->low, it->high);
    }
    put_text(file, "met", met(it));
    fprintf(file, "}");
}

void report_summary(void) {
    size_t met_goals = 0, missed = 0, missing = 0;
    for (size_t i = 0; i < line_count; i++) {
        const char *outcome = met(&lines[i]);
        if (lines[i].why) missing++;
        else if (!strcmp(outcome, "yes")) met_goals++;
        else if (!strcmp(outcome, "NO")) missed++;
    }
    printf("\ngoals: %zu met, %zu missed, %zu not measured\n", met_goals, missed, missing);
}

void report_json(const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) die("cannot write %s", path);
    fprintf(file, "{\n  ");
    put_machine(file);
    fprintf(file, ",\n  \"rounds\": %zu, \"sample_ms\": %g, \"quick\": %s,\n  ", config.rounds, config.sample_ns / 1e6,
            config.quick ? "true" : "false");
    put_text(file, "flagstore", flagstore_version());
    fprintf(file, ",\n  \"rows\": [\n");
    for (size_t i = 0; i < line_count; i++) {
        put_line(file, &lines[i]);
        fprintf(file, i + 1 < line_count ? ",\n" : "\n");
    }
    fprintf(file, "  ]\n}\n");
    if (fclose(file)) die("cannot write %s", path);
}
