// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// libfuzzer.cc - one target under libFuzzer.  FUZZ_TARGET is its name, from the
// command line of the compiler.
#include <cstddef>
#include <cstdint>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  httpcache::fuzz::FUZZ_TARGET({reinterpret_cast<const char *>(data), size});
  return 0;
}
