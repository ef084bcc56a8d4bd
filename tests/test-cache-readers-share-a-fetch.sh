#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# One fetch serves all who want the block: two readers, sixteen readers, on one connection or on many; each is served as
# soon as its own bytes have come.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
url=$origin_url/pattern/64M
bs=65536
start_nbdkit -D httpcache.stats=1 -- blocksize=64K readahead=0 \
    url="$url?gate=two&at=1M&gate=sixteen&at=2M&gate=half&gate-at=20000&at=3M"

# Two readers, each a client; the second begins while the server holds the answer to the first.
start_client << 'END'
Reader().read(MiB + 100, 1000)
END
first=$client_pid
origin_ctl "wait?gate=two&waiting=1"
mkfifo "$tmp/begun"
start_client "$tmp/begun" << 'END'
r = Reader()
r.start(MiB, 65536)
r.read(0, 100)                                  # an answer: so the server has read our first request, too
open(sys.argv[1], "w").write("begun")
r.finish_all()
END
read -r < "$tmp/begun" || true
expect_equal "requests while two wait" "$(count_requests "range=$((1 << 20))-$(((1 << 20) + bs - 1))")" 1
origin_ctl "open?gate=two"
wait "$first" "$client_pid"
expect_equal "requests for two readers" "$(count_requests "range=$((1 << 20))-$(((1 << 20) + bs - 1))")" 1

# Sixteen connections, each another piece; and sixteen reads on one connection.
start_client "$tmp/begun" << 'END'
readers = [Reader() for _ in range(16)]
for i, r in enumerate(readers):
    r.start(2 * MiB + 4096 * i, 4096)
one = Reader()
for i in range(15):
    one.start(2 * MiB + 100 * i, 30000)
for r in readers + [one]:
    r.read(5, 5)
open(sys.argv[1], "w").write("begun")
for r in readers + [one]:
    r.finish_all()
END
read -r < "$tmp/begun" || true
origin_ctl "wait?gate=sixteen&waiting=1"
origin_ctl "open?gate=sixteen"
wait "$client_pid"
expect_equal "requests for sixteen readers" "$(count_requests "range=$((2 << 20))-$(((2 << 20) + bs - 1))")" 1

# The first 20000 bytes have come: who wants those is served while the rest is held back.
client << 'END'
r = Reader()
rest = r.start(3 * MiB + 10000, 50000)
r.read(3 * MiB, 4096)
r.read(3 * MiB + 19000, 1000)
assert not r.done(rest)
END
origin_ctl "wait?gate=half&waiting=1"
origin_ctl "open?gate=half"
client << 'END'
Reader().read(3 * MiB, 65536)
END
expect_equal "requests for half a block" "$(count_requests "range~^$((3 << 20))-")" 1

stop_nbdkit
expect_text "joined reads in the statistics" "$nbdkit_err" 'blocks_joined=[1-9]'

# The same over a run of blocks in one transfer: the first block is complete, the second is not.
start_nbdkit connections=1 blocksize=64K readahead=0 url="$url?gate=long&gate-at=70000&at=4M"
start_client "$tmp/begun" << 'END'
r = Reader()
run = r.start(4 * MiB, 4 * 65536)
Reader().read(4 * MiB + 100, 65536 - 100)
assert not r.done(run)
open(sys.argv[1], "w").write("served")
r.finish(run)
END
read -r < "$tmp/begun" || true
origin_ctl "open?gate=long"
wait "$client_pid"
