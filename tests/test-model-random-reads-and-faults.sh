#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Thousands of random reads from several clients at once, against a server that delays, cuts, shortens, fails and hangs
# up at random, with a cache that is too small: every byte is compared with the truth.  Alone, and with mirrors that do
# the same.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

seed=${SEED:-$RANDOM}
echo "SEED=$seed"                               # to be had again (as far as threads allow)
. "$srcdir/mirrors.sh"

# What a server may do to any request; each alone and some together.
faults="delay=0-30&chance=20"
faults="$faults&cut=0-300000&chance=6"
faults="$faults&cut=0-300000&cut-how=rst&chance=3"
faults="$faults&short=1-200000&chance=5"
faults="$faults&status=503&chance=2"
faults="$faults&close-after&chance=5"
faults="$faults&chunked&chance=5"
faults="$faults&interim=103&chance=5"
faults="$faults&connection-close&chance=3"

# model SIZE READS PARAMETERS...
model ()
{
    local size=$1 reads=$2 i clients=()
    shift 2
    start_nbdkit -D httpcache.stats=1 -- "$@" url="$a/pattern/$size?x-$((++models))"
    for i in a b; do on $i origin_faults "/pattern/$size" "$faults"; done
    for i in 1 2 3 4; do
        start_client "$seed$i" $((reads / time_factor / 4)) << 'END'
import random
rng = random.Random(int(sys.argv[1]))
r = Reader()
size = r.h.get_size()
flying = []
at = 0
for _ in range(int(sys.argv[2])):
    # Some read on where they were, most jump; sizes from a byte to 2 MiB, mostly small.
    if rng.random() < 0.7:
        at = rng.randrange(size)
    count = min(size - at, max(1, int(2 ** rng.uniform(0, 21))))
    if rng.random() < 0.05:
        r.h.cache(count, at)
    flying.append(r.start(at, count))
    at = (at + count) % size
    while len(flying) > rng.randrange(8):
        r.finish(flying.pop(rng.randrange(len(flying))))
r.finish_all()
END
        clients+=("$client_pid")
    done
    for i in "${clients[@]}"; do
        wait "$i" || fail "a client of model $size, seed $seed"
    done
    stop_nbdkit
    grep -h 'reads=\|requests=' "$nbdkit_err"
    for i in a b; do on $i origin_faults "/pattern/$size" ""; done
}

models=0
model 100000001 2400 blocksize=64K cache-blocks=40
model 20M 400 blocksize=4K cache-blocks=16 connections=3
model 300M 800 blocksize=1M cache-blocks=4 readahead=0
model 1G 600
model 200000003 600 blocksize=64K cache-blocks=40 retry-delay=0.05 mirror="$b/pattern/200000003"
model 40M 160 blocksize=4K cache-blocks=16 connections=2 readahead=0 retry-delay=0.05 mirror="$b/pattern/40M"
model 400M 400 mirror="$b/pattern/400M" mirror="$a/pattern/400M?x-third"
for i in a b; do on $i settle; done
expect_at_least "answers that were cut" "$(of_both answer id cut=us | wc -l)" 5
expect_at_least "answers that were 503" "$(of_both answer id status=503 | wc -l)" 1
expect_at_least "answers of the mirror" "$(origin_log=$b_log log_values answer id status=206 | wc -l)" 20
