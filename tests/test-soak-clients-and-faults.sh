#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Eight clients, four that jump and four that read on, against a server that cuts, delays, truncates, fails and restarts
# at random, and then against two such: every byte is right, no read fails, and when all is over nothing has leaked.
#
# make soak runs this for SOAK_SECONDS; in make check it is two rounds of each.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

seed=${SEED:-$RANDOM}
rounds=${SOAK_ROUNDS:-2} reads=$((${SOAK_READS:-120} / time_factor))
echo "SEED=$seed"
. "$srcdir/mirrors.sh"

faults="delay=0-40&chance=20"
faults="$faults&cut=0-300000&chance=8"
faults="$faults&cut=0-300000&cut-how=rst&chance=4"
faults="$faults&cut-header=0-200&chance=2"
faults="$faults&short=1-200000&chance=5"
faults="$faults&status=503&chance=2&status=500&chance=1"
faults="$faults&status=429&retry-after=0&chance=1"
faults="$faults&close-after&chance=5"
faults="$faults&chunked&chance=5"
faults="$faults&connection-close&chance=3"

# round NUMBER
round ()
{
    local i clients=() waiters asked origin
    for i in 1 2 3 4 5 6 7 8; do
        start_client "$seed$1$i" "$reads" "$((i % 2))" << 'END'
import random
rng = random.Random(int(sys.argv[1]))
r = Reader()
size = r.h.get_size()
flying, at = [], rng.randrange(size // 2)
for _ in range(int(sys.argv[2])):
    if sys.argv[3] == "1":                      # it jumps
        at = rng.randrange(size - MiB)
        count = max(1, int(2 ** rng.uniform(0, 18)))
    else:
        count = 256 * KiB
    flying.append(r.start(at, count))
    at += count
    while len(flying) > rng.randrange(8):
        r.finish(flying.pop(rng.randrange(len(flying))))
r.finish_all()
END
        clients+=("$client_pid")
    done
    # A server restarts meanwhile: all connections end, and the next ones are refused.
    on a origin_ctl "wait?requests=20" &
    waiters=($!)
    on b origin_ctl "wait?requests=20" &
    waiters+=($!)
    wait -n -p asked "${waiters[@]}"
    if [ "$asked" = "${waiters[0]}" ]; then origin=a; else origin=b; fi
    on $origin origin_ctl "listen?mode=reset&times=$((1 + RANDOM % 8))"
    on $origin origin_ctl drop
    for i in "${clients[@]}"; do
        wait "$i" || fail "a client of round $1, seed $seed"
    done
    kill "${waiters[@]}" 2>/dev/null || true
    for i in a b; do on $i origin_ctl reset; done
}

# What the process has when no client is there: descriptors, threads, KiB of memory.
held ()
{
    local fds threads
    fds=$(ls "/proc/$nbdkit_pid/fd" | wc -l)
    threads=$(ls "/proc/$nbdkit_pid/task" | wc -l)
    echo "$fds" "$threads" "$(kib_of "$nbdkit_pid" VmRSS)"
}

# await_threads NUMBER: those of connections end a moment after their clients; each look comes with one more of them.
await_threads ()
{
    local tries=0
    until [ "$(ls "/proc/$nbdkit_pid/task" | wc -l)" -le "$1" ]; do
        [ $((++tries)) -le $((200 * time_factor)) ] || fail "threads are left over: $(held)"
        nbdinfo --size "$nbd_uri" > "$tmp/size"
    done
}

# soak PARAMETER...
soak ()
{
    local i fds threads memory fds_now memory_now end

    for i in a b; do on $i origin_faults /pattern/3G "$faults"; done
    start_nbdkit -D httpcache.stats=1 -- cache-blocks=64 "$@" url="$a/pattern/3G"
    read -r _ threads _ <<< "$(held)"
    round 1
    await_threads "$threads"
    read -r fds _ memory <<< "$(held)"
    end=$((SECONDS + ${SOAK_SECONDS:-0} / 2))
    for ((i = 2; i <= rounds || SECONDS < end; i++)); do
        round $i
        await_threads "$threads"
        echo "round $i: descriptors, threads, KiB: $(held)"
    done
    read -r fds_now _ memory_now <<< "$(held)"
    # Connections to the server may be open, 16 at most, now or after the first round.
    expect_at_most "descriptors after $((i - 1)) rounds (first: $fds)" "$fds_now" $((fds + 16))
    if [ -z "${NBDKIT_PRELOAD:-}" ] && [ "${NBDKIT_VALGRIND:-}" != 1 ]; then
        expect_at_most "KiB of memory after $((i - 1)) rounds (first: $memory)" "$memory_now" $((memory + 16 * 1024))
    fi
    stop_nbdkit
    grep -h 'reads=\|requests=' "$nbdkit_err"
    expect_no_text "reads that failed" "$nbdkit_err" 'error: GET'
}

soak
soak mirror="$b/pattern/3G"
expect_at_least "answers that were cut" "$(of_both answer id cut=us | wc -l)" 5
expect_at_least "answers that were 503" "$(of_both answer id status=503 | wc -l)" 1
expect_at_least "answers of the mirror" "$(origin_log=$b_log log_values answer id status=206 | wc -l)" 20
