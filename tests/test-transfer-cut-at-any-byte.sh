#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Wherever the connection ends, at any byte of an answer's head or body, by FIN or RST, in clear or over TLS, with a length
# told or not: the read has the right bytes, of no more requests than it takes, and no error is seen.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd openssl

make_certificates
parameters=(blocksize=4K cache-blocks=16 readahead=0 retry-delay=0.001 cainfo="$tls_ca")

# cut FAULT FROM TO [FAULTS]: block after block, whose first answer is cut a byte later each time; the second is whole.
cut ()
{
    local count=$(($3 - $2 + 1))
    start_nbdkit "${parameters[@]}" url="$origin_url/pattern/32M"
    origin_faults /pattern/32M "$1=$2..$3&${4:+$4&}every=2"
    origin_ctl reset
    client $count << 'END'
r = Reader()
for i in range(int(sys.argv[1])):
    r.read((i + 1) * 4 * KiB, 4 * KiB)
END
    origin_faults /pattern/32M ""
    expect_no_text "errors of $1 $*" "$nbdkit_err" 'error:'
    # Where nothing was missing there was no second one; and libcurl asks again by itself on a connection that it has
    # used when nothing of an answer comes.
    expect_at_least "requests of $*" "$(origin_ctl "stat?key=requests")" $((2 * count - 2))
    expect_at_most "requests of $*" "$(origin_ctl "stat?key=requests")" $((2 * count + 2))
    stop_nbdkit
}

start_origin
# The head is shorter than 400 bytes: the last ones end behind it, before the body.
cut cut-header 0 400
cut cut-header 0 400 cut-how=rst
if [ "$time_factor" -eq 1 ]; then
    cut cut 0 4096
else
    cut cut 0 600
fi
cut cut 3900 4096 no-length
cut cut 3997 4096 cut-how=rst
cut cut 3997 4096 chunked

# The first answer of all.
for at in $(seq 0 23 400); do
    run_nbdkit 'nbdinfo --size "$uri" > /dev/null' "${parameters[@]}" url="$origin_url/pattern/1M?cut-header=$at&times=1"
done
for at in 0 1 2000 4095; do
    start_nbdkit "${parameters[@]}" url="$origin_url/pattern/1M?cut=$at&times=1"
    client <<< 'Reader().read(0, 4 * KiB)'
    stop_nbdkit
done

# Over TLS the end of the stream may be said, or not, and a body without a length then seems whole.
start_origin --tls "$tls_cert" "$tls_key"
cut cut-header 0 400
cut cut 3997 4096
cut cut 3997 4096 no-length
cut cut 3997 4096 'no-length&cut-how=notify'
