// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// nbdkit-stubs.h - what nbdkit would have been told.
//
// The program that loads the plugin gives nbdkit_error and the like; in the
// unit tests that is nbdkit-stubs.cc. Threads: any.
#ifndef HTTPCACHE_TESTS_NBDKIT_STUBS_H
#define HTTPCACHE_TESTS_NBDKIT_STUBS_H

#include <string>
#include <vector>

namespace nbdkit_stubs {

// The messages given to nbdkit_error since the last call.
std::vector<std::string> take_errors();

// The messages given to nbdkit_debug since the last call.
std::vector<std::string> take_debug();

} // namespace nbdkit_stubs

#endif
