#!/bin/sh
# SPDX-License-Identifier: MIT
# No process that a test starts outlives the test, whether the test ends, reaches its time limit or is killed. And deaths and
# faults that a test requests happen in the process that they are meant for.
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

# Four children: one in the background, one in a session of its own, one whose parent is gone, and a stopped one of a killed
# daemon in a session of its own.
brood='sleep 900 & echo $! >>"$0"
	setsid sleep 900 & echo $! >>"$0"
	(sh -c "sleep 900 & echo \$! >>$0")
	(setsid sh -c "setsid sleep 900 & echo \$! >>$0; kill -STOP \$!; kill -KILL \$\$") || :'

none_lives() {
	[ "$(wc -l <"$dir/pids")" = 4 ] || return 1
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
# open_as ROLE VARIABLE=VALUE...: start a process with this role that opens a file, unless a fault prevents it
open_as() {
	_role=$1
	shift
	(cd "$dir" && echo | env XENSIM_DIR="$dir" "$@" "$hold_lock" "--internal-$_role" >/dev/null)
}
hold_lock=${top_builddir:-$PWD}/tests/integration/hold-lock
lib=${top_builddir:-$PWD}/tests/sim/lib
dies() { status_of 137 open_as "$1" LD_PRELOAD="$lib/moment.so" XENSIM_DIE_ROLE=guest "XENSIM_DIE_$2" && grep -q "$3" "$dir/err"; }
lives() { status_of 0 open_as "$1" LD_PRELOAD="$lib/moment.so" "$2" "XENSIM_DIE_$3"; }
fails() { ! open_as "$1" LD_PRELOAD="$lib/xensim-faults.so" XENSIM_FAIL="$2" >"$dir/err" 2>&1 && grep -q "fails on purpose" "$dir/err"; }
opens() { status_of 0 open_as "$1" LD_PRELOAD="$lib/xensim-faults.so" XENSIM_FAIL="$2"; }

# A sanitizer must be the first library.
! ldd "$hold_lock" | grep -q 'lib[at]san' || exit "$failed"
is "a death is of the role that it is meant for" dies guest AT=1:open "guest dies at moment 1, open"
is "the process that takes its place goes on counting" dies guest AT=1,1:open "guest dies at moment 2, open"
is "and lives after its last death" lives guest XENSIM_DIE_ROLE=guest AT=1,1:open
is "another role lives" lives open XENSIM_DIE_ROLE=guest AT=1:open
is "a death without a role is control's" lives guest XENSIM_NOTHING= AT=1:open
is "deaths at random come, and come again" dies guest EVERY=1 "guest dies at moment"
is "a fault is of the role that it is meant for" fails guest guest/open:1:EACCES
is "another role has none" opens open guest/open:1:EACCES
is "a fault without a role is everybody's" fails open open:1:EACCES
exit "$failed"
