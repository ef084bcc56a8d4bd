// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-block_cache.cc - the one table of blocks: who finds what, who waits for
// what, and that nobody waits for ever.
//
// No test sleeps. That another thread waits is known from its CancelCheck,
// which is asked only by a thread that has waited for kCancelPoll in vain.
#include "block_cache.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "helpers.h"

using namespace httpcache;
using namespace tests;

namespace {

using Found = BlockCache::Found;
using Claim = BlockCache::Claim;

constexpr uint32_t kBlock = 4096;

class Random {
public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t below(uint64_t n) { return static_cast<uint32_t>(engine_() % n); }

private:
  std::minstd_rand engine_;
};

// Tells when its thread has waited for a while, and gives up when told.
class Watched final : public CancelCheck {
public:
  bool cancelled() override {
    if (!was_seen_.exchange(true))
      seen_.release();
    return give_up || ++polls_ > 150;
  }
  // Returns once the thread waits.
  void until_waiting() { seen_.acquire(); }
  std::atomic<bool> give_up{false};

private:
  std::binary_semaphore seen_{0};
  std::atomic<bool> was_seen_{false};
  std::atomic<int> polls_{0};
};

Slab slab_of(uint32_t slots, uint32_t slot_size) {
  return std::move(Slab::create(slots, slot_size)).value();
}

// A cache of SLOTS blocks, before an export of BLOCKS, and the engine's hands.
struct Rig {
  explicit Rig(uint32_t slots, uint64_t blocks = 64, uint64_t cut = 0)
      : geometry(blocks * kBlock - cut, 0, kBlock),
        cache(geometry, slab_of(slots, kBlock), stats) {}

  // What can be claimed of COUNT blocks from FIRST on without waiting.
  std::vector<Claim> claim(uint64_t first, uint64_t count = 1) {
    std::vector<Claim> out(static_cast<size_t>(count));
    Result<size_t> n = cache.claim({{first}, count}, out, false, patience);
    REQUIRE(n.ok());
    out.resize(n.value());
    return out;
  }
  std::vector<Block *> ahead(uint64_t first, uint64_t count, bool replace_unread = true) {
    std::vector<Block *> out(static_cast<size_t>(count));
    out.resize(cache.claim_ahead({{first}, count}, out, replace_unread));
    return out;
  }
  // Brings bytes [at, at + count) of BLOCK, which are the right ones.
  bool deliver(Block &block, uint32_t at, uint32_t count) {
    std::string bytes(count, '\0');
    for (uint32_t i = 0; i < count; i++)
      bytes[i] = truth(geometry.start_of(block.index()) + at + i);
    return cache.deliver(block, at, bytes);
  }
  void complete(Block &block) {
    CHECK(deliver(block, block.arrived(), block.length() - block.arrived()));
  }
  void fail(Block &block, const char *what = "broken") {
    cache.fail(block, std::make_shared<const Error>(
                          Error{ErrorKind::Permanent, EIO, 404, what, {}}));
  }
  // Reads one block by demand, whole, and lets go.
  void read(uint64_t index) {
    std::vector<Claim> mine = claim(index);
    REQUIRE(mine.size() == 1);
    if (mine[0].found == Found::New)
      complete(*mine[0].block);
    cache.unpin(*mine[0].block);
  }
  void bring_ahead(uint64_t first, uint64_t count) {
    std::vector<Block *> blocks = ahead(first, count);
    REQUIRE(blocks.size() == count);
    for (Block *block : blocks)
      complete(*block);
  }
  bool present(uint64_t index) {
    return cache.count_leading({{index}, 1}, true) == 1;
  }
  // With nothing pinned all slots can be claimed at once, or one has leaked.
  void check_all_returned(uint64_t absent_from) {
    std::vector<Claim> all = claim(absent_from, cache.capacity());
    CHECK(all.size() == cache.capacity());
    for (const Claim &c : all) {
      CHECK(c.found == Found::New);
      fail(*c.block);
      cache.unpin(*c.block);
    }
  }

  const Geometry geometry;
  Stats stats;
  BlockCache cache;
  Patience patience;
};

// A reader, in a thread of its own, who waits for room for the first of COUNT blocks
// from FIRST on.
class InLine {
public:
  InLine(Rig &rig, uint64_t first, uint64_t count = 1)
      : thread_([this, &rig, first, count] {
          Result<size_t> n = rig.cache.claim({{first}, count}, std::span(&got, 1), true, watched);
          cancelled = !n.ok() && n.error().kind == ErrorKind::Cancelled;
          served = n.ok() && n.value() == 1;
        }) {}
  void until_waiting() { watched.until_waiting(); }
  void join() { thread_.join(); }

