#!/usr/bin/env bash
# Fuzzes one target for some seconds (60), or until it finds something; needs `cargo install cargo-fuzz`.
#   tests/fuzz/run.sh file_bytes|value_text|calls [seconds]
# What it learns goes to target/fuzz/corpus. The committed corpus is only read; `tests/fuzz/run.sh --keep <target>`
# adds to it the smallest inputs that reach something new.
set -euo pipefail
cd "$(dirname "$0")/../.."
export RUSTC_BOOTSTRAP=1 # libFuzzer's and AddressSanitizer's flags are for nightly compilers only

keep=false
if [ "${1-}" = --keep ]; then keep=true && shift; fi
target=${1:?which target}
learned=target/fuzz/corpus/$target findings=target/fuzz/findings/$target committed=tests/fuzz/corpus/$target
mkdir -p "$learned" "$findings" "$committed"

fuzz() {
    cargo fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz "$target" "$@"
}

if $keep; then
    # -merge=1 prefers small inputs, and those of the first directory over all others. Inputs above 600 bytes are for
    # the fuzzer alone: the corpus is run by every `cargo test`.
    fuzz "$committed" "$learned" -- -merge=1 -max_len=600
else
    fuzz "$learned" "$committed" -- -max_total_time="${2:-60}" -max_len=2000 -timeout=20 -print_final_stats=1 \
        -artifact_prefix="$findings/" -dict=tests/fuzz/json.dict
fi
