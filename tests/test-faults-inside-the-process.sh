#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# No memory, no descriptors, no threads: a clear error, no crash, no hang; and all is well again when there are some.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo g++
# They have allocators and threads of their own.
if [ -n "${NBDKIT_PRELOAD:-}" ] || [ "${NBDKIT_VALGRIND:-}" = 1 ]; then
    echo "$0: SKIPPED: a sanitizer or valgrind allocates instead" >&2
    exit 77
fi

start_origin
g++ -x c -std=gnu11 -shared -fPIC -o "$tmp/faulty.so" "$srcdir/faulty.c" -ldl
export FAULTY_CONTROL=$tmp/faults

# faults ALLOCATIONS DESCRIPTORS THREADS: of 1000 so many fail from now on; in place, for the file is mapped.
faults ()
{
    [ -e "$FAULTY_CONTROL" ] || printf '%016d' 0 > "$FAULTY_CONTROL"
    printf '%04d%04d%04d' "$@" | dd of="$FAULTY_CONTROL" conv=notrunc status=none
}

# reads: much of it at random, in five connections one after the other; says how many reads failed, and with what.
reads ()
{
    client "$@" << 'END'
import random
rng = random.Random(int(sys.argv[1]))
failed = {}
for _ in range(5):
    r = Reader()
    for _ in range(20):
        at, count = rng.randrange(63 * MiB), rng.randrange(1, 300000)
        try:
            r.read(at, count)
        except nbd.Error as error:
            name = errno.errorcode.get(error.errnum, str(error))
            failed[name] = failed.get(name, 0) + 1
print("reads that failed:", sum(failed.values()), failed)
if set(failed) - {"ENOMEM", "EIO"}:
    sys.exit("another errno than ENOMEM and EIO")
END
}

faults 0 0 0
NBDKIT_PRELOAD=$tmp/faulty.so
export NBDKIT_PRELOAD
start_nbdkit cache-blocks=32 retry-delay=0.01 retries=3 retry-max-time=1 timeout=1 url="$origin_url/pattern/64M"
for chance in 1 5 20 100 400 1000; do
    faults $chance 0 0
    reads $chance > "$tmp/out"
    cat "$tmp/out"
    faults 0 0 0
    reads $((chance + 1)) > "$tmp/out"
    expect_text "reads after $chance of 1000 allocations failed" "$tmp/out" "reads that failed: 0"
done
expect_text "message" "$nbdkit_err" 'emory'

# Connections are made anew, and cannot.
origin_ctl drop
faults 0 1000 0
reads 1 > "$tmp/out"
expect_no_text "reads without sockets" "$tmp/out" "reads that failed: 0"
expect_text "message" "$nbdkit_err" 'no socket: Too many open files; nbdkit may open no more files: raise its limit'
faults 0 0 0
reads 2 > "$tmp/out"
expect_text "reads with sockets again" "$tmp/out" "reads that failed: 0"
stop_nbdkit

# At the start it is served, or not for want of memory.
for chance in 2 2 10 10 50 50 300; do
    faults $chance 0 0
    status=0
    run_nbdkit true retries=0 url="$origin_url/pattern/64M" > "$tmp/out" 2>&1 || status=$?
    [ $status -le 1 ] || fail "status $status at the start while $chance of 1000 allocations fail: $(cat "$nbdkit_err")"
    if [ $status -eq 1 ]; then expect_text "message" "$nbdkit_err" 'emory'; fi
    echo "status at the start, $chance of 1000: $status"
done
faults 1000 0 0
expect_failure run_nbdkit true retries=0 url="$origin_url/pattern/64M"

# libcurl looks names up in threads.
faults 0 0 1000
expect_failure run_nbdkit true retries=0 url=http://host.invalid/
expect_text "message" "$nbdkit_err" 'GET http://host.invalid/ .* thread failed to start; this system gives nbdkit no more threads'

# Who comes while there is no thread is told, who comes later is served.
faults 0 0 1000
start_nbdkit url="$origin_url/pattern/64M"
expect_failure nbdinfo "$nbd_uri"
expect_text "message" "$nbdkit_err" 'cannot start the HTTP thread: '
faults 0 0 0
nbdinfo "$nbd_uri" > "$tmp/out"
expect_text "nbdinfo" "$tmp/out" 'export-size: 67108864'
