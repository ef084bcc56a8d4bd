#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Headers and cookies that scripts print are sent beside those given, to the configured server and no other; the scripts
# run before the first request and when what they printed is too old, in the folder where nbdkit was started, with the
# URL in $url, also once nbdkit has gone into the background.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin --log-headers
home=$origin_url home_log=$origin_log
start_origin --log-headers
away=${origin_url/127.0.0.1/localhost} away_log=$origin_log
origin_url=$home origin_log=$home_log

cd "$tmp"
cat > token << 'END'
#!/bin/sh
echo run >> runs
cat >> stdin
echo "Authorization: Bearer T$iteration"
printf 'X-Url: %s\r\n\n' "$url"
END
chmod +x token
runs () { wc -l < "$tmp/runs"; }

# Both scripts, and headers and cookies beside them: with every request, of one run.
url="${home/\/\////joe:for-home-url@}/pattern/4M?bearer=T0&X-Amz=a b"
start_nbdkit blocksize=64K readahead=0 header='X-Plain: plain' cookie='plain=1; b=2' header-script=./token \
    cookie-script='echo "script=$iteration"' url="$url"
client << 'END'
r = Reader()
for i in range(8):
    r.read(i * 128 * KiB, 64 * KiB)
END
stop_nbdkit
requests=$(count_requests)
expect_at_least "requests" "$requests" 2
for header in Authorization=Bearer%20T0 X-Plain=plain Cookie='plain=1;%20b=2;%20script=0' X-Url="${url// /%20}"; do
    expect_equal "requests with $header" \
        "$(log_values header value name="${header%%=*}" value="${header#*=}" | wc -l)" "$requests"
done
expect_equal "runs" "$(runs)" 1
expect_equal "what stdin held" "$(cat stdin)" ""

# The cookie of a script alone.
: > "$origin_log"
run_nbdkit true cookie-script='echo a=b' url="$home/pattern/4M?require-header=Cookie:a=b"

# Too old, as the request is about to be sent: reads go on until that has come.
: > "$origin_log"; : > runs
start_nbdkit blocksize=64K readahead=0 header-script=./token header-script-renew=1 url="$home/pattern/1G?delay=20"
client "$tmp/runs" << 'END'
r = Reader()
for i in range(16384):
    r.read(i * 64 * KiB, 512)
    with open(sys.argv[1], encoding="ascii") as runs:
        if len(runs.readlines()) == 3:
            break
r.read((i + 1) * 64 * KiB, 512)
END
stop_nbdkit
expect_equal "what the last request had" "$(log_values header value name=Authorization | tail -n 1)" Bearer%20T2
# 20 ms a request: some 50 for each second.
expect_at_least "requests with the first token" \
    "$(log_values header value name=Authorization value=Bearer%20T0 | wc -l)" 2

# In the background, where nbdkit is in /, and the first token is refused there.
: > runs
exec {fd}< <(exec 9>&1
             exec "$NBDKIT" -P "$tmp/background.pid" -U "$tmp/background.sock" httpcache blocksize=64K readahead=0 \
                  header-script=./token url="$home/pattern/4M?bearer=T0&times=1&bearer=T1&after=1" \
                  > "$tmp/background.out" 2>&1)
ended=no
end_background ()
{
    if [ $ended = yes ]; then return; fi
    ended=yes
    kill "$(cat "$tmp/background.pid")"
    _await_end "$fd" $((10 * time_factor)) || complain "nbdkit in the background did not end"
}
cleanup_fn end_background
wait $! || fail "nbdkit did not start: $(cat "$tmp/background.out")"
nbd_uri="nbd+unix:///?socket=$tmp/background.sock"
client << 'END'
Reader().read(MiB, MiB)
END
end_background
expect_equal "runs" "$(runs)" 2

# Redirected: not there, at the first request or later.
: > "$origin_log"; : > "$away_log"; : > runs
start_nbdkit blocksize=64K readahead=0 header-script=./token cookie-script='echo for-home=1' \
    url="$home/pattern/4M?bearer=T0&redirect=$(urlencode "$away/pattern/4M")"
client << 'END'
r = Reader()
for i in range(8):
    r.read(i * 128 * KiB, 64 * KiB)
END
expect_equal "requests at home" "$(count_requests)" 1
expect_at_least "requests away" "$(origin_log=$away_log count_requests)" 8
expect_text "what home was sent" "$home_log" 'name=Cookie value=for-home'
expect_no_text "what the other was sent" "$away_log" 'Bearer|Cookie|X-Url'
expect_equal "runs" "$(runs)" 1
