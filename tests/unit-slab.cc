// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "slab.h"

#include <cstring>
#include <set>
#include <utility>

#include "catch.h"

using namespace httpcache;

TEST_CASE("a slab hands out each slot once, and no more than it has", "[slab]") {
  Result<Slab> made = Slab::create(3, 4096);
  REQUIRE(made);
  Slab &slab = made.value();
  std::set<SlotId> slots;
  for (int i = 0; i < 3; ++i) {
    std::optional<SlotId> slot = slab.take();
    REQUIRE(slot);
    slots.insert(*slot);
    std::memset(slab.data(*slot), i + 1, 4096);
  }
  CHECK(slots.size() == 3);
  CHECK_FALSE(slab.take());
  CHECK(slab.in_use() == 3);
  for (SlotId slot : slots) // nobody wrote into another's
    CHECK(slab.data(slot)[0] == slab.data(slot)[4095]);
}

TEST_CASE("the slot that came back last is handed out first, untouched ones last", "[slab]") {
  Result<Slab> made = Slab::create(10, 4096);
  REQUIRE(made);
  Slab &slab = made.value();
  SlotId a = *slab.take(), b = *slab.take();
  slab.give_back(a);
  slab.give_back(b);
  CHECK(slab.take() == b);
  CHECK(slab.take() == a);
  CHECK(slab.peak() == 2);
  CHECK(slab.in_use() == 2);
}

TEST_CASE("a slab that is moved takes its memory along", "[slab]") {
  Result<Slab> made = Slab::create(2, 4096);
  REQUIRE(made);
  SlotId slot = *made.value().take();
  std::memset(made.value().data(slot), 7, 4096);
  Slab moved = std::move(made).value();
  CHECK(moved.data(slot)[100] == 7);
  CHECK(moved.in_use() == 1);
}

TEST_CASE("what cannot be mapped is an error that names the parameters", "[slab]") {
  Result<Slab> made = Slab::create(UINT32_MAX, UINT32_MAX);
  REQUIRE_FALSE(made);
  CHECK(made.error().err == ENOMEM);
  CHECK(made.error().what.find("cache-blocks=") != std::string::npos);
}
