#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The rules for the scripts of this repository: they end at the first error, say what they prove, carry the licence, do
# not sleep, and fix no port.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"

cd "$abs_top_srcdir"
for script in tests/*.sh tests/run-test tests/bench/run quickstart run-tests scripts/*; do
    if [ ! -f "$script" ] || ! grep -qE '^#!.*sh|shell=bash' "$script"; then continue; fi
    head -n 4 "$script" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || complain "$script: no licence"
    bash -n "$script" || complain "$script: is no shell script"
    case $script in
        tests/functions.sh) continue ;;
    esac
    head -n 1 "$script" | grep -q '^#!' || continue         # it is sourced
    grep -qE '^set -e -u$|^set -eu' "$script" || complain "$script: no set -e -u"
    case $script in
        tests/test-*.sh)
            # The fifth line is a comment: what it proves.
            sed -n 5p "$script" | grep -qE '^# .{30}' || complain "$script: does not say at its top what it proves"
            grep -nE '(^|[;&|]) *(do |then )?sleep ' "$script" >&2 && complain "$script: sleeps" || true
            grep -nE '127\.0\.0\.1:[0-9]|localhost:[0-9]|(-p|--port[= ]) *[0-9]' "$script" >&2 &&
                complain "$script: has a fixed port" || true
            ;;
    esac
done
for script in tests/*.py tests/origin/*.py tests/bench/*.py tests/bench/bench tests/bench/chart; do
    head -n 4 "$script" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || complain "$script: no licence"
    case $script in
        tests/bench/*) continue ;;              # it measures, and so may take its time
    esac
    grep -n 'time\.sleep' "$script" >&2 && complain "$script: sleeps" || true
done
