#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# resolve= and ipresolve= choose the address, tcp-keepalive= and tcp-nodelay= what the kernel does with the connection.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdinfo

start_origin --log-headers
port=${origin_url##*:}
size=(run_nbdkit 'nbdinfo --size "$uri"' retries=0)

"${size[@]}" resolve="disk.invalid:$port:127.0.0.1" resolve="other.invalid:$port:192.0.2.1" \
    url="http://disk.invalid:$port/pattern/64K" > /dev/null
expect_equal "the host asked for" "$(log_values header value name=Host)" "disk.invalid:$port"
# It is for one port, and for where redirects lead as well.
expect_failure "${size[@]}" resolve="disk.invalid:1:127.0.0.1" url="http://disk.invalid:$port/pattern/64K" 2>/dev/null
expect_text "not found" "$nbdkit_err" 'resolve host'
"${size[@]}" resolve="disk.invalid:$port:127.0.0.1" resolve="store.invalid:$port:127.0.0.1" \
    url="http://disk.invalid:$port/pattern/64K?redirect=$(urlencode "http://store.invalid:$port/pattern/64K")" > /dev/null
# A header is no host of the list (nbdkit-curl-plugin mixed them).
"${size[@]}" header='X-One: 1' resolve="disk.invalid:$port:127.0.0.1" header='X-Two: 2' \
    url="http://disk.invalid:$port/pattern/64K?require-header=X-Two:2" > /dev/null

# The origin is at 127.0.0.1 only.
"${size[@]}" ipresolve=v4 url="http://localhost:$port/pattern/64K" > /dev/null
expect_failure "${size[@]}" ipresolve=v6 url="http://localhost:$port/pattern/64K" 2>/dev/null
expect_failure "${size[@]}" ipresolve=v6 url="http://127.0.0.1:$port/pattern/64K" 2>/dev/null

# SOL_SOCKET SO_KEEPALIVE is 1 9, IPPROTO_TCP TCP_NODELAY 6 1.
for case in ':1 9 1:6 1 1' 'tcp-keepalive=false::6 1 1' 'tcp-nodelay=false:1 9 1:'; do
    IFS=: read -r parameter keepalive nodelay <<< "$case"
    : > "$tmp/options"
    slow_net LOG_SOCKOPT="$tmp/options"
    run_nbdkit true ${parameter:+"$parameter"} url="$origin_url/pattern/64K"    # no client with options of its own
    slow_net
    expect_equal "keepalive with '$parameter'" "$(grep '^1 9 ' "$tmp/options" | sort -u)" "$keepalive"
    expect_equal "nodelay with '$parameter'" "$(grep '^6 1 ' "$tmp/options" | sort -u)" "$nodelay"
done

# HTTP/1.0: a connection for each request.
start_origin
"${size[@]}" http-version=1.0 readahead=0 url="$origin_url/pattern/64K" > /dev/null
run_nbdkit 'nbdcopy --connections=1 "$uri" null:' http-version=1.0 blocksize=64K readahead=0 url="$origin_url/pattern/1M"
expect_equal "connections" "$(log_values open conn | wc -l)" "$(log_values request id | wc -l)"
