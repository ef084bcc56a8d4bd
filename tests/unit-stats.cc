// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "stats.h"

#include <string>
#include <thread>
#include <vector>

#include "catch.h"

using namespace httpcache;

TEST_CASE("a histogram counts by powers of two", "[stats]") {
  Histogram h;
  CHECK(h.quantile_us(0.5) == 0);
  h.add(from_us(0)); // counts as the shortest
  h.add(from_us(1));
  h.add(from_us(2));
  h.add(from_us(3));
  h.add(from_us(1024));
  h.add(std::chrono::hours(24)); // counts as the longest
  CHECK(h.count() == 6);
  CHECK(h.in_bucket(0) == 2);
  CHECK(h.in_bucket(1) == 2);
  CHECK(h.in_bucket(10) == 1);
  CHECK(h.in_bucket(Histogram::kBuckets - 1) == 1);
}

TEST_CASE("a quantile is an upper bound of so many", "[stats]") {
  Histogram h;
  for (int i = 0; i < 90; ++i)
    h.add(from_us(5));
  for (int i = 0; i < 10; ++i)
    h.add(from_us(5000));
  CHECK(h.quantile_us(0.5) == 8);
  CHECK(h.quantile_us(0.9) == 8);
  CHECK(h.quantile_us(0.91) == 8192);
  CHECK(h.quantile_us(1) == 8192);
}

TEST_CASE("counters add up over threads", "[stats]") {
  Counter sum, highest;
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 4; ++t)
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 10000; ++i) {
        sum.add(2);
        highest.raise_to(t * i);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(sum.get() == 80000);
  CHECK(highest.get() == 4 * 9999);
}

TEST_CASE("the lines hold every number once, and never a negative one", "[stats]") {
  Stats stats;
  stats.bytes_prefetched.add(10);
  stats.bytes_prefetched_used.add(11); // read between the two loads
  std::string all;
  for (const std::string &line : stats.lines(4096))
    all += line + "\n";
  for (const char *key :
       {"reads=0", "bytes_served=0", "blocks_hit=0", "blocks_joined=0", "blocks_missed=0",
        "requests=0", "bytes_fetched=0", "retries=0", "replaced=0", "bytes_prefetched=10",
        "bytes_prefetched_unused=0", "peak_block_bytes=4096", "peak_rss_bytes="}) {
    CAPTURE(key);
    CHECK(all.find(key) != std::string::npos);
  }
}
