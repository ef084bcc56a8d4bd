// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unpreload.cc - preloaded into nbdkit behind a sanitizer's library, so that
// what nbdkit starts (the command of --run, by way of a shell) does not get
// either: dash crashes with ThreadSanitizer in it, and clients would be slow.
#include <cstdlib>

__attribute__((constructor)) static void unpreload() { unsetenv("LD_PRELOAD"); }
