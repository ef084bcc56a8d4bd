// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// sanitizer-preload.cc - what nbdkit preloads behind a sanitizer's library.
#include <clocale>
#include <cstdlib>

// What nbdkit starts (the command of --run, by way of a shell) does not get what
// nbdkit has preloaded: dash crashes with ThreadSanitizer in it, and clients
// would be slow.
__attribute__((constructor)) static void not_for_children() {
  unsetenv("LD_PRELOAD");
}

// With AddressSanitizer of g++ 12, glibc's lock of locales has been unlocked once
// too often when main() begins. Each strerror() wears it down further, and after
// one ("write reply: Broken pipe") the next writer waits for ever: that is
// libp11-kit, at exit. So nobody frees a locale.
extern "C" void freelocale(locale_t) noexcept {}
