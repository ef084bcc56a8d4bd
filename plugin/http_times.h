// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_times.h - -D httpcache.times=1: where the time of all requests went.
//
// As nbdkit-curl-plugin's flag of that name: libcurl's times of each request
// are added up, and shown at the end by phase.  Costs nothing with the flag off.
//
// Threads: the one that drives the engine.  Errors: none.
#ifndef HTTPCACHE_HTTP_TIMES_H
#define HTTPCACHE_HTTP_TIMES_H

#include <array>
#include <cstddef>
#include <cstdint>

#include "clock.h"

namespace httpcache {

class HttpTimes {
public:
  // The request of EASY, a CURL*, is over; REDIRECTS is the time of the hops
  // before its last, which libcurl knows nothing of (http_engine.h).
  void add(void *easy, Duration redirects);
  void show() const;

private:
  static constexpr size_t kPhases = 6;
  std::array<int64_t, kPhases> sums_us_{};
  int64_t redirects_us_ = 0;
};

} // namespace httpcache

#endif
