/* run: plain sanitizers */
/* Doubles are the nearest and the shortest, and the host's floating-point environment its own, however it is set.
   valgrind does not model every mode, so this is not run under it. */
#define NO_REMOTE_KINDS
#include "check.h"

#include <fenv.h>
#include <inttypes.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* Each with its bits, for the compiler's own arithmetic is not to be trusted here. */
static const struct {
    const char *json, *repr;
    uint64_t bits;
} ROWS[] = {
    {"0.3", "0.3", 0x3fd3333333333333}, {"-0.3", "-0.3", 0xbfd3333333333333}, {"0.1", "0.1", 0x3fb999999999999a},
    {"1.1", "1.1", 0x3ff199999999999a}, {"3.0", "3.0", 0x4008000000000000}, {"-0.0", "-0.0", 0x8000000000000000},
    {"0.7", "0.7", 0x3fe6666666666666}, {"123456.789", "123456.789", 0x40fe240c9fbe76c9},
    {"9007199254740993", "9007199254740992.0", 0x4340000000000000}, /* half way, to even */
    {"9007199254740995", "9007199254740996.0", 0x4340000000000002},
    {"1e22", "1e+22", 0x4480f0cf064dd592}, {"1e23", "1e+23", 0x44b52d02c7e14af6}, {"1e-7", "1e-07", 0x3e7ad7f29abcaf48},
    {"2.2250738585072014e-308", "2.2250738585072014e-308", 0x0010000000000000},
    {"2.2250738585072011e-308", "2.225073858507201e-308", 0x000fffffffffffff},
    {"5e-324", "5e-324", 1}, {"2.4703282292062328e-324", "5e-324", 1}, {"2.4703282292062327e-324", "0.0", 0},
    {"1.7976931348623157e308", "1.7976931348623157e+308", 0x7fefffffffffffff},
    {"1.7976931348623158e308", "1.7976931348623157e+308", 0x7fefffffffffffff},
    {"0.30000000000000000000000000000000000001", "0.3", 0x3fd3333333333333},
};

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_rows(flagstore_t *store) {
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        check_row = ROWS[i].json;
        SET(store, "flag", ROWS[i].json);
        uint64_t got = bits_of(flagstore_get_double(store, "flag", 0.5, NULL));
        CHECK_THAT(got == ROWS[i].bits, "expected %016" PRIx64 ", got %016" PRIx64, ROWS[i].bits, got);
        flagstore_error_t *error = GARBAGE;
        CHECK(flagstore_set_double(store, "flag", double_of(ROWS[i].bits), &error));
        CHECK_OK(error);
        CHECK_GET(ROWS[i].repr, store, "flag");
    }
    check_row = "";
    flagstore_error_t *error = GARBAGE;
    SET(store, "flag", "1.7976931348623159e308");
    flagstore_get_double(store, "flag", 0.5, &error);
    CHECK_ERROR(FLAGSTORE_TYPE_MISMATCH, "flag", error);
}

static void doubles_are_the_nearest_in_every_rounding_mode(flagstore_t *store) {
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < COUNT(modes); i++) {
        CHECK(fesetround(modes[i]) == 0);
        check_rows(store);
        CHECK_INT(modes[i], fegetround());
        fesetround(FE_TONEAREST);
    }
}

/* What gcc's -ffast-math does to a whole process. */
static void doubles_are_kept_where_the_host_flushes_small_ones(flagstore_t *store) {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush to zero, denormals are zero */
    check_rows(store);
    CHECK((_mm_getcsr() & 0x8040) == 0x8040);
    _mm_setcsr(before);
#else
    check_rows(store);
#endif
}

int main(void) {
    RUN_ON_EVERY_KIND(doubles_are_the_nearest_in_every_rounding_mode);
    RUN_ON_EVERY_KIND(doubles_are_kept_where_the_host_flushes_small_ones);
    return check_summary("rounding");
}
