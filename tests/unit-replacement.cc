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
    uint32_t slots, metadata, every;
  } sizes[] = {{2, 1, 1},    {3, 1, 2},    {3, 1, 4},     {10, 1, 4},   {10, 2, 8}, {10, 2, 13},
               {64, 4, 10},  {64, 4, 50},  {64, 8, 90},   {512, 1, 1},  {512, 4, 7},
               {512, 32, 8}, {512, 8, 60}, {512, 16, 200}, {512, 4, 700}};
  for (const auto &size : sizes)
    for (uint32_t readers : {1u, 8u})
      for (uint32_t ahead : {0u, std::max(1u, size.slots / 4)}) {
        Scan scan{.blocks = size.every * 150,
                  .readers = readers,
                  .ahead = ahead,
                  .metadata = size.metadata,
                  .every = size.every};
        Cache cache(size.slots);
        Lru lru(size.slots);
        Misses ours = play(cache, scan), theirs = play(lru, scan);
        INFO(size.slots << " slots, " << size.metadata << " metadata blocks every " << size.every
                        << " blocks, " << readers << " readers, " << ahead
                        << " ahead; LRU misses " << theirs.metadata);
        CHECK(ours.rounds > 100);
        CHECK(rate(ours, scan) < 0.1);
      }
}
