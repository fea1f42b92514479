// Row 14 in C++: get("key", false) of the header, and the same call in C. Prints the ns of both for each round.
// Usage: bindings FILE ROUNDS NANOSECONDS
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <flagstore.hpp>
#include <iostream>
#include <random>
#include <string>
#include <vector>

using steady = std::chrono::steady_clock;

static volatile bool sink;

template <class Call> static double fastest(const std::vector<std::string> &keys, steady::duration at_least, Call call) {
    const auto end = steady::now() + at_least;
    for (auto best = steady::duration::max();;) {
        const auto start = steady::now();
        for (const auto &key : keys) sink = call(key);
        best = std::min(best, steady::now() - start);
        if (steady::now() > end) return std::chrono::duration<double, std::nano>(best).count() / double(keys.size());
    }
}

int main(int, char **argv) {
    flagstore::file_options options;
    options.read_mode = FLAGSTORE_READ_WATCHED;
    const auto store = flagstore::store::file(argv[1], options);
    const flagstore_t *const bare = flagstore_file_open_with(argv[1], &options, nullptr);
    std::vector<std::string> keys;
    for (const auto flag : store.snapshot()) {
        const std::string json = flag.json();
        if (json == "true" || json == "false") keys.push_back(flag.key());
    }
    std::shuffle(keys.begin(), keys.end(), std::mt19937(14));

    const auto ours = [&](const std::string &key) { return store.get(key, false); };
    const auto in_c = [&](const std::string &key) { return flagstore_get_bool(bare, key.c_str(), false, nullptr); };
    const std::chrono::milliseconds warm_up(100); // a file that has just been written is cached a little later
    fastest(keys, warm_up, ours);
    fastest(keys, warm_up, in_c);
    const std::chrono::nanoseconds sample(std::atoll(argv[3]));
    for (long rounds = std::atol(argv[2]); rounds > 0; rounds--)
        std::cout << fastest(keys, sample, ours) << " " << fastest(keys, sample, in_c) << "\n";
}
