#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# ./run-tests installs every program that a test requires: one that it does not know of would mean a test that is
# skipped on every fresh machine.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"

needs=$(sed -n "/^needs='/,/^'/p" "$abs_top_srcdir/scripts/setup.sh" | cut -d '|' -f 2)
[ -n "$needs" ]
for program in $(sed -nE 's/^[[:space:]]*requires ([^#;&|]*).*/\1/p' "$srcdir"/*.sh | tr ' ' '\n' | grep -E '^[a-z]' | sort -u); do
    case $program in
        no-such-*) continue ;;                  # test-origin.sh tries out what happens then
        fio) program=do:fio_has_nbd ;;
        python:nbd) program=do:python_has_nbd ;;
        filter:* | plugin:*) program=do:nbdkit_has_filters ;;
    esac
    grep -qx "[[:space:]]*$program[[:space:]]*" <<< "$needs" || complain "scripts/setup.sh does not install $program"
done
