// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-readahead.cc - recorded and typical access patterns, played against the
// planner over a simulated link, and its rules one by one.
#include "readahead.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "catch.h"
#include "flow.h"
#include "helpers.h"

using namespace httpcache;
using namespace tests;

namespace {

constexpr uint32_t kBlock = 256 * kKiB;

struct Read {
  uint64_t offset = 0;
  uint64_t count = 0;
};

// One thread of a client: its next read, or none.
using Source = std::function<std::optional<Read>()>;

struct Link {
  double bytes_per_us = 62.5; // 500 Mbit/s
  double rtt_us = 40'000;
  uint64_t limit = 8 * kMiB; // prefetch asked for at once
};

struct Played {
  uint64_t reads = 0;
  uint64_t waits = 0;       // reads that found not all of it there
  uint64_t round_trips = 0; // of them, that had to ask for some of it
  uint64_t prefetched = 0;  // bytes
  uint64_t unused = 0;      // of them, never read
  uint64_t fetched = 0;
  uint64_t most_outstanding = 0;
  double us = 0;

  // How many times as long as the link needs for SIZE bytes.
  double times_of(uint64_t size, const Link &link) const {
    return us / (static_cast<double>(size) / link.bytes_per_us);
  }
};

// Clients, planner, link and a cache that keeps each block until all of it was
// read, and then no longer: what is fetched again was fetched in vain.
class World {
public:
  World(uint64_t size, const Readahead::Bounds &bounds, const Link &link = {})
      : geometry_(size, 0, kBlock), link_(link), planner(geometry_, bounds) {}

  // THINK_US: what a client does between an answer and its next read.
  void add_client(Source source, double think_us = 0) {
    clients_.push_back({std::move(source), think_us});
  }

  // The limit and the planner's bounds follow from what is measured, as in the
  // fetcher and the image; the cache has room for HELD bytes of windows.
  void measure(uint64_t held) {
    flow_.emplace(kBlock, kConnections);
    held_ = held;
  }

  Played play() {
    for (size_t i = 0; i < clients_.size(); ++i)
      events_.push({now_ + static_cast<double>(i), i});
    while (!events_.empty()) {
      Event event = events_.top();
      events_.pop();
      now_ = event.at;
      if (event.client == kArrival) {
        arrive();
      } else {
        step(event.client);
      }
      pull();
    }
    for (const auto &[index, block] : blocks_)
      if (block.prefetched && !block.read)
        result_.unused += geometry_.length_of({index});
    result_.us = end_;
    return result_;
  }

private:
  static constexpr size_t kArrival = SIZE_MAX;
  static constexpr unsigned kConnections = 16;
  struct Client {
    Source source;
    double think_us;
  };
  struct Event {
    double at;
    size_t client;
    bool operator<(const Event &other) const { return at > other.at; } // earliest on top
  };
  struct Block {
    double arrives;
    bool prefetched;
    bool read = false;
    uint64_t bytes_read = 0;
  };

  struct Piece {
    uint64_t length;
    double latency_us;  // until its first byte came; 0: it follows another
    uint64_t asked;     // in flight then
  };

  // FOLLOWS: in one transfer with the block before.
  void fetch(uint64_t index, bool prefetch, bool follows = false) {
    uint64_t length = geometry_.length_of({index});
    double latency_us = std::max(link_.rtt_us, link_free_ - now_);
    link_free_ = std::max(now_ + link_.rtt_us, link_free_) +
                 static_cast<double>(length) / link_.bytes_per_us;
    blocks_[index] = {link_free_, prefetch};
    in_flight_ += length;
    arriving_.push({length, follows ? 0 : latency_us, in_flight_});
    if (flow_)
      flow_->in_flight(in_flight_, at());
    events_.push({link_free_, kArrival});
    result_.fetched += length;
    if (prefetch)
      result_.prefetched += length;
  }

  void arrive() {
    Piece piece = arriving_.front();
    arriving_.pop();
    in_flight_ -= piece.length;
    if (!flow_)
      return;
    if (piece.latency_us > 0)
      flow_->round_trip(piece.asked, from_seconds(piece.latency_us / 1e6), at());
    flow_->received(piece.length, at());
    planner.set_bounds(
        Readahead::Bounds::of(held_, UINT64_MAX, flow_->transfer_bytes(), flow_->ahead_bytes()));
  }

  TimePoint at() const { return TimePoint{} + std::chrono::hours(1) + from_seconds(now_ / 1e6); }

  // Is there room for a transfer?
  bool room() const {
    if (!flow_)
      return in_flight_ < link_.limit;
    return in_flight_ == 0 || in_flight_ + flow_->transfer_bytes() <= flow_->limit();
  }

  void step(size_t client) {
    std::optional<Read> read = clients_[client].source();
    if (!read)
      return;
    ++result_.reads;
    bool waited = false, asked = false;
    double done = now_;
    BlockRun run = geometry_.run_of(read->offset, read->count);
    for (uint64_t i = 0; i < run.count; ++i) {
      uint64_t index = run.first.value + i;
      auto at = blocks_.find(index);
      if (at == blocks_.end()) {
        fetch(index, false);
        asked = true;
        at = blocks_.find(index);
      }
      waited |= at->second.arrives > now_;
      done = std::max(done, at->second.arrives);
      at->second.read = true;
      BlockPart part = geometry_.part_of({index}, read->offset, read->count);
      at->second.bytes_read += part.end - part.begin;
      if (at->second.bytes_read >= geometry_.length_of({index}))
        blocks_.erase(at);
    }
    result_.waits += waited;
    result_.round_trips += asked;
    planner.observe(read->offset, read->count, waited);
    events_.push({done + clients_[client].think_us, client});
    end_ = std::max(end_, done);
  }

