# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A guest under load is suspended, saved, restored and migrated, and crashes. It has limits, so that requests and frames wait
# whenever it stops. The daemon must execute none of them until the guest goes on, and then lose none.
# limit: 300

backend_is_kernel && skip "limits are pvbackd's"
scripts own
bridge_up xenbr0 77
need "the backend starts" backend_start
footprint=$(backend_footprint)
guest_config mover pvh 'memory = 224' 'on_crash = "preserve"' \
	"disk=[$(disk /dev/nvme0n2 xvda w),$(disk /dev/nvme0n3 xvdb w)]" "vif=[$(vif 1 rate=1Mb/s)]"
need "a PVH guest boots" guest_start mover 90
guest_net mover eth0 10.77.0.2

# The data on xvda are verified; on xvdb 32 writes wait at any time.
limits() {
	local vbd
	vbd=/local/domain/0/backend/vbd/$(guest_id mover)
	xenstore-write "$vbd/51712/iops" "$1" "$vbd/51728/iops" "$2"
}
writes_wait() {
	guest_job mover waits "fio --name=waits --filename=/dev/xvdb --size=1M --rw=randwrite --bs=4k --ioengine=libaio --iodepth=32 --direct=1 --time_based --runtime=36000 & echo \$! >/run/waits; wait \$!"
	limits 60 8
}
iperf_server
# With libaio, a suspend may stop fio for good: see README.md.
verifies mover /dev/xvda --size=2M --ioengine=io_uring
guest_job mover stream "iperf3 -c 10.77.0.1 --bidir -b 4M -t 36000 -i 0"
writes_wait
need "a TCP stream runs both ways" moves_on mover

all_go_on() {
	writes_on nvme0n2 && writes_on nvme0n3 && moves_on mover &&
		guest_job_runs mover verified && guest_job_runs mover waits && guest_job_runs mover stream
}
# If something stands still, the log shows what it is.
goes_on() { all_go_on || { backend_dump; guest_dump mover; return 1; }; }
need "the load runs" goes_on

# deeds: print in one line how many writes and frames of the guest have left the daemon
writes() { echo "$(written nvme0n2) writes to xvda, $(written nvme0n3) to xvdb"; }
deeds() { echo "$(writes), $(cat "/sys/class/net/vif$(guest_id mover).0/statistics/rx_packets") frames"; }
# unchanged COMMAND VALUE: after two seconds, in which the limits would let requests through, COMMAND must still print VALUE
unchanged() { nap 2 && is "$($1)" "$2"; }

stopped() { has "$(xl list mover)" " ---s$1- "; }
# held COMMAND...: start a command that saves the guest to /run/pipe; nobody reads the pipe before let_go, so the guest stays suspended
held() {
	rm -f /run/pipe /run/let-go
	mkfifo /run/pipe
	{
		until [ -e /run/let-go ]; do nap 0.1; done
		cat
	} </run/pipe >/run/mover.save &
	reader_pid=$!
	"$@" &
	xl_pid=$!
	wait_for 60 stopped s && nap 1 # the kernel finishes its requests
}
xl_ended() { wait_for 90 process_gone "$xl_pid" && wait "$xl_pid"; }
let_go() {
	: >/run/let-go
	xl_ended && wait "$reader_pid"
}
restarted() { backend_kill && backend_start; }

# --- saved, and resumed ---
check "the guest is suspended, to go on later" held xl save -c mover /run/pipe
before=$(deeds)
check "nothing that waits is carried out for a suspended guest" unchanged deeds "$before"
check "the daemon is killed and started while the guest is suspended" restarted
check "nor is anything after that" unchanged deeds "$before"
check "the guest is saved and resumed" let_go
check "its load goes on" goes_on

# --- a migration that fails after the other side has received the guest ---
READY_TO_RECEIVE='xl migration receiver ready, send binary domain data.
'
printf '#!/bin/bash\n%s\n' "xl migrate-receive | head -c ${#READY_TO_RECEIVE}" >/run/receive-half
printf '#!/bin/bash\n%s\n' "xl migrate-receive | { head -c ${#READY_TO_RECEIVE}; head -c 34; until [ -e /run/go ]; do read -rt 0.2 <>/run/nap; done; cat; }" >/run/receive
chmod +x /run/receive*
fails() { ! xl migrate -s '' mover /run/receive-half; }
check "a migration fails when the other side has all of it" fails
check "what was made there is destroyed" xl destroy mover--incoming
check "the load goes on where it was" goes_on

# --- saved, gone, and restored ---
check "the guest is suspended, to be saved" held xl save mover /run/pipe
before=$(writes)
check "it is saved and gone" eval 'let_go && no_guests'
check "what waited was dropped with it" unchanged writes "$before"
check "no tap, file descriptor or mapping is left over" settles_at "$footprint"
restored() { xl restore /run/mover.save && guest_moved mover && limits 60 1; }
check "it is restored" restored
check "its load goes on in another domain" goes_on

# --- migrated: the new domain runs, and only then the old one is destroyed ---
first=$(guest_id mover)
migrated() {
	xl migrate -s '' mover /run/receive &
	xl_pid=$!
	wait_for 90 eval '[ "$(guest_id mover)" != "$first" ]' && guest_moved mover mover--incoming
}
check "the guest is migrated, and runs in the new domain" migrated
check "the old domain is still there" eval 'is "$(guest_id mover--migratedaway)" "$first"'
ended() { ! guest_job_runs mover "$1"; }
newer() {
	guest_run mover "kill -INT \$(cat /run/waits)" && wait_for 30 ended waits &&
		guest_run mover "head -c 1048576 /dev/urandom >/run/newer && dd if=/run/newer of=/dev/xvdb bs=64k oflag=direct"
}
sum() { dd if="$1" bs=1M count=1 iflag=direct status=none | md5sum; }
check "it writes newer data there where the old domain's writes wait" newer
before=$(sum /dev/nvme0n3)
check "it is there" eval 'has "$(guest_run mover "md5sum </run/newer")" "^${before%% *}"'
check "no write of the old domain falls on it" unchanged "sum /dev/nvme0n3" "$before"
: >/run/go
check "the old domain is destroyed" eval 'xl_ended && ! guest_id mover--migratedaway'
check "no write of the old domain falls on newer data as it goes" unchanged "sum /dev/nvme0n3" "$before"
writes_wait
check "its load goes on" goes_on

# --- the results of the load ---
check "fio read back what it wrote, every time" verified mover
check "it is the same TCP stream" guest_job_runs mover stream
check "the guest's kernel has seen no error" saw_no_error mover

# --- crashed, and kept for the admin to look at ---
guest_send mover "echo c >/proc/sysrq-trigger"
check "the guest crashes and is kept" wait_for 60 stopped c
nap 1
before=$(deeds)
check "nothing that waits is carried out for a crashed guest" unchanged deeds "$before"
check "the daemon is killed and started meanwhile" restarted
check "nor is anything after that" unchanged deeds "$before"
before=$(writes)
check "the crashed guest is destroyed" guest_stop mover
check "what waited was dropped with it" unchanged writes "$before"
check "no guest is left over" no_guests
check "no tap, file descriptor or mapping is left over at the end" settles_at "$footprint"
check "the log has no error" eval 'hasnt "$(<"$LOG/pvbackd.log")" "error:"'
