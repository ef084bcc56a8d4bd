#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The plugin's .so shows plugin_init and the debug flags, all of which nbdkit
# looks up by name, and nothing else: nbdkit opens plugins with RTLD_GLOBAL, so
# that any other symbol could be taken for another library's.

set -eu

plugin=$abs_top_builddir/plugin/.libs/nbdkit-httpcache-plugin.so
symbols=$(nm -D --defined-only "$plugin" | awk '{ print $NF }')
echo "$symbols"

grep -qx plugin_init <<<"$symbols"

# Every flag that log.h declares can be set with -D.
flags=$(grep -oE 'httpcache_debug_[a-z]+;' "$abs_top_srcdir/plugin/log.h" |
  tr -d ';' | sort -u)
test -n "$flags"
for flag in $flags; do
  grep -qx "$flag" <<<"$symbols" || {
    echo "$flag is not exported" >&2
    exit 1
  }
done

others=$(grep -vE '^(plugin_init|httpcache_debug_[a-z]+)$' <<<"$symbols" || :)
if [ -n "$others" ]; then
  echo "exported, but for nobody:" $others >&2
  exit 1
fi
