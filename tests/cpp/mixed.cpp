// Compiled twice, as C++11 and as C++17, and linked into one program: the two do not disturb each other, and an error
// thrown in one is caught in the other.
#include "flagstore.hpp"

#include <cstdio>

std::string through_the_other_standard(const char *json);

static std::string through_this_standard(const char *json) {
    flagstore::store flags = flagstore::store::memory();
    flags.set("key", json);
    flagstore::optional<std::string> got = flags.get("key");
    return got.value_or("nothing") + flags.get("missing").value_or("nothing");
}

#ifdef FLAGSTORE_CPP17
std::string through_the_other_standard(const char *json) { return through_this_standard(json); }
#else
static std::string name_of_the_error(const char *json) {
    try {
        return through_the_other_standard(json);
    } catch (const flagstore::error &error) {
        return flagstore_error_name(error.code());
    }
}

int main() {
    const struct { std::string expected, got; } rows[] = {
        {"[1,2]nothing", through_this_standard("[1, 2]")},
        {"[1,2]nothing", through_the_other_standard("[1, 2]")},
        {"FLAGSTORE_INVALID_JSON", name_of_the_error("[1, 2")},
    };
    for (const auto &row : rows) {
        if (row.got != row.expected) {
            std::fprintf(stderr, "%s: expected %s, got %s\n", __FILE__, row.expected.c_str(), row.got.c_str());
            return 1;
        }
    }
    std::puts("C++11 and C++17 files in one program: 3 checks");
}
#endif
