// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_times.h"

#include <algorithm>
#include <iterator>

#include <curl/curl.h>

#include "log.h"

namespace httpcache {

namespace {

struct NamedTime {
  const char *name;
  CURLINFO info;
};
constexpr NamedTime kTimes[] = {
    {"name resolution", CURLINFO_NAMELOOKUP_TIME_T},
    {"connection", CURLINFO_CONNECT_TIME_T},
    {"SSL negotiation", CURLINFO_APPCONNECT_TIME_T},
    {"pretransfer", CURLINFO_PRETRANSFER_TIME_T},
    {"first byte received", CURLINFO_STARTTRANSFER_TIME_T},
    {"data transfer", CURLINFO_TOTAL_TIME_T},
};

} // namespace

void HttpTimes::add(void *easy, Duration redirects) {
  static_assert(std::size(kTimes) == kPhases);
  if (!log_on(LogArea::Times))
    return;
  for (size_t i = 0; i < kPhases; ++i) {
    curl_off_t us = 0;
    curl_easy_getinfo(static_cast<CURL *>(easy), kTimes[i].info, &us);
    sums_us_[i] += us;
  }
  redirects_us_ += to_us(redirects);
}

void HttpTimes::show() const {
  if (!log_on(LogArea::Times))
    return;
  auto line = [](const char *name, int64_t us) {
    log(LogArea::Times, "{:<22}: {:>6}.{:06} s", name, us / 1'000'000, us % 1'000'000);
  };
  // All count from the start of the transfer, so each phase is the difference
  // to the one before.
  int64_t before = 0;
  for (size_t i = 0; i < kPhases; ++i) {
    line(kTimes[i].name, std::max<int64_t>(0, sums_us_[i] - before));
    before = std::max(before, sums_us_[i]);
  }
  line("redirection time", redirects_us_);
}

} // namespace httpcache