  void pull() {
    while (room()) {
      std::optional<Readahead::Plan> plan = planner.next();
      result_.most_outstanding = std::max(result_.most_outstanding, planner.outstanding());
      if (!plan)
        return;
      REQUIRE(plan->run.count > 0);
      REQUIRE(plan->run.end().value <= geometry_.block_count());
      bool follows = false;
      for (uint64_t i = 0; i < plan->run.count; ++i)
        if (blocks_.count(plan->run.first.value + i) == 0)
          fetch(plan->run.first.value + i, true, std::exchange(follows, true));
    }
  }

  const Geometry geometry_;
  const Link link_;
  std::vector<Client> clients_;
  std::priority_queue<Event> events_;
  std::unordered_map<uint64_t, Block> blocks_;
  std::queue<Piece> arriving_;
  std::optional<Flow> flow_;
  uint64_t held_ = 0;
  double now_ = 0, link_free_ = 0, end_ = 0;
  uint64_t in_flight_ = 0;
  Played result_;

public:
  Readahead planner;
};

// Half of the default cache, and what the default link is given.
constexpr Readahead::Bounds kBounds = {
    .max_window = 32 * kMiB, .budget = 64 * kMiB, .transfer_bytes = 1 * kMiB};

Source sequence(uint64_t from, uint64_t to, uint64_t count) {
  return [=, at = from]() mutable -> std::optional<Read> {
    if (at >= to)
      return std::nullopt;
    Read read{at, std::min(count, to - at)};
    at += count;
    return read;
  };
}

// Several threads that take reads from one list.
Source shared(std::shared_ptr<Source> source) {
  return [source] { return (*source)(); };
}

// COUNT reads of what PICK returns.
Source times(uint64_t count, std::function<Read()> pick) {
  return [count, pick, i = uint64_t{0}]() mutable -> std::optional<Read> {
    if (i == count)
      return std::nullopt;
    ++i;
    return pick();
  };
}

#define SHOW(p)                                                                         \
  INFO("reads " << (p).reads << ", waits " << (p).waits << ", round trips "             \
                << (p).round_trips << ", prefetched " << (p).prefetched / kKiB          \
                << " KiB, unused " << (p).unused / kKiB << " KiB, fetched "             \
                << (p).fetched / kKiB << " KiB, " << (p).us / 1e6 << " s")

} // namespace

// --- Patterns ---------------------------------------------------------------

TEST_CASE("one sequential reader gets what the link can give", "[readahead]") {
  constexpr uint64_t kSize = 512 * kMiB + 1000;
  for (uint64_t count : {4 * kKiB, 64 * kKiB, 256 * kKiB, 2 * kMiB}) {
    Link link;
    World world(kSize, kBounds, link);
    world.add_client(sequence(0, kSize, count));
    Played p = world.play();
    INFO(count);
    SHOW(p);
    CHECK(p.times_of(kSize, link) < 1.07);
    CHECK(p.round_trips <= 4);
    CHECK(p.fetched == kSize);
    CHECK(p.unused == 0);
  }
}

TEST_CASE("by what it measures, any link is used in full, within the cache", "[readahead]") {
  constexpr uint64_t kHeld = 112 * kMiB; // seven eighths of the default cache
  for (double mbit : {1.0, 20.0, 200.0, 500.0, 2000.0, 10000.0})
    for (double trip_ms : {0.1, 1.0, 10.0, 40.0, 120.0, 300.0}) {
      CAPTURE(mbit, trip_ms);
      Link link;
      link.rtt_us = trip_ms * 1e3;
      link.bytes_per_us = mbit / 8;
      // Twenty seconds and a hundred round trips, or as much as can be simulated.
      double seconds = 20 + trip_ms / 10;
      uint64_t size = std::clamp<uint64_t>(static_cast<uint64_t>(seconds * mbit / 8 * 1e6), 32 * kMiB, 16 * kGiB);
      for (uint64_t part : {uint64_t{1}, uint64_t{3}}) {
        CAPTURE(part);
        uint64_t read = size / part / kBlock * kBlock;
        World world(size, Readahead::Bounds::of(kHeld, UINT64_MAX, 512 * kKiB, 32 * kMiB), link);
        world.measure(kHeld);
        auto list = std::make_shared<Source>(sequence(0, read, kBlock));
        for (int i = 0; i < 16; ++i) // nbdkit's threads
          world.add_client(shared(list));
        Played p = world.play();
        SHOW(p);
        // Sixteen connections with 4 MiB each are the most that is in flight.
        double most = static_cast<double>(64 * kMiB) / (mbit / 8 * trip_ms * 1e3);
        CHECK(p.us < 1.06 * static_cast<double>(read) / link.bytes_per_us / std::min(1.0, most) +
                         25 * link.rtt_us);
        CHECK(p.most_outstanding <= kHeld);
        // Where the stream stops, its window was fetched in vain, once: as much as was
        // read, or, as this reader always waits, up to four times as much of 32 MiB.
        CHECK(p.unused <= std::min(kHeld, std::max(read, std::min(4 * read, 32 * kMiB)) + 2 * kMiB));
        CHECK(p.fetched <= read + p.unused);
      }
    }
}

