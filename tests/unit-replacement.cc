// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-replacement.cc - which blocks stay: traces as disk images make them,
// played on the policy and, for comparison, on plain LRU.
#include "replacement.h"

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include "catch.h"

using namespace httpcache;

namespace {

constexpr uint64_t kMeta = 1'000'000; // numbers of metadata blocks from here on

// The part of BlockCache that is about room: reads by demand and prefetch.
class Cache {
public:
  explicit Cache(uint32_t slots)
      : policy(slots), slots_(slots), block_in_(slots), busy_(slots) {}

  // True: a hit.
  bool read(uint64_t block) {
    auto at = slot_of_.find(block);
    if (at != slot_of_.end()) {
      policy.touch(at->second);
      return true;
    }
    std::optional<SlotId> slot = room(false);
    REQUIRE(slot);
    put(*slot, block, true);
    return false;
  }
  void prefetch(uint64_t block) {
    if (slot_of_.count(block) > 0)
      return;
    if (std::optional<SlotId> slot = room(policy.unread() >= std::max(1u, slots_ / 2)))
      put(*slot, block, false);
  }
  bool has(uint64_t block) const { return slot_of_.count(block) > 0; }
  // A thread copies from BLOCK.
  void hold(uint64_t block, bool busy) { busy_[slot_of_.at(block)] = busy; }
  std::optional<uint64_t> evict() {
    std::optional<SlotId> slot = victim();
    if (!slot)
      return std::nullopt;
    slot_of_.erase(block_in_[*slot]);
    free_.push_back(*slot);
    return block_in_[*slot];
  }

  // Makes BLOCK go, as if all others were in use.
  bool evict(uint64_t block) {
    std::optional<SlotId> slot =
        policy.victim([&](SlotId s) { return s == slot_of_.at(block); });
    if (slot) {
      slot_of_.erase(block);
      free_.push_back(*slot);
    }
    return slot.has_value();
  }

  Replacement policy;
  uint64_t steps = 0, most_steps = 0; // blocks looked at for one victim
  uint64_t victims = 0;

private:
  std::optional<SlotId> victim() {
    uint64_t before = steps;
    std::optional<SlotId> slot = policy.victim([&](SlotId s) {
      ++steps;
      return !busy_[s];
    });
    most_steps = std::max(most_steps, steps - before);
    ++victims;
    return slot;
  }
  std::optional<SlotId> room(bool only_unread) {
    std::optional<SlotId> slot;
    if (only_unread) {
      slot = policy.oldest_unread([&](SlotId s) { return !busy_[s]; });
    } else if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
      return slot;
    } else if (used_ < slots_) {
      return used_++;
    } else {
      slot = victim();
    }
    if (slot)
      slot_of_.erase(block_in_[*slot]);
    return slot;
  }
  void put(SlotId slot, uint64_t block, bool was_read) {
    block_in_[slot] = block;
    slot_of_[block] = slot;
    policy.insert(slot, {block}, was_read);
  }

  const uint32_t slots_;
  uint32_t used_ = 0;
  std::vector<uint64_t> block_in_;
  std::vector<bool> busy_;
  std::vector<SlotId> free_;
  std::unordered_map<uint64_t, SlotId> slot_of_;
};