  Watched watched;
  Claim got{};
  bool cancelled = false; // once it has ended
  std::atomic<bool> served{false};

private:
  std::thread thread_; // uses all of them
};

std::string bytes_of(const Block &block) { return {block.data(), block.length()}; }

std::string truth_of(const Block &block) {
  std::string bytes(block.length(), '\0');
  for (uint32_t i = 0; i < block.length(); i++)
    bytes[i] = truth(block.index().value * kBlock + i);
  return bytes;
}

} // namespace

TEST_CASE("a block is new once, then joined, then complete", "[block_cache]") {
  Rig rig(4);
  Claim first = rig.claim(7).at(0);
  CHECK(first.found == Found::New);
  CHECK(first.block->index() == BlockIndex{7});
  CHECK(first.block->length() == kBlock);
  CHECK(first.block->arrived() == 0);

  Claim second = rig.claim(7).at(0);
  CHECK(second.found == Found::Arriving);
  CHECK(second.block == first.block);

  rig.complete(*first.block);
  Claim third = rig.claim(7).at(0);
  CHECK(third.found == Found::Complete);
  CHECK(bytes_of(*third.block) == truth_of(*third.block));
  for (const Claim &c : {first, second, third})
    rig.cache.unpin(*c.block);
  CHECK(rig.claim(7).at(0).found == Found::Complete);
  rig.cache.unpin(*third.block);
  rig.check_all_returned(40);
}

TEST_CASE("a run is claimed as far as there is room, in order", "[block_cache]") {
  Rig rig(3);
  rig.read(11);
  std::vector<Claim> mine = rig.claim(10, 6);
  REQUIRE(mine.size() == 3);
  for (size_t i = 0; i < mine.size(); i++)
    CHECK(mine[i].block->index() == BlockIndex{10 + i});
  CHECK(mine[0].found == Found::New);
  CHECK(mine[1].found == Found::Complete);
  CHECK(mine[2].found == Found::New);
  // All of it is pinned now.
  CHECK(rig.claim(13).empty());
  CHECK(rig.claim(11).size() == 1);
  rig.cache.unpin(*mine[1].block);
  for (const Claim &c : {mine[0], mine[2]})
    rig.complete(*c.block);
  for (const Claim &c : mine)
    rig.cache.unpin(*c.block);
  rig.check_all_returned(40);
}

TEST_CASE("bytes may come in pieces that overlap, and the block is whole",
          "[block_cache]") {
  Rig rig(2);
  Claim c = rig.claim(3).at(0);
  CHECK_FALSE(rig.deliver(*c.block, 0, 100));
  CHECK(c.block->arrived() == 100);
  CHECK_FALSE(rig.deliver(*c.block, 0, 60)); // nothing new
  CHECK(c.block->arrived() == 100);
  CHECK_FALSE(rig.deliver(*c.block, 50, 1000));
  CHECK(c.block->arrived() == 1050);
  CHECK_FALSE(rig.deliver(*c.block, 1050, 0));
  CHECK_FALSE(rig.deliver(*c.block, 1050, kBlock - 1051));
  CHECK(rig.deliver(*c.block, 1000, kBlock - 1000));
  CHECK(bytes_of(*c.block) == truth_of(*c.block));
  rig.cache.unpin(*c.block);
}

TEST_CASE("the export's last block is complete when its last byte is there",
          "[block_cache]") {
  Rig rig(2, 5, kBlock - 1);
  Claim c = rig.claim(4).at(0);
  CHECK(c.block->length() == 1);
  CHECK(rig.deliver(*c.block, 0, 1));
  CHECK(rig.claim(4).at(0).found == Found::Complete);
  rig.cache.unpin(*c.block);
  rig.cache.unpin(*c.block);
}

TEST_CASE("a reader whose bytes are there does not wait for the others",
          "[block_cache]") {
  Rig rig(2);
  Claim c = rig.claim(0).at(0);
  rig.deliver(*c.block, 0, 100);
  CHECK(rig.cache.wait(*c.block, 0, rig.patience).ok());
  CHECK(rig.cache.wait(*c.block, 1, rig.patience).ok());
  CHECK(rig.cache.wait(*c.block, 100, rig.patience).ok());
  CHECK(c.block->arrived() == 100);
  rig.complete(*c.block);
  CHECK(rig.cache.wait(*c.block, kBlock, rig.patience).ok());
  rig.cache.unpin(*c.block);
}

