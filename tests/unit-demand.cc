// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "demand.h"

#include <string>

#include "catch.h"
#include "geometry.h"
#include "helpers.h"
#include "slab.h"
#include "stats.h"

using namespace httpcache;

namespace {

constexpr uint32_t kBlock = 512, kBlocks = 64;
using Reader = Demand::Reader;

// Blocks to be wanted, and the queue of them.
struct Rig {
  Rig()
      : cache(Geometry(uint64_t{kBlocks} * kBlock, 0, kBlock),
              std::move(Slab::create(kBlocks, kBlock)).value(), stats) {}

  void add(Reader reader, uint64_t first, uint64_t count = 1) {
    std::vector<BlockCache::Claim> claims(count);
    tests::Patience patience;
    Result<size_t> n = cache.claim({BlockIndex{first}, count}, claims, false, patience);
    REQUIRE(n);
    REQUIRE(n.value() == count);
    std::vector<Block *> blocks;
    for (const BlockCache::Claim &claim : claims)
      blocks.push_back(claim.block);
    demand.add(blocks, reader);
    demand.take_inbox();
  }

  // Takes what is next, as "first+count".
  std::string take(bool streams_may_go_on = true, size_t most = 8) {
    std::optional<Reader> reader = demand.next(streams_may_go_on);
    if (!reader)
      return "";
    std::vector<Block *> run;
    demand.take(*reader, most, run, at);
    return std::to_string(run.front()->index().value) + "+" + std::to_string(run.size());
  }

  Stats stats;
  BlockCache cache;
  Demand demand{kBlocks};
  TimePoint at = TimePoint{} + std::chrono::hours(1);
};

} // namespace

TEST_CASE("nothing wanted", "[demand]") {
  Rig rig;
  CHECK(rig.demand.empty());
  CHECK(!rig.demand.next(true));
  CHECK(!rig.demand.jumping(rig.at));
}

TEST_CASE("neighbours are taken together, up to a limit, others in order", "[demand]") {
  Rig rig;
  rig.add(Reader::Streaming, 10, 3);
  rig.add(Reader::Streaming, 13, 2);
  rig.add(Reader::Streaming, 2, 2);
  CHECK(!rig.demand.empty());
  CHECK(rig.take(true, 4) == "10+4");
  CHECK(rig.take() == "14+1");
  CHECK(rig.take() == "2+2");
  CHECK(rig.demand.empty());
}

TEST_CASE("readers that jump and streams take turns", "[demand]") {
  Rig rig;
  for (uint64_t i = 0; i < 3; ++i) {
    rig.add(Reader::Streaming, 2 * i);
    rig.add(Reader::Jumping, 40 + 2 * i);
  }
  CHECK(rig.take() == "40+1");
  CHECK(rig.take() == "0+1");
  CHECK(rig.take() == "42+1");
  CHECK(rig.take() == "2+1");
  // While streams may not go on, jumps do, and nothing is lost.
  CHECK(rig.take(false) == "44+1");
  CHECK(rig.take(false).empty());
  CHECK(!rig.demand.empty());
  CHECK(rig.take() == "4+1");
}

TEST_CASE("a single jump is none, several within two seconds are", "[demand]") {
  Rig rig;
  for (uint64_t i = 0; i < 3; ++i) {
    rig.add(Reader::Jumping, 3 * i);
    rig.take();
  }
  CHECK(!rig.demand.jumping(rig.at));
  rig.at += std::chrono::milliseconds(1900);
  rig.add(Reader::Jumping, 30);
  rig.take();
  CHECK(rig.demand.jumping(rig.at));
  rig.at += std::chrono::milliseconds(200);
  CHECK(!rig.demand.jumping(rig.at));
}

TEST_CASE("all can be taken off at once", "[demand]") {
  Rig rig;
  rig.add(Reader::Streaming, 0, 2);
  rig.add(Reader::Jumping, 9);
  for (int i = 0; i < 3; i++)
    CHECK(rig.demand.take_any() != nullptr);
  CHECK(rig.demand.take_any() == nullptr);
  CHECK(rig.demand.empty());
}
