#!/bin/sh
# SPDX-License-Identifier: MIT
# Every committed input of every fuzz target still holds the target's invariants.
set -eu
corpus=${top_srcdir:-.}/tests/fuzz/corpus
status=0
for dir in "$corpus"/*; do
	target=${dir##*/}
	printf '%s: ' "$target"
	tests/fuzz/replay-"$target" "$dir" || status=1
done
exit $status