TEST_CASE("waiters of different needs are woken when their bytes have come",
          "[block_cache]") {
  Rig rig(2);
  Claim c = rig.claim(0).at(0);
  struct Reader {
    uint32_t need;
    Watched watched;
    std::atomic<bool> done{false};
    std::thread thread;
  };
  std::array<Reader, 3> readers;
  const uint32_t needs[] = {2000, 10, kBlock};
  for (size_t i = 0; i < readers.size(); i++) {
    Reader &r = readers[i];
    r.need = needs[i];
    r.thread = std::thread([&rig, &r, block = c.block] {
      bool ok = rig.cache.wait(*block, r.need, r.watched).ok();
      r.done = ok && block->arrived() >= r.need;
    });
  }
  for (Reader &r : readers)
    r.watched.until_waiting();
  rig.deliver(*c.block, 0, 9);
  for (Reader &r : readers)
    CHECK_FALSE(r.done);
  rig.deliver(*c.block, 9, 1);
  readers[1].thread.join();
  CHECK(readers[1].done);
  rig.deliver(*c.block, 10, 1989);
  CHECK_FALSE(readers[0].done);
  rig.deliver(*c.block, 1999, 1);
  readers[0].thread.join();
  CHECK(readers[0].done);
  CHECK_FALSE(readers[2].done);
  rig.complete(*c.block);
  readers[2].thread.join();
  CHECK(readers[2].done);
  rig.cache.unpin(*c.block);
}

TEST_CASE("a failure wakes all who wait, and the next read tries afresh",
          "[block_cache]") {
  Rig rig(2);
  Claim c = rig.claim(5).at(0);
  rig.deliver(*c.block, 0, 100);
  std::array<Watched, 2> watched;
  std::array<std::string, 2> errors;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 2; i++)
    threads.emplace_back([&, i] {
      Result<void> waited = rig.cache.wait(*c.block, kBlock, watched[i]);
      errors[i] = waited ? "none" : waited.error().what;
    });
  for (Watched &w : watched)
    w.until_waiting();
  rig.fail(*c.block, "server answered 404");
  for (std::thread &t : threads)
    t.join();
  for (const std::string &error : errors)
    CHECK(error == "server answered 404");

  CHECK_FALSE(rig.present(5));
  // What came before the failure may be read still, what did not may not.
  CHECK(rig.cache.wait(*c.block, 100, rig.patience).ok());
  CHECK_FALSE(rig.cache.wait(*c.block, 101, rig.patience).ok());
  Claim again = rig.claim(5).at(0);
  CHECK(again.found == Found::New);
  CHECK(again.block != c.block);
  rig.complete(*again.block);
  CHECK(rig.cache.wait(*again.block, kBlock, rig.patience).ok());
  CHECK(bytes_of(*again.block) == truth_of(*again.block));
  rig.cache.unpin(*again.block);
  rig.cache.unpin(*c.block);
  rig.check_all_returned(40);
}

TEST_CASE("a failed block's memory comes back with the last reader",
          "[block_cache]") {
  Rig rig(1);
  Claim one = rig.claim(0).at(0);
  rig.claim(0);
  rig.fail(*one.block);
  CHECK(rig.claim(1).empty());
  rig.cache.unpin(*one.block);
  CHECK(rig.claim(1).empty());
  rig.cache.unpin(*one.block);
  Claim next = rig.claim(1).at(0);
  CHECK(next.found == Found::New);
  rig.complete(*next.block);
  rig.cache.unpin(*next.block);
  // Nobody held this one: back at once.
  Block *unread = rig.ahead(2, 1).at(0);
  rig.fail(*unread);
  rig.check_all_returned(40);
}

TEST_CASE("a pinned block is never evicted, an unpinned one makes room",
          "[block_cache]") {
  Rig rig(2);
  Claim kept = rig.claim(0).at(0);
  rig.complete(*kept.block);
  for (uint64_t i = 1; i < 20; i++) {
    rig.read(i);
    CHECK(rig.present(0));
    CHECK(rig.present(i));
  }
  CHECK(rig.stats.evicted.get() == 18);
  CHECK(bytes_of(*kept.block) == truth_of(*kept.block));
  rig.cache.unpin(*kept.block);
  CHECK(rig.cache.peak_bytes() == 2 * kBlock);
}

TEST_CASE("those who wait for room are served first come, first served",
          "[block_cache]") {
  Rig rig(1);
  Claim held = rig.claim(0).at(0);
  rig.complete(*held.block);
  std::deque<InLine> line;
  for (uint64_t i = 0; i < 3; i++)
    line.emplace_back(rig, 10 + i, 2).until_waiting();
  auto served = [&] {
    return std::count_if(line.begin(), line.end(), [](const InLine &r) { return r.served.load(); });
  };
  CHECK(rig.stats.room_waits.get() == 3);
  CHECK(served() == 0);
  CHECK(rig.claim(30).empty());
  rig.cache.unpin(*held.block);
  for (size_t i = 0; i < 3; i++) {
    CHECK(rig.claim(30).empty()); // a newcomer never overtakes
    line[i].join();
    CHECK(served() == static_cast<int>(i) + 1);
    const Claim &got = line[i].got;
    REQUIRE(got.block != nullptr);
    CHECK(got.found == Found::New);
    CHECK(got.block->index() == BlockIndex{10 + i});
    rig.complete(*got.block);
    CHECK(served() == static_cast<int>(i) + 1);
    rig.cache.unpin(*got.block);
  }
  CHECK(rig.claim(30).size() == 1);
}

