// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "stats.h"

#include <algorithm>
#include <bit>

#include <sys/resource.h>

#include <fmt/format.h>

namespace httpcache {

void Histogram::add(Duration d) {
  uint64_t us = static_cast<uint64_t>(std::max<int64_t>(1, to_us(d)));
  size_t k = static_cast<size_t>(std::bit_width(us)) - 1;
  buckets_[std::min(k, kBuckets - 1)].add();
}

uint64_t Histogram::count() const {
  uint64_t sum = 0;
  for (const Counter &c : buckets_)
    sum += c.get();
  return sum;
}

uint64_t Histogram::quantile_us(double fraction) const {
  uint64_t all = count();
  uint64_t seen = 0;
  for (size_t k = 0; k < kBuckets; ++k) {
    seen += in_bucket(k);
    if (all > 0 && static_cast<double>(seen) >= fraction * static_cast<double>(all))
      return uint64_t{2} << k;
  }
  return 0;
}

std::vector<std::string> Stats::lines(uint64_t peak_block_bytes) const {
  std::vector<std::string> out;
  out.push_back(fmt::format(
      "reads={} read_errors={} bytes_served={} blocks_hit={} blocks_joined={} "
      "blocks_missed={} cache_requests={}",
      reads.get(), read_errors.get(), bytes_served.get(), blocks_hit.get(),
      blocks_joined.get(), blocks_missed.get(), cache_requests.get()));
  uint64_t used = bytes_prefetched_used.get();
  out.push_back(fmt::format(
      "requests={} bytes_fetched={} retries={} failures={} replaced={} connections={} "
      "peak_active={} bytes_prefetched={} bytes_prefetched_unused={}",
      requests.get(), bytes_fetched.get(), retries.get(), failures.get(),
      replaced.get(), connections.get(), peak_active.get(), bytes_prefetched.get(),
      bytes_prefetched.get() - std::min(used, bytes_prefetched.get())));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage); // ru_maxrss is in KiB
  out.push_back(fmt::format("peak_block_bytes={} peak_rss_bytes={} evicted={} room_waits={}",
                            peak_block_bytes,
                            static_cast<uint64_t>(usage.ru_maxrss) * 1024,
                            evicted.get(), room_waits.get()));
  out.push_back(fmt::format("read_time_us_p50<{} p90<{} p99<{} max<{}",
                            read_time.quantile_us(0.5), read_time.quantile_us(0.9),
                            read_time.quantile_us(0.99), read_time.quantile_us(1)));
  uint64_t most = 0;
  for (size_t k = 0; k < Histogram::kBuckets; ++k)
    most = std::max(most, read_time.in_bucket(k));
  for (size_t k = 0; k < Histogram::kBuckets; ++k)
    if (uint64_t n = read_time.in_bucket(k); n > 0)
      out.push_back(fmt::format("read_time {:>9} .. {:>9} us: {:>9} {}",
                                k == 0 ? 0 : uint64_t{1} << k, uint64_t{2} << k, n,
                                std::string(static_cast<size_t>(1 + n * 39 / most), '#')));
  return out;
}

} // namespace httpcache