TEST_CASE("a steady reader slower than the link hardly waits", "[readahead]") {
  constexpr uint64_t kSize = 512 * kMiB;
  World world(kSize, kBounds);
  // 64 KiB take the link 1049 us.
  world.add_client(sequence(0, kSize, 64 * kKiB), 1500);
  Played p = world.play();
  SHOW(p);
  CHECK(p.waits < 40);
  CHECK(p.round_trips <= 4);
  CHECK(p.unused == 0);
  CHECK(p.most_outstanding <= kBounds.max_window + kBlock);
}

TEST_CASE("coroutines that overtake each other are one stream", "[readahead]") {
  // qemu-img convert of compressed clusters: each of eight takes the next of up
  // to 64 KiB, in the order they get to it.
  constexpr uint64_t kSize = 400 * kMiB;
  Link link;
  World world(kSize, kBounds, link);
  std::mt19937 random(1);
  std::vector<std::pair<double, Read>> reads; // by when they arrive
  for (uint64_t at = 0; at < kSize;) {
    uint64_t count = std::min<uint64_t>(kSize - at, 10'000 + random() % 55'000);
    reads.push_back({static_cast<double>(reads.size() * 100 + random() % 800), {at, count}});
    at += count;
  }
  std::sort(reads.begin(), reads.end(),
            [](const auto &a, const auto &b) { return a.first < b.first; });
  auto list = std::make_shared<Source>(times(
      reads.size(), [reads, i = size_t{0}]() mutable { return reads[i++].second; }));
  for (size_t i = 0; i < 8; ++i)
    world.add_client(shared(list), 500 + static_cast<double>(i) * 100); // they decompress
  Played p = world.play();
  SHOW(p);
  CHECK(p.times_of(kSize, link) < 1.1);
  CHECK(p.round_trips <= 30);
  CHECK(p.unused == 0);
}

TEST_CASE("connections that read one stream in turns are one stream",
          "[readahead]") {
  constexpr uint64_t kSize = 512 * kMiB;
  for (size_t connections : {4u, 16u}) {
    Link link;
    World world(kSize, kBounds, link);
    auto list = std::make_shared<Source>(sequence(0, kSize, 256 * kKiB));
    for (size_t i = 0; i < connections; ++i)
      world.add_client(shared(list), static_cast<double>(i * 100));
    Played p = world.play();
    SHOW(p);
    CHECK(p.times_of(kSize, link) < 1.07);
    CHECK(p.fetched == kSize);
    CHECK(p.unused == 0);
    CHECK(world.planner.streams() < 4);
  }
}

TEST_CASE("two interleaved streams both get a window", "[readahead]") {
  constexpr uint64_t kPart = 200 * kMiB, kFar = 2 * kGiB;
  Link link;
  World world(4 * kGiB, kBounds, link);
  world.add_client(sequence(0, kPart, 64 * kKiB));
  world.add_client(sequence(kFar, kFar + kPart, 64 * kKiB));
  Played p = world.play();
  SHOW(p);
  CHECK(p.times_of(2 * kPart, link) < 1.2);
  CHECK(p.round_trips < 20);
  CHECK(p.unused <= 2 * kBounds.max_window); // behind both ends
}

TEST_CASE("one client that reads two streams in turns has both", "[readahead]") {
  // Alternately 64 KiB here and 64 KiB there.
  constexpr uint64_t kPart = 100 * kMiB, kFar = 1 * kGiB;
  Link link;
  World world(2 * kGiB, kBounds, link);
  world.add_client([at = uint64_t{0}, far = false]() mutable -> std::optional<Read> {
    if (at >= kPart)
      return std::nullopt;
    Read read{far ? kFar + at : at, 64 * kKiB};
    at += far ? 64 * kKiB : 0;
    far = !far;
    return read;
  });
  Played p = world.play();
  SHOW(p);
  CHECK(p.times_of(2 * kPart, link) < 1.4);
  CHECK(p.round_trips < 20);
}

TEST_CASE("connections that copy in slices fetch next to nothing twice", "[readahead]") {
  // nbdcopy: each connection takes the next slice of 128 MiB when it has
  // finished its own, with many requests in flight.
  constexpr uint64_t kSlice = 128 * kMiB, kSize = 1500 * kMiB;
  for (uint64_t count : {256 * kKiB, 64 * kKiB}) {
    Link link;
    World world(kSize, kBounds, link);
    auto next_slice = std::make_shared<uint64_t>(0);
    for (size_t connection = 0; connection < 4; ++connection) {
      auto slice = std::make_shared<Source>(
          [=, at = uint64_t{0}, end = uint64_t{0}]() mutable -> std::optional<Read> {
            if (at == end) {
              if (*next_slice >= kSize)
                return std::nullopt;
              at = *next_slice;
              *next_slice = end = std::min(at + kSlice, kSize);
            }
            Read read{at, std::min(count, end - at)};
            at += read.count;
            return read;
          });
      for (size_t i = 0; i < 8; ++i)
        world.add_client(shared(slice), static_cast<double>(connection * 50));
    }
    Played p = world.play();
    INFO(count);
    SHOW(p);
    // A slice that has only just been begun may be run into.
    CHECK(p.fetched <= kSize + 1 * kMiB);
    CHECK(p.unused <= 1 * kMiB);
    CHECK(p.times_of(kSize, link) < 1.07);
  }
}

