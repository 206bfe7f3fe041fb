#!/bin/sh
# SPDX-License-Identifier: MIT
# Nothing that a test starts outlives it: neither its end, nor its time limit, nor its death.
# shellcheck disable=SC2016,SC2317 # the inner shells expand; is() calls the functions
set -eu

box=${top_builddir:-$PWD}/tests/sim/xensim-box
[ -x "$box" ] || { echo "SKIP: $box is not built (make xensim)"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

is() { # SENTENCE COMMAND...
	_sentence=$1
	shift
	if "$@"; then echo "ok: $_sentence"; else failed=1; echo "FAILED: $_sentence"; fi
}

status_of() { # NUMBER COMMAND...
	_expected=$1 _status=0
	shift
	"$@" 2>"$dir/err" || _status=$?
	[ "$_status" = "$_expected" ] || { echo "    status $_status, not $_expected"; return 1; }
}

# A child in the background, one in a session of its own, and one whose parent is gone.
brood='sleep 900 & echo $! >>"$0"
	setsid sleep 900 & echo $! >>"$0"
	(sh -c "sleep 900 & echo \$! >>$0")'

none_lives() {
	[ "$(wc -l <"$dir/pids")" = 3 ] || return 1
	while read -r pid; do
		! kill -0 "$pid" 2>/dev/null || { echo "    $pid lives"; return 1; }
	done <"$dir/pids"
	rm "$dir/pids"
}

# The box dies a little later than its parent.
none_lives_soon() {
	_left=500
	while ! none_lives >/dev/null && [ "$_left" -gt 0 ]; do
		_left=$((_left - 1))
		sleep 0.02
	done
	[ "$_left" -gt 0 ]
}

orphaned() {
	sh -c '"$1" sh -c "$2; mv \$0 $3; sleep 900" "$3.new" & while ! [ -e "$3" ]; do sleep 0.02; done; kill -KILL $$' \
		sh "$box" "$brood" "$dir/pids" || :
}

is "the command's status comes through" status_of 7 "$box" sh -c "$brood; exit 7" "$dir/pids"
is "nothing is left behind its end" none_lives
is "a time limit ends it" status_of 124 "$box" --limit=1 sh -c "$brood; sleep 900" "$dir/pids"
is "what was running then is told" grep -q "still running: [0-9]* sleep 900" "$dir/err"
is "nothing is left behind the limit" none_lives
orphaned 2>/dev/null
is "nothing is left when its caller is killed" none_lives_soon
exit "$failed"
