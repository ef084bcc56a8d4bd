// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-retry.cc - how often, and how long after one another, attempts are made.
#include "retry.h"

#include "catch.h"
#include "config.h"

using namespace httpcache;

namespace {

const RetryPolicy kPolicy = {.retries = 4,
                             .first_delay_ms = 100,
                             .max_delay_ms = 1000,
                             .max_retry_after_ms = 5000,
                             .deadline_ms = 20'000};

Error error_of(ErrorKind kind, std::optional<uint32_t> retry_after_s = {}) {
  return {kind, EIO, 503, "x", retry_after_s};
}

std::optional<uint32_t> wait(unsigned attempts, double random01,
                             uint64_t elapsed_ms = 0,
                             std::optional<uint32_t> retry_after_s = {}) {
  return retry_wait_ms(kPolicy, attempts,
                       error_of(ErrorKind::Transient, retry_after_s),
                       elapsed_ms, random01);
}

} // namespace

TEST_CASE("only transient errors are tried again", "[retry]") {
  for (ErrorKind kind : {ErrorKind::Permanent, ErrorKind::Changed,
                         ErrorKind::Cancelled, ErrorKind::LocalIo})
    CHECK_FALSE(retry_wait_ms(kPolicy, 1, error_of(kind, 1), 0, 0.5));
  CHECK(retry_wait_ms(kPolicy, 1, error_of(ErrorKind::Transient), 0, 0.5));
}

TEST_CASE("the wait doubles up to its cap, a random half to all of it",
          "[retry]") {
  CHECK(wait(1, 0.0) == 50u);
  CHECK(wait(1, 1.0) == 100u);
  CHECK(wait(2, 0.0) == 100u);
  CHECK(wait(2, 1.0) == 200u);
  CHECK(wait(3, 0.5) == 300u);
  CHECK(wait(4, 0.0) == 400u);
  RetryPolicy many = kPolicy;
  many.retries = 1000000;
  for (unsigned attempts : {5u, 64u, 999999u})
    CHECK(retry_wait_ms(many, attempts, error_of(ErrorKind::Transient), 0,
                        0.0) == 500u);
}

TEST_CASE("a first delay beyond the cap stays as it is", "[retry]") {
  RetryPolicy slow = kPolicy;
  slow.first_delay_ms = 3000;
  for (unsigned attempts : {1u, 4u})
    CHECK(retry_wait_ms(slow, attempts, error_of(ErrorKind::Transient), 0, 1.0) == 3000u);
}

TEST_CASE("without a deadline only attempts are counted", "[retry]") {
  RetryPolicy endless = kPolicy;
  endless.deadline_ms = 0;
  CHECK(retry_wait_ms(endless, 4, error_of(ErrorKind::Transient), 1'000'000'000, 0.0) == 400u);
  CHECK_FALSE(retry_wait_ms(endless, 5, error_of(ErrorKind::Transient), 0, 0.0));
}

TEST_CASE("attempts are counted", "[retry]") {
  CHECK(wait(4, 0.5));
  CHECK_FALSE(wait(5, 0.5));
  RetryPolicy none = kPolicy;
  none.retries = 0;
  CHECK_FALSE(retry_wait_ms(none, 1, error_of(ErrorKind::Transient), 0, 0.5));
}

TEST_CASE("the deadline is kept, and its last moment used", "[retry]") {
  CHECK_FALSE(wait(1, 0.5, 20'000));
  CHECK_FALSE(wait(1, 0.5, UINT64_MAX));
  CHECK(wait(4, 0.0, 19'990) == 10u);
  CHECK(wait(1, 0.0, 19'000, 60) == 1000u);
}

TEST_CASE("Retry-After is waited for, up to its cap", "[retry]") {
  CHECK(wait(1, 0.0, 0, 0) == 50u);
  CHECK(wait(1, 0.0, 0, 2) == 2000u);
  CHECK(wait(1, 0.0, 0, 5) == 5000u);
  CHECK(wait(1, 0.0, 0, 6) == 5000u);
  CHECK(wait(1, 0.0, 0, UINT32_MAX) == 5000u);
}

TEST_CASE("a random number out of range does no harm", "[retry]") {
  CHECK(wait(1, -5) == 50u);
  CHECK(wait(1, 5) == 100u);
}

TEST_CASE("no policy overflows", "[retry]") {
  RetryPolicy most = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                      UINT32_MAX};
  CHECK(retry_wait_ms(most, 3, error_of(ErrorKind::Transient, UINT32_MAX), 0,
                      1.0) == UINT32_MAX);
  CHECK(retry_wait_ms(most, UINT32_MAX, error_of(ErrorKind::Transient),
                      UINT32_MAX - 1, 1.0) == 1u);
}

TEST_CASE("the default policy gives up within its deadline", "[retry]") {
  RetryPolicy policy;
  uint64_t elapsed_ms = 0;
  unsigned attempts = 1;
  while (auto ms =
             retry_wait_ms(policy, attempts, error_of(ErrorKind::Transient),
                           elapsed_ms, 1.0)) {
    elapsed_ms += *ms;
    attempts++;
  }
  CHECK(attempts == policy.retries + 1);
  CHECK(elapsed_ms == 250 + 500 + 1000 + 2000 + 4000);
}

TEST_CASE("by default a server may be away for a minute, whatever the chance", "[retry]") {
  Config config;
  RetryPolicy policy;
  policy.retries = config.retries;
  policy.first_delay_ms = config.retry_delay_ms;
  policy.deadline_ms = config.retry_max_time_s * 1000;
  for (double chance : {0.0, 0.5, 1.0}) {
    uint64_t elapsed_ms = 0; // it refuses at once
    for (unsigned attempts = 1;; ++attempts) {
      auto ms = retry_wait_ms(policy, attempts, error_of(ErrorKind::Transient), elapsed_ms, chance);
      if (!ms)
        break;
      elapsed_ms += *ms;
    }
    CHECK(elapsed_ms >= 60'000);
    CHECK(elapsed_ms <= policy.deadline_ms);
  }
}
