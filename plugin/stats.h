// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// stats.h - what has happened, in numbers: -D httpcache.stats=1 shows them.
//
// Each counter is a relaxed atomic: exact in sum, but two of them read
// together may belong to slightly different moments.  Bytes unless the name
// says otherwise.  Threads: all may add at any time.  Errors: none.
#ifndef HTTPCACHE_STATS_H
#define HTTPCACHE_STATS_H

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "clock.h"

namespace httpcache {

class Counter {
public:
  void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  void raise_to(uint64_t n) {
    uint64_t seen = value_.load(std::memory_order_relaxed);
    while (seen < n && !value_.compare_exchange_weak(seen, n, std::memory_order_relaxed))
      ;
  }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<uint64_t> value_{0};
};

// How long reads took: bucket k counts those of [2^k, 2^(k+1)) microseconds,
// the first also those below, the last also those above.
class Histogram {
public:
  static constexpr size_t kBuckets = 26; // the last from 2^25 us, 34 s, up

  void add(Duration d);
  uint64_t count() const;
  uint64_t in_bucket(size_t k) const { return buckets_[k].get(); }
  // An upper bound of the time within which FRACTION (0..1) of all ended, in us.
  uint64_t quantile_us(double fraction) const;

private:
  std::array<Counter, kBuckets> buckets_;
};

struct Stats {
  // Reads, by the NBD clients.
  Counter reads;
  Counter read_errors;
  Counter bytes_served;
  Counter blocks_hit;    // claimed by a read and complete
  Counter blocks_joined; // claimed while another's fetch was under way
  Counter blocks_missed; // fetched for this read
  Counter cache_requests; // NBD_CMD_CACHE
  Histogram read_time;

  // The block cache.
  Counter evicted; // blocks
  Counter room_waits;
  Counter bytes_prefetched;      // asked for by prefetch
  Counter bytes_prefetched_used; // of those, in blocks that somebody then read

  // HTTP.
  Counter requests;
  Counter retries;
  Counter failures; // transfers given up
  Counter replaced; // slow connections
  Counter connections;
  Counter bytes_fetched;
  Counter peak_active; // most requests at once

  // Lines "KEY=VALUE ...", without prefix, and the histogram.
  std::vector<std::string> lines(uint64_t peak_block_bytes) const;
};

} // namespace httpcache

#endif