TEST_CASE("readers of one block that wait for room share it", "[block_cache]") {
  Rig rig(1);
  Claim held = rig.claim(0).at(0);
  rig.complete(*held.block);
  std::deque<InLine> line;
  for (int i = 0; i < 3; i++)
    line.emplace_back(rig, 10);
  for (InLine &reader : line)
    reader.until_waiting();
  rig.cache.unpin(*held.block);
  for (InLine &reader : line)
    reader.join();
  size_t made = 0;
  for (const InLine &reader : line) {
    REQUIRE(reader.served);
    CHECK(reader.got.block == line[0].got.block);
    made += reader.got.found == Found::New;
  }
  CHECK(made == 1);
  rig.complete(*line[0].got.block);
  for (const InLine &reader : line)
    rig.cache.unpin(*reader.got.block);
  rig.check_all_returned(40);
}

TEST_CASE("room that a failed fetch leaves serves the next in line",
          "[block_cache]") {
  Rig rig(1);
  Claim held = rig.claim(0).at(0);
  InLine waiter(rig, 1);
  waiter.until_waiting();
  rig.fail(*held.block);
  rig.cache.unpin(*held.block);
  waiter.join();
  REQUIRE(waiter.served);
  rig.complete(*waiter.got.block);
  rig.cache.unpin(*waiter.got.block);
}

TEST_CASE("one in line who gives up lets the others through", "[block_cache]") {
  Rig rig(1);
  Claim held = rig.claim(0).at(0);
  rig.complete(*held.block);
  std::deque<InLine> line;
  for (uint64_t i = 0; i < 3; i++)
    line.emplace_back(rig, 10 + i).until_waiting();
  line[1].watched.give_up = true; // from the middle, then the first
  line[1].join();
  line[0].watched.give_up = true;
  line[0].join();
  CHECK(line[0].cancelled);
  CHECK(line[1].cancelled);
  rig.cache.unpin(*held.block);
  line[2].join();
  REQUIRE(line[2].served);
  rig.fail(*line[2].got.block);
  rig.cache.unpin(*line[2].got.block);
  rig.check_all_returned(40);
}

TEST_CASE("one who gives up waiting for bytes disturbs nobody", "[block_cache]") {
  Rig rig(2);
  Claim c = rig.claim(0).at(0);
  rig.claim(0);
  Watched leaver, stayer;
  bool cancelled = false, served = false;
  std::thread leaves([&] {
    Result<void> waited = rig.cache.wait(*c.block, 100, leaver);
    cancelled = !waited.ok() && waited.error().kind == ErrorKind::Cancelled;
    rig.cache.unpin(*c.block);
  });
  std::thread stays([&] { served = rig.cache.wait(*c.block, 200, stayer).ok(); });
  leaver.until_waiting();
  stayer.until_waiting();
  leaver.give_up = true;
  leaves.join();
  CHECK(cancelled);
  rig.deliver(*c.block, 0, 150);
  rig.deliver(*c.block, 150, 50);
  stays.join();
  CHECK(served);
  rig.complete(*c.block);
  rig.cache.unpin(*c.block);
}

TEST_CASE("prefetch takes absent blocks, up to half of the cache", "[block_cache]") {
  Rig rig(8);
  CHECK(rig.cache.ahead_limit() == 4);
  rig.read(2);
  CHECK(rig.ahead(2, 3).empty()); // present
  std::vector<Block *> two = rig.ahead(0, 8);
  CHECK(two.size() == 2); // up to block 2
  CHECK(rig.ahead(0, 8).empty());
  std::vector<Block *> more = rig.ahead(3, 8);
  CHECK(more.size() == 2); // up to the limit
  CHECK(rig.ahead(20, 1).empty()); // arriving ones are nobody's to take
  CHECK(rig.cache.unread() == 0);
  for (Block *block : two)
    rig.complete(*block);
  CHECK(rig.cache.unread() == 2);
  // At the limit it replaces what has lain unread longest, and nothing else,
  // if it may.
  std::vector<Block *> other = rig.ahead(30, 8);
  CHECK(other.size() == 2);
  // A hint replaces nothing unread, but takes what was never used.
  std::vector<Block *> hinted = rig.ahead(40, 8, false);
  CHECK(hinted.size() == 3);
  CHECK(rig.ahead(50, 8, false).empty());
  for (Block *block : hinted)
    rig.fail(*block);
  CHECK_FALSE(rig.present(0));
  CHECK_FALSE(rig.present(1));
  CHECK(rig.present(2));
  for (Block *block : more)
    rig.complete(*block);
  for (Block *block : other)
    rig.fail(*block);
  CHECK(rig.ahead(50, 8).size() == 4);
}

