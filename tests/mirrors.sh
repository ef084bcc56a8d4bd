# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# mirrors.sh - for tests of several servers that have one file; sourced after functions.sh.  Two origins are started: $a and
# $b are their URLs, $a_log and $b_log their logs, and `on a COMMAND...` has origin_ctl and the like reach the one named.

start_origin ${seed:+--seed "$seed"}
a=$origin_url a_log=$origin_log a_control=$origin_control
start_origin ${seed:+--seed "1$seed"}
b=$origin_url b_log=$origin_log b_control=$origin_control

on ()
{
    local origin_control
    case $1 in
        a) origin_control=$a_control ;;
        b) origin_control=$b_control ;;
    esac
    "${@:2}"
}

# of_both ARGS...: log_values of the one and then of the other.
of_both () { origin_log=$a_log log_values "$@"; origin_log=$b_log log_values "$@"; }

# blocks LOG: requests for /pattern/16M but for those of checks, which are for its last and first 64K.
blocks () { origin_log=$1 log_values request range path=/pattern/16M | grep -Ecv -- '^0-65535$|-16777215$' || true; }

# Client code: reads here and there, until the server whose log is given has been asked for a block since.  (Of a cache that
# is too small for them.)
until_asked=$(cat << 'END_CLIENT'
import random, re
log, rng, r = open(sys.argv[1]), random.Random(1), Reader()
log.seek(0, 2)
while not any(line.startswith("request") and not re.search("range=0-65535 |-16777215 ", line) for line in log):
    r.read(rng.randrange(255) * 64 * KiB, 64 * KiB)
END_CLIENT
)