// Least recently used; prefetched blocks count as used when they come.
class Lru {
public:
  explicit Lru(uint32_t slots) : slots_(slots) {}
  bool read(uint64_t block) { return use(block); }
  void prefetch(uint64_t block) {
    if (where_.count(block) == 0)
      use(block);
  }

private:
  bool use(uint64_t block) {
    auto at = where_.find(block);
    bool hit = at != where_.end();
    if (hit) {
      order_.erase(at->second);
    } else if (where_.size() == slots_) {
      where_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(block);
    where_[block] = order_.begin();
    return hit;
  }
  const uint32_t slots_;
  std::list<uint64_t> order_;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> where_;
};

// The scan of an image in four pieces a block. After every EVERY blocks all
// METADATA blocks are read, TIMES times each.
struct Scan {
  uint32_t blocks = 4000;
  uint32_t readers = 1;   // pieces that may overtake each other
  uint32_t ahead = 0;     // blocks prefetched before the reader
  uint32_t metadata = 1;
  uint32_t every = 8;
  uint32_t times = 1;
};

struct Misses {
  uint32_t metadata = 0; // of blocks that were read before
  uint32_t rounds = 0;   // in which metadata was read, but the first
  uint32_t data = 0;     // more than once for a block
};

template <typename C> Misses play(C &cache, const Scan &scan) {
  std::mt19937 random(scan.blocks + scan.readers);
  Misses misses;
  std::set<uint64_t> fetched;
  std::vector<uint32_t> pending; // pieces in flight
  uint32_t next = 0, done_blocks = 0, prefetched_to = 0;
  bool first_round = true;
  auto read = [&](uint64_t block) {
    if (!cache.read(block) && !fetched.insert(block).second)
      ++(block >= kMeta ? misses.metadata : misses.data);
    fetched.insert(block);
  };
  uint32_t pieces = scan.blocks * 4;
  for (uint32_t served = 0; served < pieces; ++served) {
    while (pending.size() < scan.readers && next < pieces)
      pending.push_back(next++);
    // None is overtaken by more than twice as many pieces as there are readers.
    size_t i = next - pending.front() >= 2 * scan.readers ? 0 : random() % pending.size();
    uint32_t block = pending[i] / 4;
    pending.erase(pending.begin() + static_cast<ptrdiff_t>(i));
    read(block);
    for (; prefetched_to <= block + scan.ahead && prefetched_to < scan.blocks; ++prefetched_to)
      if (scan.ahead > 0 && prefetched_to > block) {
        cache.prefetch(prefetched_to);
        fetched.insert(prefetched_to);
      }
    if (served / 4 / scan.every > done_blocks) {
      done_blocks = served / 4 / scan.every;
      for (uint32_t m = 0; m < scan.metadata; ++m)
        for (uint32_t t = 0; t < scan.times; ++t)
          read(kMeta + m);
      misses.rounds += !first_round;
      first_round = false;
    }
  }
  return misses;
}

// Misses of metadata a round, of all its blocks.
double rate(const Misses &misses, const Scan &scan) {
  return misses.metadata / (static_cast<double>(misses.rounds) * scan.metadata);
}

} // namespace

TEST_CASE("metadata that is read again and again survives a scan", "[replacement]") {
  const struct {
    uint32_t slots, metadata, every; // blocks
    bool lru_keeps_it;
  } sizes[] = {
      {2, 1, 1, false},    {3, 1, 2, false},    {3, 1, 4, false},   {10, 1, 4, true},
      {10, 2, 8, false},   {10, 2, 13, false},  {64, 4, 10, true},  {64, 4, 70, false},
      {64, 8, 90, false},  {512, 1, 1, true},   {512, 4, 7, true},  {512, 32, 8, true},
      {512, 16, 200, true}, {512, 4, 700, false},
  };
  for (const auto &size : sizes)
    for (uint32_t readers : {1u, 8u})
      for (uint32_t ahead : {0u, size.slots / 5}) {
        if (size.slots < 10 && readers + ahead > 1)
          continue; // what is being read fills the cache
        Scan scan{.blocks = size.every * 150,
                  .readers = readers,
                  .ahead = ahead,
                  .metadata = size.metadata,
                  .every = size.every};
        Cache cache(size.slots);
        Lru lru(size.slots);
        Misses ours = play(cache, scan), theirs = play(lru, scan);
        INFO(size.slots << " slots, " << size.metadata << " metadata blocks every " << size.every
                        << " blocks, " << readers << " readers, " << ahead << " ahead");
        CHECK(ours.rounds > 100);
        // A few, until it has come back once.
        CHECK(rate(ours, scan) < 0.03);
        if (!size.lru_keeps_it)
          CHECK(rate(theirs, scan) > 0.95);
        // The scan itself is not fetched twice for it.
        CHECK(ours.data * 100 <= scan.blocks);
      }
}