TEST_CASE("a failed prefetch is dropped unless a reader has joined it",
          "[block_cache]") {
  Rig rig(8);
  std::vector<Block *> blocks = rig.ahead(10, 3);
  REQUIRE(blocks.size() == 3);
  rig.deliver(*blocks[0], 0, 100);
  Claim joined = rig.claim(11).at(0);
  auto error = std::make_shared<const Error>(Error{ErrorKind::Transient, EIO, 0, "cut", {}});
  CHECK(rig.cache.fail_unless_wanted(*blocks[2], error));
  CHECK_FALSE(rig.cache.fail_unless_wanted(*blocks[1], error));
  CHECK(rig.cache.fail_unless_wanted(*blocks[0], error));
  CHECK_FALSE(rig.present(10));
  CHECK(rig.present(11));
  CHECK_FALSE(rig.present(12));
  Claim afresh = rig.claim(12).at(0);
  CHECK(afresh.found == Found::New);
  rig.complete(*afresh.block);
  rig.cache.unpin(*afresh.block);
  rig.complete(*joined.block);
  CHECK(rig.cache.wait(*joined.block, kBlock, rig.patience).ok());
  CHECK(bytes_of(*joined.block) == truth_of(*joined.block));
  rig.cache.unpin(*joined.block);
  CHECK(rig.ahead(20, 4).size() == 4); // none of its share was lost
}

TEST_CASE("prefetch stands back while a reader waits for room", "[block_cache]") {
  Rig rig(2);
  Claim one = rig.claim(0).at(0), two = rig.claim(1).at(0);
  rig.complete(*one.block);
  rig.complete(*two.block);
  InLine waiter(rig, 2);
  waiter.until_waiting();
  CHECK(rig.ahead(10, 1).empty());
  rig.cache.unpin(*one.block);
  CHECK(rig.ahead(10, 1).empty()); // the reader's, before or after it came
  waiter.join();
  REQUIRE(waiter.served);
  rig.cache.unpin(*two.block);
  CHECK(rig.ahead(10, 1).size() == 1);
  rig.complete(*waiter.got.block);
  rig.cache.unpin(*waiter.got.block);
}

TEST_CASE("prefetched bytes are counted, and which of them were read",
          "[block_cache]") {
  Rig rig(8, 64, 96); // the last block is short
  std::vector<Block *> blocks = rig.ahead(60, 4);
  REQUIRE(blocks.size() == 4);
  CHECK(rig.stats.bytes_prefetched.get() == 4 * kBlock - 96);
  CHECK(rig.stats.bytes_prefetched_used.get() == 0);
  Claim joined = rig.claim(63).at(0); // while it arrives
  CHECK(joined.found == Found::Arriving);
  CHECK(rig.stats.bytes_prefetched_used.get() == kBlock - 96);
  for (Block *block : blocks)
    rig.complete(*block);
  CHECK(rig.cache.unread() == 3);
  rig.cache.unpin(*joined.block);
  for (int times = 0; times < 3; times++)
    rig.read(60);
  CHECK(rig.cache.unread() == 2);
  CHECK(rig.stats.bytes_prefetched_used.get() == 2 * kBlock - 96);
  rig.read(1); // by demand: not prefetch's doing
  CHECK(rig.stats.bytes_prefetched.get() == 4 * kBlock - 96);
  CHECK(rig.stats.bytes_prefetched_used.get() == 2 * kBlock - 96);
}

TEST_CASE("joining an arriving prefetched block frees its share",
          "[block_cache]") {
  Rig rig(4);
  std::vector<Block *> blocks = rig.ahead(0, 4);
  REQUIRE(blocks.size() == 2);
  Claim joined = rig.claim(0).at(0);
  std::vector<Block *> more = rig.ahead(10, 4);
  REQUIRE(more.size() == 1);
  for (Block *block : {blocks[0], blocks[1], more[0]})
    rig.complete(*block);
  rig.cache.unpin(*joined.block);
  CHECK(rig.cache.unread() == 2);
  rig.read(1);
  rig.read(10);
  CHECK(rig.ahead(20, 4).size() == 2);
}

TEST_CASE("unread prefetched blocks outlive those that were read",
          "[block_cache]") {
  Rig rig(6);
  rig.bring_ahead(40, 3);
  for (uint64_t i = 0; i < 30; i++)
    rig.read(i);
  for (uint64_t i = 40; i < 43; i++)
    CHECK(rig.present(i));
}

