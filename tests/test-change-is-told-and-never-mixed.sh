#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The file on the server changes while it is served: what is held stays readable, all else is EIO, the message tells what
# changed from what to what, and a restart serves the new one.  ignore-etag=true goes by size and date alone.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin

# changes FAULTS MESSAGE PARAMETER...: from what $was says.
was=
changes ()
{
    origin_faults /pattern/16M "$was"
    start_nbdkit blocksize=64K readahead=0 "${@:3}" url="$origin_url/pattern/16M"
    client << 'END'
Reader().read(MiB, 512)
END
    origin_faults /pattern/16M "$1"
    : > "$origin_log"
    client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 2 * MiB)
for i in range(3, 12):
    expect_error(errno.EIO, r.h.pread, 512, i * MiB)
r.read(MiB, 65536)                              # held
r.read(0, 65536)
END
    # Not one that is asked for again, nor a second of what is known to be of no use.
    expect_equal "requests after $1" "$(count_requests path=/pattern/16M)" 1
    expect_text "message after $1" "$nbdkit_err" "$2; old and new bytes are not mixed: restart nbdkit"
    origin_faults /pattern/16M "$was"
    client << 'END'
expect_error(errno.EIO, Reader().h.pread, 512, 2 * MiB) # back again: who knows what it was meanwhile
END
    stop_nbdkit
    expect_equal "times it was told" "$(grep -c "has changed" "$nbdkit_err")" 1
    origin_faults /pattern/16M ""
}

old='ETag "pattern-16777216"'
changes new-etag "has changed, from $old to ETag \"new-pattern-16777216\""
expect_text "relief" "$nbdkit_err" 'ignore-etag=true goes by size'
changes "etag=W/%22x%22" "has changed, from $old to ETag W/\"x\""
changes grow=512 'has changed, from 16777216 bytes to 16777728 bytes'
expect_no_text "relief that is none" "$nbdkit_err" 'ignore-etag'
changes grow=512 'has changed, from 16777216 bytes to 16777728 bytes' ignore-etag=true
changes "ignore-range&grow=512" 'has changed, from 16777216 bytes to 16777728 bytes'

# By each of what there is to go by, alone.  A weak ETag is compared like a strong one, and the date with it.
date='Last-Modified Sun, 09 Sep 2001 01:46:40 GMT'
was=weak-etag
changes "etag=W/%22x%22" 'has changed, from ETag W/"pattern-16777216" to ETag W/"x"'
expect_text "relief" "$nbdkit_err" 'ignore-etag=true goes by size'
changes "weak-etag&last-modified=tomorrow" "has changed, from $date to Last-Modified tomorrow"
was=no-etag
changes "no-etag&last-modified=tomorrow" "has changed, from $date to Last-Modified tomorrow"
expect_no_text "relief that is none" "$nbdkit_err" 'ignore-etag'
was=no-validators
changes "no-validators&grow=1" 'has changed, from 16777216 bytes to 16777217 bytes'
was=
changes "new-etag&last-modified=tomorrow" "has changed, from $date to Last-Modified tomorrow" ignore-etag=true

# Many readers and answers at once, and a prefetch: still one message, and the one change is everybody's.
start_nbdkit blocksize=64K url="$origin_url/pattern/16M"
client << 'END'
Reader().read(MiB, 512)
END
origin_faults /pattern/16M "new-etag&gate=all"
start_client << 'END'
readers = [Reader() for _ in range(4)]
reads = [(readers[i % 4], readers[i % 4].start((i + 2) * MiB // 2, 512)) for i in range(8, 24)]
readers[0].h.cache(256 * KiB, 15 * MiB)
for reader, cookie in reads:
    expect_error(errno.EIO, reader.finish, cookie)
readers[0].read(MiB, 512)
END
origin_ctl "wait?gate=all&waiting=4"
origin_ctl "open?gate=all"
wait "$client_pid"
stop_nbdkit
expect_equal "times it was told" "$(grep -c "has changed" "$nbdkit_err")" 1
origin_faults /pattern/16M ""

# Found by a prefetch that nobody waits for: told then, and not by the readers that come after.
start_nbdkit blocksize=64K connections=1 url="$origin_url/pattern/16M"
origin_faults /pattern/16M "new-etag&gate=prefetch"
client << 'END'
Reader().h.cache(64 * KiB, 2 * MiB)
END
origin_ctl "wait?gate=prefetch&waiting=1"
start_client << 'END'
expect_error(errno.EIO, Reader().read, 8 * MiB, 512)    # waits for the one connection, or comes later
expect_error(errno.EIO, Reader().read, 4 * MiB, 512)
END
origin_ctl "open?gate=prefetch"
wait "$client_pid"
stop_nbdkit
expect_text "warning" "$nbdkit_err" "error: warning: GET .* has changed, from $old"
expect_equal "times it was told" "$(grep -c "has changed" "$nbdkit_err")" 1
origin_faults /pattern/16M ""

# goes_on FAULTS PARAMETER...: that is no change.
goes_on ()
{
    start_nbdkit blocksize=64K readahead=0 "${@:2}" url="$origin_url/pattern/16M"
    origin_faults /pattern/16M "$1"
    client << 'END'
Reader().read(2 * MiB, 512)
END
    origin_faults /pattern/16M ""
    stop_nbdkit
}

goes_on weak-etag                               # the same, in the eyes of a server that may compress
goes_on no-etag                                 # the date is the same
goes_on "weak-etag&last-modified=$(urlencode "Sun, 09 Sep 2001 01:46:40 GMT")"
goes_on last-modified=tomorrow                  # nodes of a farm; the ETag is strong
goes_on new-etag ignore-etag=true
expect_no_text "a warning that is none" "$nbdkit_err" 'sends no'

# A restart serves the new one.
origin_faults /pattern/16M new-etag
start_nbdkit url="$origin_url/pattern/16M"
client << 'END'
Reader().read(2 * MiB, 512)
END
stop_nbdkit

# Nothing left to go by: it is said at the start.
origin_faults /pattern/16M no-last-modified
goes_on "new-etag&no-last-modified" ignore-etag=true
origin_faults /pattern/16M no-last-modified
start_nbdkit ignore-etag=true url="$origin_url/pattern/16M"
expect_text "warning" "$nbdkit_err" 'sends no Last-Modified; should the object change .* only a change of its size'
stop_nbdkit

# No condition was ever sent: a server that gets one wrong, or that calls the same file by another ETag, can answer with
# what is neither old nor new.
expect_equal "conditions" "$(log_values request cond path=/pattern/16M | sort -u)" -