TEST_CASE("prefetched blocks do not push metadata out", "[replacement]") {
  // LRU takes each of them for used when it comes, which halves the cache.
  Scan scan{.blocks = 20'000, .ahead = 200, .metadata = 20, .every = 400};
  Cache cache(512);
  Lru lru(512);
  CHECK(rate(play(cache, scan), scan) < 0.05);
  CHECK(rate(play(lru, scan), scan) > 0.95);
}

TEST_CASE("a scan that is read in pieces leaves no block behind as hot",
          "[replacement]") {
  for (uint32_t slots : {10u, 64u, 512u})
    for (uint32_t readers : {1u, 8u, 16u}) {
      if (slots == 10 && readers == 16)
        continue; // what they are at fills the cache
      INFO(slots << " slots, " << readers << " readers");
      Cache cache(slots);
      Misses misses = play(cache, {.blocks = 3000, .readers = readers, .metadata = 0});
      CHECK(misses.data == 0);
      CHECK(cache.policy.main_size() == 0);
    }
}

TEST_CASE("streams that take turns in small pieces leave no block as hot",
          "[replacement]") {
  constexpr uint64_t kStreams = 32, kPieces = 64;
  Cache cache(512);
  for (uint64_t piece = 0; piece < 40 * kPieces; ++piece)
    for (uint64_t stream = 0; stream < kStreams; ++stream)
      cache.read(stream * 1000 + piece / kPieces);
  CHECK(cache.policy.main_size() == 0);
}

TEST_CASE("what is used all the time is kept, however often", "[replacement]") {
  // A loop over more blocks than fit: each comes back from the ghosts, so all
  // go to main, and main is as full as it gets.
  for (uint32_t uses : {1u, 5u}) {
    Cache cache(100);
    uint32_t misses = 0;
    for (uint64_t i = 0; i < 6000; ++i) {
      cache.read(i % 130);
      for (uint32_t u = 0; u < uses; ++u)
        misses += !cache.read(kMeta);
    }
    CHECK(cache.policy.main_size() > 50);
    CHECK(misses <= 3);
  }
}

TEST_CASE("a burst is one use, two bursts are two", "[replacement]") {
  for (bool again : {false, true}) {
    Cache cache(100);
    const uint32_t distance = cache.policy.burst_distance();
    CHECK(distance == 50);
    cache.read(kMeta);
    for (uint64_t i = 0; i < distance; ++i) {
      cache.read(i);
      cache.read(kMeta);
    }
    cache.read(distance);
    if (again)
      cache.read(kMeta);
    // Of those that were read once the first goes; kMeta was the first of all.
    if (again)
      CHECK(cache.evict() == 0u);
    else
      CHECK(cache.evict() == kMeta);
    CHECK(cache.policy.main_size() == (again ? 1 : 0));
  }
}

TEST_CASE("a block that comes back soon goes to main", "[replacement]") {
  Cache cache(10);
  cache.read(1);
  CHECK(cache.evict(1));
  CHECK(cache.policy.main_size() == 0);
  cache.read(1);
  CHECK(cache.policy.main_size() == 1);
  // By way of prefetch too, but only when it is read.
  cache.read(2);
  CHECK(cache.evict(2));
  cache.prefetch(2);
  CHECK(cache.policy.main_size() == 1);
  cache.read(2);
  CHECK(cache.policy.main_size() == 2);
  // After as many others as there are slots it is forgotten.
  cache.read(3);
  CHECK(cache.evict(3));
  for (uint64_t i = 10; i < 20; ++i) {
    cache.read(i);
    CHECK(cache.evict(i));
  }
  cache.read(3);
  CHECK(cache.policy.main_size() == 2);
  // What was never read leaves no ghost.
  cache.prefetch(4);
  CHECK(cache.evict(4));
  cache.read(4);
  CHECK(cache.policy.main_size() == 2);
}

TEST_CASE("unread prefetched blocks outlive read ones", "[replacement]") {
  Cache cache(20);
  for (uint64_t i = 0; i < 8; ++i)
    cache.prefetch(100 + i);
  for (uint64_t i = 0; i < 500; ++i)
    cache.read(i % 30);
  for (uint64_t i = 0; i < 8; ++i)
    CHECK(cache.has(100 + i));
  CHECK(cache.policy.unread() == 8);
  // Only when nothing else is left they go, the first one first.
  for (uint64_t i = 0; i < 12; ++i)
    CHECK(cache.evict().value_or(0) < 30);
  for (uint64_t i = 0; i < 8; ++i)
    CHECK(cache.evict() == 100 + i);
  CHECK(cache.evict() == std::nullopt);
}

TEST_CASE("prefetch over its share replaces its oldest", "[replacement]") {
  Cache cache(10);
  for (uint64_t i = 0; i < 5; ++i)
    cache.read(i);
  for (uint64_t i = 100; i < 108; ++i)
    cache.prefetch(i);
  for (uint64_t i = 0; i < 5; ++i)
    CHECK(cache.has(i));
  for (uint64_t i = 100; i < 108; ++i)
    CHECK(cache.has(i) == (i >= 103));
  cache.hold(103, true);
  cache.prefetch(200); // the oldest is in use, so nothing goes
  CHECK_FALSE(cache.has(200));
  cache.hold(103, false);
  cache.read(103); // first read: not prefetch's any more
  CHECK(cache.policy.unread() == 4);
}

TEST_CASE("blocks in use are passed over", "[replacement]") {
  Cache cache(6);
  for (uint64_t i = 0; i < 6; ++i)
    cache.read(i);
  for (uint64_t i : {0, 1, 3})
    cache.hold(i, true);
  CHECK(cache.evict() == 2u);
  CHECK(cache.evict() == 4u);
  CHECK(cache.evict() == 5u);
  CHECK(cache.evict() == std::nullopt);
  CHECK(cache.policy.size() == 3);
  cache.hold(3, false);
  CHECK(cache.evict() == 3u);
  CHECK(cache.evict() == std::nullopt);
}

TEST_CASE("an empty policy has no victim", "[replacement]") {
  Replacement policy(4);
  auto any = [](SlotId) { return true; };
  CHECK_FALSE(policy.victim(any));
  CHECK_FALSE(policy.oldest_unread(any));
  policy.insert(2, {7}, false);
  CHECK(policy.is_unread(2));
  CHECK(policy.oldest_unread(any) == SlotId{2});
  CHECK_FALSE(policy.victim(any));
}

TEST_CASE("one slot works", "[replacement]") {
  Cache cache(1);
  for (uint64_t i = 0; i < 20; ++i) {
    CHECK_FALSE(cache.read(i));
    CHECK(cache.read(i));
  }
  cache.prefetch(50);
  CHECK(cache.has(50));
  CHECK(cache.read(50));
}

TEST_CASE("finding a victim takes few steps", "[replacement]") {
  constexpr uint32_t kSlots = 512;
  // The worst that reads can do: all of main was used often.
  Cache cache(kSlots);
  std::mt19937 random(1);
  for (int i = 0; i < 200'000; ++i) {
    uint64_t near = random() % 400, far = random() % 100'000;
    cache.read(random() % 4 == 0 ? far : near);
    if (i % 10 == 0)
      cache.prefetch(far + 1);
  }
  CHECK(cache.victims > 10'000);
  CHECK(cache.steps < 4 * cache.victims);   // on average
  CHECK(cache.most_steps <= 5 * kSlots);
}

TEST_CASE("no random trace brings it out of order", "[replacement]") {
  std::mt19937 random(7);
  for (uint32_t slots : {1u, 2u, 3u, 7u, 40u}) {
    Cache cache(slots);
    std::set<uint64_t> held;
    for (int i = 0; i < 20'000; ++i) {
      uint64_t block = random() % (3 * slots);
      if (held.size() < slots) // or there is no room
        cache.read(block);
      if (random() % 4 == 0)
        cache.prefetch(random() % (3 * slots));
      if (cache.has(block) && random() % 3 == 0) {
        bool hold = held.count(block) == 0 && held.size() + 1 < slots;
        cache.hold(block, hold);
        if (hold)
          held.insert(block);
        else
          held.erase(block);
      }
      for (uint64_t h : held)
        if (!cache.has(h))
          FAIL("evicted in use");
      if (cache.policy.size() > slots)
        FAIL("more blocks than slots");
    }
  }
}