TEST_CASE("runs of present and of absent blocks are told", "[block_cache]") {
  Rig rig(8);
  rig.read(3);
  rig.read(4);
  CHECK(rig.cache.count_leading({{0}, 10}, false) == 3);
  CHECK(rig.cache.count_leading({{0}, 2}, false) == 2);
  CHECK(rig.cache.count_leading({{3}, 10}, true) == 2);
  CHECK(rig.cache.count_leading({{3}, 1}, true) == 1);
  CHECK(rig.cache.count_leading({{3}, 10}, false) == 0);
  CHECK(rig.cache.count_leading({{5}, 0}, false) == 0);
  Claim arriving = rig.claim(5).at(0);
  CHECK(rig.cache.count_leading({{3}, 10}, true) == 3);
  rig.fail(*arriving.block);
  rig.cache.unpin(*arriving.block);
}

TEST_CASE("a cache of one block serves any run, block by block", "[block_cache]") {
  Rig rig(1);
  CHECK(rig.cache.ahead_limit() == 1);
  BlockRun run{{0}, 20};
  while (run.count > 0) {
    std::array<Claim, 8> out;
    Result<size_t> n = rig.cache.claim(run, out, true, rig.patience);
    REQUIRE(n.ok());
    REQUIRE(n.value() == 1);
    rig.complete(*out[0].block);
    CHECK(bytes_of(*out[0].block) == truth_of(*out[0].block));
    rig.cache.unpin(*out[0].block);
    run = {run.first + 1, run.count - 1};
  }
  // A prefetched block may be there, and is replaced by demand.
  rig.bring_ahead(30, 1);
  rig.read(1);
  CHECK_FALSE(rig.present(30));
}

TEST_CASE("demand waits for a block that prefetch has in the only slot",
          "[block_cache]") {
  Rig rig(1);
  Block *unread = rig.ahead(0, 1).at(0);
  InLine waiter(rig, 2);
  waiter.until_waiting();
  rig.complete(*unread);
  waiter.join();
  REQUIRE(waiter.served);
  rig.complete(*waiter.got.block);
  rig.cache.unpin(*waiter.got.block);
}

// --- Many threads -----------------------------------------------------------

namespace {

// Brings what it is given in small pieces, in turns, fails some, and prefetches
// in between: all that the fetcher does to the cache, without HTTP.
class FakeEngine {
public:
  FakeEngine(Rig &rig, unsigned seed, unsigned fail_percent, bool prefetches)
      : rig_(rig), random_(seed), fail_percent_(fail_percent), prefetches_(prefetches),
        thread_([this] { run(); }) {}
  ~FakeEngine() { stop(); }

  void fetch(std::span<Block *const> blocks) {
    MutexLock lock(mu_);
    inbox_.insert(inbox_.end(), blocks.begin(), blocks.end());
    cond_.notify_one();
  }
  void stop() {
    {
      MutexLock lock(mu_);
      stopping_ = true;
      cond_.notify_one();
    }
    if (thread_.joinable())
      thread_.join();
  }

private:
  bool take_inbox() {
    MutexLock lock(mu_);
    while (inbox_.empty() && active_.empty() && !stopping_)
      cond_.wait(lock);
    active_.insert(active_.end(), inbox_.begin(), inbox_.end());
    inbox_.clear();
    return !stopping_ || !active_.empty();
  }
  void run() {
    while (take_inbox()) {
      if (prefetches_ && random_.below(4) == 0)
        for (Block *block : rig_.ahead(random_.below(60), 1 + random_.below(3)))
          active_.push_back(block);
      if (active_.empty())
        continue;
      size_t i = random_.below(active_.size());
      Block &block = *active_[i];
      bool done;
      if (random_.below(100) < fail_percent_) {
        rig_.fail(block, "as told");
        done = true;
      } else {
        uint32_t at = block.arrived();
        at -= std::min<uint32_t>(at, random_.below(3)); // again what came before
        uint32_t most = block.length() - at;
        done = rig_.deliver(block, at, std::min<uint32_t>(most, 1 + random_.below(2500)));
      }
      if (done) {
        active_[i] = active_.back();
        active_.pop_back();
      }
    }
  }

