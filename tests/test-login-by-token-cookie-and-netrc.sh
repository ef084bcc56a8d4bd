#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Who the user is can be told by a bearer token, by cookies, by headers in a file and by a netrc file, each of which the
# server sees with every request; what comes from a file or a descriptor is seen in no list of processes.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

start_origin --log-headers
host=127.0.0.1

# reads QUERY PARAMETERS...: the image can be read with the parameters, over several connections, and without them not.
reads ()
{
    local url="$origin_url/pattern/1M?$1"
    shift
    expect_failure run_nbdkit 'nbdinfo --size "$uri"' url="$url" 2>/dev/null
    expect_text "refused without" "$nbdkit_err" 'server answered 40[13]'
    start_nbdkit blocksize=64K readahead=0 "$@" url="$url"
    tr '\0' ' ' < "/proc/$nbdkit_pid/cmdline" >> "$tmp/cmdlines"
    client << 'END'
r = Reader()
for i in range(16):
    r.read(i * 65536, 65536)
END
    stop_nbdkit
}

printf 'hunter2-token\n' > "$tmp/token"
reads bearer=hunter2-token bearer-token=+"$tmp/token"
reads bearer=hunter2-fd bearer-token=-7 7< <(echo hunter2-fd)
reads bearer=plain-token bearer-token=plain-token
expect_failure run_nbdkit 'nbdinfo "$uri"' bearer-token=plain-wrong url="$origin_url/pattern/1M?bearer=else" 2>/dev/null
expect_text "what to check" "$nbdkit_err" '401 Unauthorized.*bearer-token='

printf 'id=hunter2-cookie; b=c\n' > "$tmp/cookie"
cookie=$(urlencode 'id=hunter2-cookie; b=c')
reads "require-header=Cookie:$cookie" cookie=+"$tmp/cookie"
reads "require-header=Cookie:$cookie" cookie=-7 7< "$tmp/cookie"

printf '# of the store\n\nX-First: hunter2-first\r\nX-Second: hunter2-second\n' > "$tmp/headers"
for name in First Second; do
    reads "require-header=X-$name:hunter2-${name,,}" header='X-Other: 1' header=+"$tmp/headers"
done

# The word alone is no token, nor the header a cookie.
for wrong in bearer-token='Bearer hunter2-token' cookie='Cookie: a=hunter2-cookie' cookie=hunter2-cookie; do
    expect_failure run_nbdkit true "$wrong" url="$origin_url/pattern/1M" 2>/dev/null
    expect_text "message" "$nbdkit_err" "error: ${wrong%%=*}=\*\*\*: must be"
done

# By host; the first that fits counts, the default if none does.
printf 'machine elsewhere login bob password hunter2-bob\nmachine %s\n login ann password hunter2-ann\n' $host > "$tmp/netrc"
reads basic=ann:hunter2-ann netrc="$tmp/netrc"
printf 'machine elsewhere login bob password hunter2-bob\ndefault login any password "hunter2 any"\n' > "$tmp/netrc"
reads basic=any:hunter2%20any netrc="$tmp/netrc"
cp "$tmp/netrc" "$tmp/.netrc"
HOME=$tmp reads basic=any:hunter2%20any netrc=true
# Nobody looks into it unless told to.
HOME=$tmp expect_failure run_nbdkit 'nbdinfo "$uri"' url="$origin_url/pattern/1M?basic=any:hunter2%20any" 2>/dev/null

printf 'hunter2-password\n' > "$tmp/password"
reads basic=:hunter2-password user= password=-7 7< "$tmp/password"
reads basic=ann:hunter2-password user=ann password=-7 7< "$tmp/password"

# A password typed at the terminal: what is asked for is nbdkit's, so it is enough that we pass "-" on.
expect_failure run_nbdkit true bearer-token=- url="$origin_url/pattern/1M" < /dev/null 2>/dev/null
expect_text "asked for" "$nbdkit_err" 'bearer-token=-: could not be read'

expect_at_least "command lines looked at" "$(tr ' ' '\n' < "$tmp/cmdlines" | grep -c blocksize=64K)" 11
sed 's/url=[^ ]*//g' "$tmp/cmdlines" > "$tmp/cmdlines-without-url"     # the origin's script is in it
expect_no_text "secrets in the list of processes" "$tmp/cmdlines-without-url" 'hunter2'
expect_text "the search works" "$tmp/cmdlines-without-url" 'plain-token'