TEST_CASE("random reads bring no prefetch", "[readahead]") {
  for (uint64_t size : {64 * kMiB, 1 * kGiB, 100 * kGiB})
    for (uint64_t count : {4 * kKiB, 16 * kKiB}) {
      World world(size, kBounds);
      std::mt19937_64 random(size);
      world.add_client(times(5000, [&] {
        return Read{random() % (size / count) * count, count};
      }));
      Played p = world.play();
      INFO(size / kMiB << " MiB, reads of " << count);
      SHOW(p);
      // Two that chance puts behind one another look like a stream for once.
      CHECK(p.prefetched <= p.fetched / (count == 4 * kKiB ? 50 : 15));
    }
}

TEST_CASE("many random readers bring no prefetch", "[readahead]") {
  World world(8 * kGiB, kBounds);
  std::mt19937_64 random(5);
  for (int i = 0; i < 32; ++i)
    world.add_client(times(500, [&] { return Read{random() % (2 * kMiB) * 4096, 4096}; }));
  Played p = world.play();
  SHOW(p);
  CHECK(p.prefetched <= p.fetched / 200);
}

TEST_CASE("strided reads bring no prefetch", "[readahead]") {
  const struct {
    uint64_t count, stride;
  } cases[] = {{4 * kKiB, 16 * kKiB},   {4 * kKiB, 64 * kKiB}, {64 * kKiB, 256 * kKiB},
               {64 * kKiB, 1 * kMiB},   {4 * kKiB, 3 * kMiB},  {512, 4096},
               {256 * kKiB, 1 * kMiB}};
  for (const auto &c : cases) {
    World world(4 * kGiB, kBounds);
    world.add_client(
        times(3000, [&c, at = uint64_t{0}]() mutable { return Read{(at += c.stride) % (4 * kGiB), c.count}; }));
    Played p = world.play();
    INFO(c.count << " every " << c.stride);
    SHOW(p);
    CHECK(p.prefetched == 0);
  }
}

TEST_CASE("backward reads bring no prefetch", "[readahead]") {
  for (uint64_t count : {4 * kKiB, 64 * kKiB, 1 * kMiB}) {
    World world(1 * kGiB, kBounds);
    world.add_client(times(900, [&, at = 1 * kGiB]() mutable {
      at -= count;
      return Read{at, count};
    }));
    Played p = world.play();
    INFO(count);
    SHOW(p);
    CHECK(p.prefetched == 0);
  }
}

TEST_CASE("reading one place again and again brings no prefetch", "[readahead]") {
  World world(1 * kGiB, kBounds);
  world.add_client(times(1000, [] { return Read{512 * kMiB, 4096}; }));
  world.add_client(times(1000, [i = 0]() mutable { return Read{uint64_t(i++ % 8) * 512, 512}; }));
  Played p = world.play();
  SHOW(p);
  CHECK(p.prefetched <= 1 * kMiB); // the second moves forward, for once
}

TEST_CASE("a stream is still found between random reads", "[readahead]") {
  constexpr uint64_t kPart = 100 * kMiB;
  Link link;
  World world(16 * kGiB, kBounds, link);
  std::mt19937_64 random(5);
  world.add_client(sequence(0, kPart, 64 * kKiB));
  for (int i = 0; i < 4; ++i)
    world.add_client(times(200, [&] { return Read{random() % (4 * kMiB) * 4096, 4096}; }));
  Played p = world.play();
  SHOW(p);
  CHECK(p.round_trips < 4 * 200 + 20);
  CHECK(p.unused <= kBounds.max_window);
}

TEST_CASE("a guest's boot is fetched ahead where it runs, not where it jumps",
          "[readahead]") {
  // An excerpt of what a Debian guest reads of its qcow2 file while it boots.
  static const Read kTrace[] = {
      {0, 112},           {196608, 48},       {65536, 65536},     {112, 8},
      {504, 8},           {262144, 65536},    {327680, 512},      {327680, 512},
      {327680, 4096},     {327680, 4096},     {331776, 4096},     {344064, 4096},
      {360448, 4096},     {393216, 4096},     {458752, 4096},     {589824, 4096},
      {851968, 4096},     {1376256, 4096},    {2424832, 4096},    {4521984, 4096},
      {339968, 4096},     {356352, 4096},     {389120, 4096},     {335872, 4096},
      {348160, 8192},     {364544, 24576},    {397312, 61440},    {462848, 126976},
      {593920, 258048},   {327680, 16384},    {327680, 16384},    {327680, 16384},
      {328704, 1024},     {327680, 4096},     {331776, 4096},     {2035712, 135168},
      {1040973824, 65536}, {1083375616, 4096}, {8458240, 4096},   {38068224, 4096},
      {2170880, 126976},  {39174144, 4096},   {2297856, 131072},  {41668608, 4096},
      {4259840, 135168},  {507052032, 65536}, {757329920, 4096},  {2428928, 131072},
      {145002496, 4096},
  };
  World world(1083572224, kBounds);
  auto at = std::make_shared<size_t>(0);
  world.add_client([at]() -> std::optional<Read> {
    if (*at == std::size(kTrace))
      return std::nullopt;
    return kTrace[(*at)++];
  });
  Played p = world.play();
  SHOW(p);
  CHECK(p.reads == std::size(kTrace));
  CHECK(p.unused <= 4 * kMiB);
  CHECK(p.round_trips < 25);
}

