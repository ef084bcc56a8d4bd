// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "locality.h"

#include <random>

#include "catch.h"

using namespace httpcache;

namespace {

BlockRun run(uint64_t first, uint64_t count) { return {BlockIndex{first}, count}; }

// A reader that misses at PLACE and reads on behind it or not.
bool miss(Locality &locality, uint64_t place, bool reads_on) {
  locality.read(run(place, 1));
  bool extend = locality.worthwhile();
  if (extend)
    locality.extended(run(place + 1, 3));
  if (reads_on)
    locality.read(run(place + 1, 1));
  return extend;
}

} // namespace

TEST_CASE("at first an extension is worthwhile", "[locality]") {
  Locality locality;
  CHECK(locality.worthwhile());
}

TEST_CASE("a random reader gets no extensions, but one now and then", "[locality]") {
  Locality locality;
  std::minstd_rand random(1);
  unsigned extended = 0;
  for (int i = 0; i < 1000; ++i)
    extended += miss(locality, random() % 1'000'000 * 100, false);
  CHECK(extended >= 1000 / 16);
  CHECK(extended <= 1000 / 16 + 8);
}

TEST_CASE("a reader that goes on at one place in four has them all", "[locality]") {
  Locality locality;
  unsigned extended = 0;
  for (uint64_t i = 0; i < 1000; ++i)
    extended += miss(locality, i * 100, i % 4 == 0);
  CHECK(extended == 1000);
}

TEST_CASE("a reader that changes is noticed, both ways", "[locality]") {
  Locality locality;
  for (uint64_t i = 0; i < 500; ++i)
    miss(locality, i * 100, false);
  unsigned extended = 0;
  for (uint64_t i = 500; i < 1000; ++i)
    extended += miss(locality, i * 100, true);
  CHECK(extended > 300);
  extended = 0;
  for (uint64_t i = 1000; i < 1500; ++i)
    extended += miss(locality, i * 100, false);
  CHECK(extended < 100);
}

TEST_CASE("the first read of an extension tells where it ends, others do not", "[locality]") {
  Locality locality;
  locality.extended(run(11, 3));
  CHECK(!locality.read(run(10, 1)));
  CHECK(!locality.read(run(14, 1)));
  std::optional<BlockIndex> end = locality.read(run(13, 5));
  REQUIRE(end);
  CHECK(end->value == 14);
  CHECK(!locality.read(run(13, 1)));
}

TEST_CASE("extensions are forgotten after so many others", "[locality]") {
  Locality locality;
  locality.extended(run(1, 1));
  for (uint64_t i = 1; i <= 32; ++i)
    locality.extended(run(i * 10, 1));
  CHECK(!locality.read(run(1, 1)));
  CHECK(locality.read(run(320, 1)));
}
