#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# What an NBD client is told of the export: size, read-only, multi-conn, sensible block sizes, no secrets.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdinfo jq

start_origin
# Read-only with and without nbdkit's own -r.
for options in "" "-r"; do
    # shellcheck disable=SC2086
    start_nbdkit $options -- blocksize=128K \
        url="${origin_url/\/\////joe:secret1@}/pattern/1000001?x-amz-signature=secret2&basic=joe:secret1"
    nbdinfo --json "$nbd_uri" > "$tmp/info"
    check () { expect_equal "$1" "$(jq -r ".exports[0][\"$1\"]" "$tmp/info")" "$2"; }
    check export-size 1000001
    check is_read_only true
    check can_multi_conn true
    check can_cache true
    check can_trim false
    check can_zero false
    check is_rotational false
    check block_size_minimum 1
    check block_size_preferred 131072
    nbdinfo "$nbd_uri" > "$tmp/words"
    nbdinfo --list "$nbd_uri" >> "$tmp/words"
    expect_text "description" "$tmp/words" "description:.*127.0.0.1.*/pattern/1000001"
    expect_no_text "secrets in" "$tmp/words" "secret"
    stop_nbdkit
done

# There is one export; asking for another is an error, not this one.
start_nbdkit url="$origin_url/pattern/1M"
expect_failure nbdinfo "nbd+unix:///other?socket=$nbd_sock"
nbdinfo "$nbd_uri" >/dev/null
