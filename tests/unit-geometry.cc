// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "geometry.h"

#include <cstdint>
#include <vector>

#include "catch.h"

using namespace httpcache;

namespace {

constexpr uint32_t kBlock = 4096;

// Puts the parts of a read together again and sees that nothing is missing,
// double, or beyond the export.
void check_parts(const Geometry &g, uint64_t offset, uint64_t count) {
  BlockRun run = g.run_of(offset, count);
  uint64_t at = offset;
  for (uint64_t i = 0; i < run.count; ++i) {
    BlockPart part = g.part_of(run.first + i, offset, count);
    REQUIRE(g.start_of(part.block) + part.begin == at);
    REQUIRE(part.end <= g.length_of(part.block));
    at = g.start_of(part.block) + part.end;
  }
  REQUIRE(at == offset + count);
}

} // namespace

TEST_CASE("a read's parts are the read, at every edge", "[geometry]") {
  for (uint64_t size : {1u, 511u, 512u, 513u, 4095u, 4096u, 4097u, 8191u, 8192u, 20000u}) {
    Geometry g(size, 0, kBlock);
    std::vector<uint64_t> edges;
    for (uint64_t e = 0; e <= size; e += kBlock)
      for (uint64_t near : {e, e + 1, e + kBlock - 1})
        if (near <= size)
          edges.push_back(near);
    edges.push_back(size);
    for (uint64_t from : edges)
      for (uint64_t to : edges)
        if (from < to)
          check_parts(g, from, to - from);
  }
}

TEST_CASE("the last block is as long as what is left", "[geometry]") {
  CHECK(Geometry(1, 0, kBlock).length_of({0}) == 1);
  CHECK(Geometry(kBlock, 0, kBlock).length_of({0}) == kBlock);
  CHECK(Geometry(kBlock + 1, 0, kBlock).length_of({0}) == kBlock);
  CHECK(Geometry(kBlock + 1, 0, kBlock).length_of({1}) == 1);
  CHECK(Geometry(kBlock + 1, 0, kBlock).block_count() == 2);
  CHECK(Geometry(kBlock, 0, kBlock).block_count() == 1);
  CHECK(Geometry(0, 0, kBlock).block_count() == 0);
}

TEST_CASE("a read of nothing touches no block", "[geometry]") {
  CHECK(Geometry(10, 0, kBlock).run_of(10, 0).count == 0);
  CHECK(Geometry(0, 0, kBlock).run_of(0, 0).count == 0);
}

TEST_CASE("bytes of a run stop at the export's end", "[geometry]") {
  Geometry g(2 * kBlock + 5, 0, kBlock);
  CHECK(g.bytes_of({{0}, 1}) == kBlock);
  CHECK(g.bytes_of({{0}, 2}) == 2 * kBlock);
  CHECK(g.bytes_of({{0}, 3}) == 2 * kBlock + 5);
  CHECK(g.bytes_of({{2}, 1}) == 5);
}

TEST_CASE("only the object's offsets know of the offset", "[geometry]") {
  Geometry g(100, 1536, kBlock);
  CHECK(g.object_offset(0) == 1536);
  CHECK(g.object_offset(99) == 1635);
  CHECK(g.start_of({0}) == 0);
}

TEST_CASE("the largest export there can be does not overflow", "[geometry]") {
  const uint64_t most = INT64_MAX;
  for (uint32_t block : {4096u, 1u << 25}) {
    Geometry g(most, 0, block);
    BlockIndex last = g.block_of(most - 1);
    CHECK(last.value + 1 == g.block_count());
    CHECK(g.length_of(last) == block - 1);
    CHECK(g.bytes_of({last, 1}) == block - 1);
    check_parts(g, most - block - 7, block + 7);
  }
  Geometry shifted(1000, most - 1000, kBlock);
  CHECK(shifted.object_offset(999) == most - 1);
}
