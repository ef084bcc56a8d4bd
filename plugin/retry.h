// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// retry.h - whether and when a failed attempt is tried again.
//
// Only Transient errors are.  The wait doubles from first_delay_ms to
// max_delay_ms (or what the first is, if that is longer), of which a random half
// to all is taken, so that many readers of a server that comes back do not come
// back together; it is never shorter than the server's Retry-After, up to
// max_retry_after_ms.  It ends after `retries` further attempts or when deadline_ms
// have gone by since the first one began.
//
// What counts as an attempt is the caller's: a transfer that brought bytes
// before it broke has made progress, and its count and clock start again.  What
// all transfers wait for together is route.h's.
//
// Pure: no clock, sleep or I/O; time and chance are passed in.  Threads: any.
// Units: ms.  Errors: none.
#ifndef HTTPCACHE_RETRY_H
#define HTTPCACHE_RETRY_H

#include <cstdint>
#include <optional>

#include "error.h"

namespace httpcache {

struct RetryPolicy {
  unsigned retries = 5;           // attempts after the first
  uint32_t first_delay_ms = 250;  // a lost connection is soon made again
  uint32_t max_delay_ms = 10'000; // a server back after a while is noticed
  uint32_t max_retry_after_ms =
      60'000;                     // a server that asks for an hour gets this
  uint32_t deadline_ms = 120'000; // 0: none
};

// How long to wait before the next attempt; nullopt: stop, report ERROR.
// ATTEMPTS have been made without progress (at least 1), the first of them
// began ELAPSED_MS ago.  RANDOM01 is from [0, 1).
std::optional<uint32_t> retry_wait_ms(const RetryPolicy &policy,
                                      unsigned attempts, const Error &error,
                                      uint64_t elapsed_ms, double random01);

} // namespace httpcache

#endif
