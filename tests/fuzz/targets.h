// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// targets.h - what is fuzzed: any bytes are survived, and these hold.
//
// Each target takes the bytes as a peer or a user could have given them, and calls
// broken() when what must hold does not.  `make fuzz` runs them under libFuzzer
// (libfuzzer.cc); the unit test runs the corpora, fuzz/corpus/TARGET, and mutations
// of them, in every build.
//
// Threads: one at a time.
#ifndef HTTPCACHE_TESTS_FUZZ_TARGETS_H
#define HTTPCACHE_TESTS_FUZZ_TARGETS_H

#include <string_view>

namespace httpcache::fuzz {

// The first three bytes choose what was asked for and what is known of the object;
// the rest are the lines of an answer's heads.
void answer(std::string_view bytes);

// Lines "key=value", as nbdkit gives them to the plugin.
void config(std::string_view bytes);

// A URL as people write it, and a text in which it could stand.
void url(std::string_view bytes);

// Ends the process, and says WHAT did not hold.
[[noreturn]] void broken(const char *what);

} // namespace httpcache::fuzz

#endif
