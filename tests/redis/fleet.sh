#!/usr/bin/env bash
# All of fleet.py, and its options.
exec python3 "$(dirname "$0")/fleet.py" "$@"
