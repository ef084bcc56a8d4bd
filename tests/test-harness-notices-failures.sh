#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The harness itself: a test fails when it should.  Small scripts that must fail are run, and one that must pass; each
# with one of nbdkit's own plugins, so that this says nothing about ours.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires plugin:memory plugin:sh nbdinfo

# script NAME: a test from standard input.  It does not run under another run-test, whose limit would count twice.
old_tmp='' old_origin='' old_nbdkit=''
script ()
{
    { printf 'set -e -u\nPLUGIN=memory\n. "%s/functions.sh"\n' "$srcdir"; cat; } > "$tmp/$1.sh"
}

# ends STATUS NAME [REGEX]: it ends so, and says so.
ends ()
{
    local status=0
    NBDKIT_VALGRIND='' NBDKIT_PRELOAD='' bash "$tmp/$2.sh" > "$tmp/$2.out" 2>&1 || status=$?
    if [ "$status" -ne "$1" ]; then fail "$2: status $status instead of $1: $(tail -n 20 "$tmp/$2.out")"; fi
    expect_text "$2" "$tmp/$2.out" "${3-.*}"
}

script passes << 'END'
start_nbdkit 1M
nbdinfo --size "$nbd_uri" | grep -qx 1048576
start_origin
curl -s "$origin_url/zeros/1K" | wc -c | grep -qx 1024
expect_equal one "$(count_requests path=/zeros/1K)" 1
echo "tmp=$tmp origin=$origin_pid nbdkit=$nbdkit_pid"
END
ends 0 passes
# It has left nothing: no folder, no process.
eval "$(grep -o 'tmp=.*' "$tmp/passes.out" | sed 's/tmp=/old_tmp=/; s/origin=/old_origin=/; s/nbdkit=/old_nbdkit=/')"
if [ -e "$old_tmp" ]; then fail "$old_tmp is left"; fi
if kill -0 "$old_origin" 2>/dev/null || kill -0 "$old_nbdkit" 2>/dev/null; then fail "processes are left"; fi

script command_fails << 'END'
start_nbdkit 1M
false
echo "not reached"
END
ends 1 command_fails 'exit status 1'
expect_no_text "after a failure" "$tmp/command_fails.out" 'not reached'

script nbdkit_refuses << 'END'
start_nbdkit no-such-parameter=1 1M
END
ends 1 nbdkit_refuses 'nbdkit did not start'
expect_text "nbdkit's words" "$tmp/nbdkit_refuses.out" 'no-such-parameter'

script nbdkit_crashes << 'END'
start_nbdkit 1M
kill -ABRT "$nbdkit_pid"
END
ends 1 nbdkit_crashes 'nbdkit ended with status 134'

script nbdkit_hangs << 'END'
start_nbdkit 1M
kill -STOP "$nbdkit_pid"
stop_nbdkit 1
END
ends 1 nbdkit_hangs 'did not end by SIGTERM within'

script unset_variable << 'END'
echo "$nothing_of_this_name"
END
ends 1 unset_variable 'unbound variable'

script not_there << 'END'
requires no-such-program-anywhere
END
ends 77 not_there 'SKIPPED: no-such-program-anywhere'

printf 'set -e\n. "%s/functions.sh"\n' "$srcdir" > "$tmp/no_options.sh"
ends 1 no_options 'set -e -u'

script client_reads_wrong << 'END'
requires python:nbd
start_nbdkit 1M
client << 'EOS'
Reader().read(65536, 100)                       # zeros are not the pattern
EOS
END
ends 1 client_reads_wrong 'byte 65541 is wrong'
