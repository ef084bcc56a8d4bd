// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "retry.h"

#include <algorithm>

namespace httpcache {

namespace {

// first, 2 x first, 4 x first ... up to the most.
uint64_t backoff_ms(const RetryPolicy &policy, unsigned attempts) {
  uint64_t delay = policy.first_delay_ms;
  for (unsigned i = 1; i < attempts && delay < policy.max_delay_ms; i++)
    delay *= 2;
  return std::min<uint64_t>(delay, std::max(policy.first_delay_ms, policy.max_delay_ms));
}

} // namespace

std::optional<uint32_t> retry_wait_ms(const RetryPolicy &policy,
                                      unsigned attempts, const Error &error,
                                      uint64_t elapsed_ms, double random01) {
  uint64_t deadline_ms = policy.deadline_ms > 0 ? policy.deadline_ms : UINT64_MAX;
  if (error.kind != ErrorKind::Transient || attempts > policy.retries ||
      elapsed_ms >= deadline_ms)
    return std::nullopt;

  uint64_t delay = backoff_ms(policy, attempts);
  auto jitter = static_cast<uint64_t>(static_cast<double>(delay) / 2 *
                                      std::clamp(random01, 0.0, 1.0));
  uint64_t wait = delay - delay / 2 + jitter;
  if (error.retry_after_s)
    wait =
        std::max(wait, std::min<uint64_t>(uint64_t{1000} * *error.retry_after_s,
                                          policy.max_retry_after_ms));
  // The last attempt is made when the time is over, not before or after it.
  wait = std::min(wait, deadline_ms - elapsed_ms);
  return static_cast<uint32_t>(wait);
}

} // namespace httpcache