  Rig &rig_;
  Random random_;
  const unsigned fail_percent_;
  const bool prefetches_;
  Mutex mu_;
  CondVar cond_;
  std::vector<Block *> inbox_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  std::vector<Block *> active_;
  std::thread thread_;
};

struct Outcome {
  uint64_t served = 0, failed = 0, wrong = 0, cancelled = 0;
  void add(const Outcome &o) {
    served += o.served;
    failed += o.failed;
    wrong += o.wrong;
    cancelled += o.cancelled;
  }
};

// One read, as Image does it.
void read_range(Rig &rig, FakeEngine &engine, uint64_t offset, uint64_t count,
                CancelCheck &cancel, Outcome &outcome) {
  BlockRun run = rig.geometry.run_of(offset, count);
  while (run.count > 0) {
    std::array<Claim, 8> claims;
    Result<size_t> n = rig.cache.claim(run, claims, true, cancel);
    if (!n) {
      ++outcome.cancelled;
      return;
    }
    std::vector<Block *> missing;
    for (size_t i = 0; i < n.value(); i++)
      if (claims[i].found == Found::New)
        missing.push_back(claims[i].block);
    if (!missing.empty())
      engine.fetch(missing);
    for (size_t i = 0; i < n.value(); i++) {
      Block &block = *claims[i].block;
      BlockPart part = rig.geometry.part_of(block.index(), offset, count);
      Result<void> waited = rig.cache.wait(block, part.end, cancel);
      if (!waited) {
        ++(waited.error().kind == ErrorKind::Cancelled ? outcome.cancelled : outcome.failed);
      } else {
        uint64_t start = rig.geometry.start_of(block.index());
        if (block.index() != run.first + i)
          ++outcome.wrong;
        for (uint32_t at = part.begin; at < part.end; at++)
          outcome.wrong += block.data()[at] != truth(start + at);
        ++outcome.served;
      }
      rig.cache.unpin(block);
    }
    run = {run.first + n.value(), run.count - n.value()};
  }
}

Outcome stress(uint32_t slots, unsigned threads, unsigned reads, unsigned fail_percent,
               bool prefetches) {
  Rig rig(slots, 64, 1000);
  Outcome sum;
  {
    FakeEngine engine(rig, slots * 100 + threads, fail_percent, prefetches);
    std::vector<Outcome> outcomes(threads);
    in_threads(threads, [&](unsigned t) {
      Random random(t + 1);
      Outcome mine;
      for (unsigned i = 0; i < reads; i++) {
        Patience patience; // for each read
        uint64_t size = rig.geometry.export_size();
        uint64_t offset = random.below(size);
        uint64_t most = random.below(4) == 0 ? 10 * kBlock : 700;
        read_range(rig, engine, offset, 1 + random.below(std::min(size - offset, most)), patience, mine);
      }
      outcomes[t] = mine;
    });
    engine.stop();
    for (const Outcome &o : outcomes)
      sum.add(o);
  }
  // Nothing is pinned or arriving any more, and no slot was lost.
  Rig &r = rig;
  std::vector<Claim> all;
  uint32_t distinct = 0;
  for (uint64_t i = 0; i < 64 && distinct < slots; i++) {
    std::vector<Claim> c = r.claim(i);
    if (c.empty())
      break;
    CHECK(c[0].found != Found::Arriving);
    all.push_back(c[0]);
    ++distinct;
  }
  CHECK(distinct == slots);
  for (const Claim &c : all) {
    if (c.found == Found::New)
      r.complete(*c.block);
    r.cache.unpin(*c.block);
  }
  CHECK(r.stats.bytes_prefetched_used.get() <= r.stats.bytes_prefetched.get());
  return sum;
}

} // namespace

TEST_CASE("many readers of a tiny cache are all served, with the right bytes",
          "[block_cache][stress]") {
  const struct {
    uint32_t slots;
    unsigned threads, reads, fail_percent;
    bool prefetches;
  } cases[] = {
      {1, 16, 60, 0, false}, {1, 16, 60, 3, true},  {2, 32, 60, 3, true},
      {3, 64, 30, 0, true},  {7, 24, 120, 5, true}, {16, 16, 200, 1, true},
  };
  for (const auto &c : cases) {
    INFO(c.slots << " slots, " << c.threads << " threads");
    Outcome sum = stress(c.slots, c.threads, c.reads, c.fail_percent, c.prefetches);
    CHECK(sum.wrong == 0);
    CHECK(sum.cancelled == 0); // a wake-up that is lost ends here
    CHECK(sum.served > 0);
    if (c.fail_percent == 0)
      CHECK(sum.failed == 0);
  }
}

namespace {

// Spins for a time that differs from round to round, so that the two threads
// of a test meet in every place.
void spin(unsigned times) {
  for (volatile unsigned i = 0; i < times;)
    i = i + 1;
}

// Until CONDITION; politely, for there may be one processor only.
template <typename C> void spin_until(C &&condition) {
  for (unsigned i = 0; !condition(); i++)
    if (i > 2000)
      std::this_thread::yield();
}

// Counts how often it was asked: each time somebody slept for a whole poll.
class Counting final : public CancelCheck {
public:
  bool cancelled() override { return ++polls > 60; }
  int polls = 0;
};

} // namespace

