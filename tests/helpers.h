// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// helpers.h - what several of the unit tests, or the micro-benchmark too, need.
#ifndef HTTPCACHE_TESTS_HELPERS_H
#define HTTPCACHE_TESTS_HELPERS_H

#include <cstdint>
#include <thread>
#include <vector>

#include "block_cache.h"

namespace tests {

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20, kGiB = 1 << 30;

// What byte OFFSET of an object is.
inline char truth(uint64_t offset) {
  return static_cast<char>((offset * 0x9E3779B97F4A7C15u) >> 56);
}

// Gives up on a test that hangs, but not before a minute.
class Patience final : public httpcache::CancelCheck {
public:
  bool cancelled() override { return ++polls_ > 300; }

private:
  int polls_ = 0;
};

// Calls WORK with 0 to COUNT - 1, each in a thread of its own, until all have ended.
template <typename W> void in_threads(unsigned count, W &&work) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; i++)
    threads.emplace_back([&work, i] { work(i); });
  for (std::thread &t : threads)
    t.join();
}

} // namespace tests

#endif