// --- Rules ------------------------------------------------------------------

namespace {

// A planner alone; plan() plays a fetcher with all the room in the world.
struct Desk {
  explicit Desk(uint64_t size, const Readahead::Bounds &bounds = kBounds)
      : geometry(size, 0, kBlock), planner(geometry, bounds) {}

  // Bytes that are planned now.
  uint64_t plan() {
    uint64_t bytes = 0;
    while (std::optional<Readahead::Plan> p = planner.next()) {
      bytes += geometry.bytes_of(p->run);
      plans.push_back(*p);
      REQUIRE(plans.size() < 100'000);
    }
    return bytes;
  }
  // Reads [from, to) in pieces, planning after each.
  uint64_t read(uint64_t from, uint64_t to, uint64_t count, bool waited) {
    uint64_t bytes = 0;
    for (; from < to; from += count) {
      planner.observe(from, std::min(count, to - from), waited);
      bytes += plan();
      most = std::max(most, planner.outstanding());
    }
    return bytes;
  }

  const Geometry geometry;
  Readahead planner;
  std::vector<Readahead::Plan> plans;
  uint64_t most = 0; // outstanding
};

} // namespace

TEST_CASE("nothing is planned when readahead is off", "[readahead]") {
  Desk desk(1 * kGiB, {.max_window = 0, .budget = 64 * kMiB, .transfer_bytes = kMiB});
  CHECK_FALSE(desk.planner.observe(0, 64 * kKiB, true));
  CHECK(desk.read(0, 64 * kMiB, 64 * kKiB, true) == 0);
  CHECK(desk.planner.outstanding() == 0);
  CHECK_FALSE(desk.planner.next());
}

TEST_CASE("the first read plans nothing, the second in sequence does",
          "[readahead]") {
  Desk desk(1 * kGiB);
  CHECK_FALSE(desk.planner.observe(10 * kMiB, 64 * kKiB, true));
  CHECK_FALSE(desk.planner.next());
  CHECK(desk.planner.observe(10 * kMiB + 64 * kKiB, 64 * kKiB, true));
  std::optional<Readahead::Plan> plan = desk.planner.next();
  REQUIRE(plan);
  // From the block behind the one that the read brings itself.
  CHECK(plan->run.first == BlockIndex{10 * kMiB / kBlock + 1});
}

TEST_CASE("plans follow each other without gap or overlap", "[readahead]") {
  for (uint64_t count : {4 * kKiB, 40'000 * uint64_t{1}, 3 * kMiB}) {
    Desk desk(600 * kMiB + 77);
    desk.read(0, 600 * kMiB + 77, count, true);
    REQUIRE_FALSE(desk.plans.empty());
    BlockIndex next = desk.plans.front().run.first;
    for (const Readahead::Plan &plan : desk.plans) {
      CHECK(plan.run.first >= next); // a large read may have gone beyond
      CHECK(plan.run.count * kBlock <= kBounds.transfer_bytes);
      next = plan.run.end();
    }
    CHECK(next.value == desk.geometry.block_count());
  }
}

TEST_CASE("the cap is honoured", "[readahead]") {
  for (uint64_t cap : {1 * kMiB, 3 * kMiB, 32 * kMiB}) {
    Readahead::Bounds bounds = kBounds;
    bounds.max_window = cap;
    Desk desk(1 * kGiB, bounds);
    desk.read(0, 512 * kMiB, 64 * kKiB, true);
    INFO(cap);
    CHECK(desk.most <= cap + kBlock); // the last block is planned whole
    CHECK(desk.most > cap / 2);
  }
  // Less than a block is a block.
  Readahead::Bounds bounds = kBounds;
  bounds.max_window = 1000;
  Desk desk(1 * kGiB, bounds);
  CHECK(desk.read(0, 16 * kMiB, 64 * kKiB, true) > 0);
  CHECK(desk.most <= 2 * kBlock);
}

TEST_CASE("a window is as long as what its stream has read", "[readahead]") {
  Desk desk(1 * kGiB);
  desk.read(0, 256 * kKiB, 64 * kKiB, false);
  CHECK(desk.most <= 512 * kKiB + kBlock);
  for (uint64_t at = 256 * kKiB; at < 100 * kMiB; at *= 2) {
    desk.most = 0;
    desk.read(at, 2 * at, 64 * kKiB, false);
    uint64_t wanted = std::min(2 * at, kBounds.max_window);
    CHECK(desk.most <= std::max<uint64_t>(wanted, 512 * kKiB) + kBlock);
    CHECK(desk.most >= wanted - std::min(wanted / 2, kBounds.transfer_bytes) - kBlock);
  }
}

TEST_CASE("a wait beyond the mark makes the window longer, another before it does not",
          "[readahead]") {
  Desk desk(1 * kGiB);
  desk.read(0, 512 * kKiB, 64 * kKiB, false);
  uint64_t before = desk.planner.outstanding();
  CHECK(before <= 512 * kKiB + kBlock);
  // What was planned before is read up; the first wait beyond it takes the window
  // to a multiple of what has been read...
  desk.read(512 * kKiB, 1 * kMiB, 64 * kKiB, true);
  uint64_t after = desk.planner.outstanding();
  CHECK(after >= 2 * kMiB);
  CHECK(after <= 4 * kMiB + kBlock);
  // ...and waits for what was planned before the leap are not another: the
  // reader has not seen yet what it brought.
  desk.read(1 * kMiB, 1 * kMiB + 512 * kKiB, 64 * kKiB, true);
  CHECK(desk.planner.outstanding() <= 4 * (1 * kMiB + 512 * kKiB) + kBlock);
}

TEST_CASE("a reader that always waits has the largest window soon", "[readahead]") {
  Desk desk(1 * kGiB);
  desk.read(0, 96 * kMiB, 64 * kKiB, true);
  CHECK(desk.most > kBounds.max_window - 2 * kBounds.transfer_bytes);
  CHECK(desk.most <= kBounds.max_window + kBlock);
}

TEST_CASE("planning goes on while half of the window is unread", "[readahead]") {
  Desk desk(1 * kGiB);
  uint64_t at = 96 * kMiB;
  desk.read(0, at, 64 * kKiB, true);
  uint64_t least = UINT64_MAX;
  for (; at < 200 * kMiB; at += 64 * kKiB) {
    desk.read(at, at + 64 * kKiB, 64 * kKiB, false);
    least = std::min(least, desk.planner.outstanding());
  }
  CHECK(least >= kBounds.max_window / 2);
}

TEST_CASE("windows end at the export's end", "[readahead]") {
  for (uint64_t extra : {uint64_t{0}, uint64_t{1}, uint64_t{511}, kBlock - uint64_t{1}}) {
    const uint64_t size = 20 * kMiB + extra;
    Desk desk(size);
    desk.read(0, size, 64 * kKiB, true);
    CHECK(desk.plans.back().run.end().value == desk.geometry.block_count());
    CHECK(desk.planner.outstanding() == 0);
    CHECK_FALSE(desk.planner.next());
    // Once more to the end, from elsewhere.
    desk.read(10 * kMiB, size, 100'000, true);
    CHECK(desk.planner.outstanding() == 0);
  }
  Desk tiny(1);
  tiny.planner.observe(0, 1, true);
  tiny.planner.observe(0, 1, true);
  CHECK_FALSE(tiny.planner.next());
}

TEST_CASE("windows end where another stream has been", "[readahead]") {
  Desk desk(1 * kGiB);
  desk.read(100 * kMiB, 110 * kMiB, 64 * kKiB, false);
  desk.plans.clear();
  desk.read(64 * kMiB, 100 * kMiB, 64 * kKiB, true);
  REQUIRE_FALSE(desk.plans.empty());
  CHECK(desk.plans.back().run.end().value == 100 * kMiB / kBlock);
  // What lies behind the other's place is nobody's: a reader that goes on there
  // is read ahead for again.
  CHECK(desk.read(300 * kMiB, 310 * kMiB, 64 * kKiB, true) > 10 * kMiB);
}

TEST_CASE("what was given back is planned again", "[readahead]") {
  Desk desk(1 * kGiB);
  desk.planner.observe(0, 256 * kKiB, true);
  desk.planner.observe(256 * kKiB, 256 * kKiB, true);
  std::optional<Readahead::Plan> plan = desk.planner.next();
  REQUIRE(plan);
  REQUIRE(plan->run.count > 1);
  uint64_t before = desk.planner.outstanding();
  desk.planner.give_back(*plan, plan->run.count - 1);
  CHECK(desk.planner.outstanding() == before - (plan->run.count - 1) * kBlock);
  desk.planner.observe(512 * kKiB, 64 * kKiB, true);
  std::optional<Readahead::Plan> again = desk.planner.next();
  REQUIRE(again);
  CHECK(again->run.first == plan->run.first + 1);
}

TEST_CASE("an old plan can be given back without harm", "[readahead]") {
  Desk desk(1 * kGiB);
  desk.read(0, 2 * kMiB, 64 * kKiB, true);
  std::vector<Readahead::Plan> old = desk.plans;
  desk.read(2 * kMiB, 40 * kMiB, 64 * kKiB, true);
  uint64_t before = desk.planner.outstanding();
  for (const Readahead::Plan &plan : old)
    desk.planner.give_back(plan, plan.run.count);
  CHECK(desk.planner.outstanding() == before);
  // Of a stream that exists no more: two thousand random reads have its place.
  Readahead::Plan last = desk.plans.back();
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i)
    desk.planner.observe(random() % (1 * kGiB / 4096) * 4096, 4096, true);
  before = desk.planner.outstanding();
  desk.planner.give_back(last, last.run.count);
  CHECK(desk.planner.outstanding() == before);
}

TEST_CASE("a hundred streams share the budget", "[readahead]") {
  constexpr uint64_t kApart = 1 * kGiB;
  Desk desk(101 * kApart);
  std::vector<uint64_t> planned(100);
  for (uint64_t i = 0; i < 400; ++i)
    for (uint64_t s = 0; s < 100; ++s) {
      desk.planner.observe(s * kApart + i * 64 * kKiB, 64 * kKiB, true);
      desk.plan();
      desk.most = std::max(desk.most, desk.planner.outstanding());
    }
  for (const Readahead::Plan &plan : desk.plans)
    planned[plan.run.first.value * kBlock / kApart] += plan.run.count * kBlock;
  CHECK(desk.most <= kBounds.budget + 100 * kBlock); // those that are being read
  // Each was read ahead for, all but its first blocks.
  for (uint64_t s = 0; s < 100; ++s) {
    INFO("stream " << s);
    CHECK(planned[s] >= 20 * kMiB);
  }
}

TEST_CASE("streams that stopped give their budget back", "[readahead]") {
  // A client that reads one large file after another.
  constexpr uint64_t kFile = 48 * kMiB, kApart = 1 * kGiB;
  Desk desk(20 * kApart);
  for (uint64_t f = 0; f < 20; ++f) {
    uint64_t planned = desk.read(f * kApart, f * kApart + kFile, 64 * kKiB, true);
    INFO("file " << f);
    CHECK(planned >= kFile - 4 * kMiB); // all but its first reads
    CHECK(desk.planner.outstanding() <= kBounds.budget + kBlock);
  }
}

TEST_CASE("a stream that had all of the budget does not starve the next",
          "[readahead]") {
  // As above on a fast long link, where one window is the whole budget, and
  // with the large reads of nbdcopy.
  constexpr uint64_t kFile = 256 * kMiB, kApart = 1 * kGiB;
  Readahead::Bounds bounds = kBounds;
  bounds.max_window = bounds.budget;
  for (uint64_t count : {64 * kKiB, 256 * kKiB, 2 * kMiB}) {
    Desk desk(10 * kApart, bounds);
    for (uint64_t f = 0; f < 10; ++f) {
      uint64_t planned = desk.read(f * kApart, f * kApart + kFile, count, true);
      INFO("file " << f << ", reads of " << count);
      CHECK(planned >= kFile - 34 * std::max(count, uint64_t{kBlock}) - 4 * kMiB);
    }
  }
}

TEST_CASE("where others have been long ago holds up nobody", "[readahead]") {
  // Four connections copied the image in slices; now one reads it through.
  constexpr uint64_t kSlice = 128 * kMiB, kSize = 1 * kGiB;
  Link link;
  World world(kSize, kBounds, link);
  for (uint64_t i = 0; i < kSlice; i += 256 * kKiB)
    for (uint64_t slice = 0; slice < 8; ++slice) {
      world.planner.observe(slice * kSlice + i, 256 * kKiB, true);
      while (world.planner.next())
        ;
    }
  world.add_client(sequence(0, kSize, 64 * kKiB));
  Played p = world.play();
  SHOW(p);
  CHECK(p.times_of(kSize, link) < 1.1);
  CHECK(p.round_trips < 20);
}

TEST_CASE("streams that are gone leave nothing outstanding", "[readahead]") {
  Desk desk(8 * kGiB);
  for (uint64_t s = 0; s < 4; ++s)
    desk.read(s * kGiB, s * kGiB + 8 * kMiB, 64 * kKiB, true);
  CHECK(desk.planner.outstanding() > 0);
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i)
    desk.planner.observe(random() % (1 * kMiB) * 8192, 4096, true);
  desk.plan();
  CHECK(desk.planner.outstanding() <= kMiB);
}

TEST_CASE("new bounds hold from the next plan on", "[readahead]") {
  Desk desk(1 * kGiB);
  desk.read(0, 64 * kMiB, 64 * kKiB, true);
  Readahead::Bounds small = {.max_window = 2 * kMiB, .budget = 4 * kMiB, .transfer_bytes = 512 * kKiB};
  desk.planner.set_bounds(small);
  desk.plans.clear();
  desk.read(64 * kMiB, 128 * kMiB, 64 * kKiB, true);
  CHECK(desk.planner.outstanding() <= small.max_window + kBlock);
  for (const Readahead::Plan &plan : desk.plans)
    CHECK(plan.run.count * kBlock <= small.transfer_bytes);
  desk.planner.set_bounds(kBounds);
  desk.read(128 * kMiB, 256 * kMiB, 64 * kKiB, true);
  CHECK(desk.planner.outstanding() > 16 * kMiB);
}

TEST_CASE("a cache of few blocks still has readahead", "[readahead]") {
  for (uint64_t blocks : {1, 2, 5}) {
    Desk desk(1 * kGiB, {.max_window = blocks * kBlock,
                         .budget = blocks * kBlock,
                         .transfer_bytes = std::max<uint64_t>(blocks / 2, 1) * kBlock});
    uint64_t planned = desk.read(0, 64 * kMiB, 64 * kKiB, true);
    INFO(blocks);
    CHECK(planned > 60 * kMiB);
    CHECK(desk.most <= (blocks + 1) * kBlock);
  }
}

TEST_CASE("a thousand streams are a thousand streams", "[readahead]") {
  constexpr uint64_t kApart = 1 * kGiB;
  Desk desk(1000 * kApart);
  uint64_t planned = 0;
  for (uint64_t i = 0; i < 100; ++i)
    for (uint64_t s = 0; s < 1000; ++s) {
      desk.planner.observe(s * kApart + i * 64 * kKiB, 64 * kKiB, true);
      planned += desk.plan();
    }
  CHECK(desk.planner.streams() == 1000);
  CHECK(planned > 0);
  CHECK(desk.planner.outstanding() <= kBounds.budget + 1000 * kBlock);
}

TEST_CASE("a read belongs to the nearest stream, whatever others there are", "[readahead]") {
  // Against the rule, as one would write it down; more streams than are kept.
  constexpr uint64_t kSize = 40 * kGiB, kRead = 64 * kKiB;
  Desk desk(kSize);
  struct Known {
    uint64_t pos, last_use;
  };
  std::vector<Known> known;
  std::mt19937_64 random(5);
  for (uint64_t i = 1; i <= 20'000; ++i) {
    bool near = random() % 2 == 0 && !known.empty();
    uint64_t offset = near ? known[random() % known.size()].pos - random() % kRead
                           : random() % (kSize - kRead);
    offset = std::min(offset, kSize - kRead);
    Known *best = nullptr;
    auto distance = [&](const Known &k) {
      return k.pos > offset ? k.pos - offset : offset - k.pos;
    };
    for (Known &k : known)
      if (distance(k) <= Readahead::reach(kRead) &&
          (best == nullptr || distance(k) < distance(*best)))
        best = &k;
    if (best == nullptr && known.size() < 1024)
      best = &known.emplace_back(Known{0, 0});
    else if (best == nullptr) {
      best = &*std::min_element(known.begin(), known.end(), [](const Known &a, const Known &b) {
        return a.last_use < b.last_use;
      });
      best->pos = 0;
    }
    best->pos = std::max(best->pos, offset + kRead);
    best->last_use = i;
    desk.planner.observe(offset, kRead, false);
    std::vector<uint64_t> wanted;
    for (const Known &k : known)
      wanted.push_back(k.pos);
    std::sort(wanted.begin(), wanted.end());
    if (i % 64 == 0 && desk.planner.positions() != wanted)
      FAIL("other streams after " << i << " reads");
  }
  CHECK(desk.planner.streams() == 1024);
}

TEST_CASE("the fetcher is called only when there is something to plan", "[readahead]") {
  // The first stream has all of the budget and is still read, so the second one
  // must wait: no read may wake the fetcher in vain meanwhile.
  Readahead::Bounds bounds = kBounds;
  bounds.max_window = bounds.budget;
  Desk desk(8 * kGiB, bounds);
  desk.read(0, 512 * kMiB, 256 * kKiB, true);
  CHECK(desk.planner.outstanding() > bounds.budget - 2 * kMiB);
  uint64_t called = 0, in_vain = 0;
  for (uint64_t i = 0; i < 10'000; ++i) {
    uint64_t base = i % 2 == 0 ? 512 * kMiB : 4 * kGiB;
    if (!desk.planner.observe(base + i / 2 * 4 * kKiB, 4 * kKiB, true))
      continue;
    ++called;
    in_vain += desk.plan() == 0;
  }
  INFO(called << " calls");
  CHECK(called > 10);
  CHECK(called < 100);
  CHECK(in_vain == 0);
}

TEST_CASE("when the fetcher is not called, nothing could be planned", "[readahead]") {
  constexpr uint64_t kApart = 1 * kGiB;
  for (uint64_t streams : {2, 40, 1000}) {
    Desk desk(streams * kApart);
    std::vector<uint64_t> at(streams);
    std::mt19937_64 random(streams);
    for (int i = 0; i < 50'000; ++i) {
      uint64_t s = random() % (i % 1000 < 500 ? std::min<uint64_t>(streams, 5) : streams);
      uint64_t count = 4 * kKiB << random() % 5;
      bool called = desk.planner.observe(s * kApart + at[s], count, random() % 2 == 0);
      at[s] = at[s] + 2 * count < kApart ? at[s] + count : 0;
      if (random() % 3 > 0)
        continue;
      if (desk.planner.next() && !called)
        FAIL("a plan that nobody was called for, of " << streams << " streams");
    }
  }
}

TEST_CASE("no trace brings the planner out of order", "[readahead]") {
  constexpr uint64_t kSize = 3 * kGiB + 12'345;
  Desk desk(kSize);
  std::mt19937_64 random(11);
  uint64_t at = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (random() % 20 == 0)
      at = random() % kSize;
    uint64_t count = 1 + random() % (random() % 10 == 0 ? 4 * kMiB : 64 * kKiB);
    uint64_t offset = random() % 4 == 0 ? at - std::min(at, random() % kMiB) : at;
    count = std::min(count, kSize - offset);
    desk.planner.observe(offset, count, random() % 2 == 0);
    at = offset + count == kSize ? 0 : offset + count;
    if (random() % 2 == 0)
      continue;
    if (std::optional<Readahead::Plan> plan = desk.planner.next()) {
      if (plan->run.count == 0 || plan->run.end().value > desk.geometry.block_count())
        FAIL("a plan beyond the end");
      if (random() % 8 == 0)
        desk.planner.give_back(*plan, random() % (plan->run.count + 1));
    }
    if (desk.planner.outstanding() > kBounds.budget + 1100 * kBlock)
      FAIL("too much outstanding");
  }
}