// The narrowest place: the byte comes just as its reader begins to wait. A
// reader that missed it would wait for ever, for it is not looked at again.
TEST_CASE("no wake-up for bytes is lost", "[block_cache][stress]") {
  constexpr unsigned kRounds = 40'000;
  Rig rig(2);
  const std::string bytes(kBlock, 'x');
  std::atomic<unsigned> round{0}, seen{0};
  std::atomic<Block *> shared{nullptr};
  std::atomic<bool> lost{false};
  std::thread reader([&] {
    for (unsigned i = 1; i <= kRounds; i++) {
      spin_until([&] { return round.load() == i; });
      Counting patience;
      if (!rig.cache.wait(*shared.load(), 1, patience))
        lost = true;
      seen = i;
      if (lost)
        return;
    }
  });
  for (unsigned i = 1; i <= kRounds && !lost; i++) {
    Claim c = rig.claim(i % 64).at(0);
    REQUIRE(c.found == Found::New); // of 64 blocks in turn two are kept
    shared = c.block;
    round = i;
    spin(i % 1000);
    rig.cache.deliver(*c.block, 0, std::string_view(bytes).substr(0, 1));
    spin_until([&] { return seen.load() == i; });
    rig.cache.deliver(*c.block, 1, std::string_view(bytes).substr(1));
    rig.cache.unpin(*c.block);
  }
  reader.join();
  CHECK_FALSE(lost);
}

TEST_CASE("no wake-up for a failure is lost", "[block_cache][stress]") {
  constexpr unsigned kRounds = 60;
  Rig rig(2);
  Counting counting;
  std::atomic<unsigned> round{0}, seen{0};
  std::atomic<Block *> shared{nullptr};
  std::thread reader([&] {
    for (unsigned i = 1; i <= kRounds; i++) {
      spin_until([&] { return round.load() == i; });
      if (rig.cache.wait(*shared.load(), 1, counting))
        return;
      seen = i;
    }
  });
  for (unsigned i = 1; i <= kRounds; i++) {
    Claim c = rig.claim(i % 64).at(0);
    shared = c.block;
    round = i;
    spin(i * 200);
    rig.fail(*c.block);
    spin_until([&] { return seen.load() == i; });
    rig.cache.unpin(*c.block);
  }
  reader.join();
  CHECK(counting.polls < 10); // a machine that stood still may count for some
}

// A reader in line is given room by the unpin that makes it, not by the next
// look at the clock. Two readers take turns in one slot; each lets go just when
// the other has got in line, and a lost wake-up costs a whole poll.
TEST_CASE("no wake-up for room is lost", "[block_cache][stress]") {
  constexpr unsigned kRounds = 10'000;
  Rig rig(1);
  const std::string bytes(kBlock, 'x');
  std::atomic<int> polls{0};
  std::atomic<uint64_t> claims{0};
  std::atomic<bool> one_left{false};
  auto work = [&](uint64_t parity) {
    Counting counting;
    for (unsigned i = 0; i < kRounds; i++) {
      Claim c;
      Result<size_t> n = rig.cache.claim({{(2 * i + parity) % 64}, 1}, std::span(&c, 1), true,
                                         counting);
      if (!n.ok())
        break;
      rig.cache.deliver(*c.block, 0, bytes);
      uint64_t before = claims++; // each of which, but the first, had to wait
      spin_until([&] { return rig.stats.room_waits.get() > before || one_left; });
      spin(i % 500);
      rig.cache.unpin(*c.block);
    }
    one_left = true;
    polls += counting.polls;
  };
  std::thread even([&] { work(0); }), odd([&] { work(1); });
  even.join();
  odd.join();
  CHECK(rig.stats.room_waits.get() >= kRounds);
  CHECK(polls < 10);
}

// Two blocks are let go at once: both wake the first in line, who must pass on
// what it does not need.
TEST_CASE("room for two wakes two", "[block_cache][stress]") {
  constexpr unsigned kRounds = 60;
  Rig rig(2);
  std::atomic<int> polls{0};
  std::atomic<unsigned> round{0}, served{0}, left{0};
  auto work = [&](uint64_t parity) {
    Counting counting;
    for (unsigned i = 1; i <= kRounds; i++) {
      spin_until([&] { return round.load() == i; });
      Claim c;
      Result<size_t> n =
          rig.cache.claim({{4 * (i % 16) + parity}, 1}, std::span(&c, 1), true, counting);
      ++served;
      spin_until([&] { return served.load() == 2 * i; }); // meanwhile it is held
      if (n.ok()) {
        rig.fail(*c.block);
        rig.cache.unpin(*c.block);
      }
      ++left;
    }
    polls += counting.polls;
  };
  std::thread one([&] { work(0); }), two([&] { work(1); });
  for (unsigned i = 1; i <= kRounds; i++) {
    std::vector<Claim> held = rig.claim(4 * (i % 16) + 2, 2);
    CHECK(held.size() == 2);
    for (const Claim &c : held)
      if (c.found == Found::New)
        rig.complete(*c.block);
    uint64_t before = rig.stats.room_waits.get();
    round = i;
    spin_until([&] { return rig.stats.room_waits.get() == before + 2; });
    spin(2000); // until they sleep, mostly
    for (const Claim &c : held)
      rig.cache.unpin(*c.block);
    spin_until([&] { return left.load() == 2 * i; });
  }
  one.join();
  two.join();
  CHECK(polls < 10);
}
