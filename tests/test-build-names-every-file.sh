#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Every source and every test in the tree is named in a Makefile.am: one that is
# not would be neither built, nor run, nor part of a release, in silence.

set -eu

status=0
check() {
  local makefile=$1 file
  shift
  for file in "$@"; do
    if [ -e "$file" ] &&
      ! grep -qE "(^|[[:space:]])${file//./\\.}([[:space:]]|$)" "$makefile"; then
      echo "$makefile does not name $file" >&2
      status=1
    fi
  done
}

cd "$abs_top_srcdir/plugin"
check Makefile.am *.cc *.h

cd "$abs_top_srcdir/tests"
check Makefile.am *.c *.cc *.h *.sh *.py */*.py *.supp bench/[!_]*

cd "$abs_top_srcdir"
check Makefile.am scripts/*

exit $status
