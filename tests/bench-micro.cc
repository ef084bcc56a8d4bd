// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// bench-micro.cc - does what a read costs grow, and with what?  make bench-micro
//
// Each case is one kind of read, timed while one thing grows a thousandfold: the
// image, the blocks in the cache, the streams, the threads.  Wherever it can be,
// it is Image::read() itself, against a server in this process that answers with
// zeros and is asked only while the cache is filled; what can be reached only
// through the network otherwise (evictions, plans) is timed at its class.
// Each is timed three times and the best counts, since whatever else the machine
// does only adds to a time.  Behind Google Benchmark's table stands one line for
// each case: what a read costs at the first and at the last of its points, and
// how many times as much that is.
//
// Columns: `requests` to the server in all and `allocs`, calls of operator new by
// the reading thread for each read, both 0 for what is in the cache.
//
// It is a tool, not a test: nothing here passes or fails.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "block_cache.h"
#include "curl_library.h"
#include "helpers.h"
#include "image.h"
#include "readahead.h"
#include "web-server.h"

// Counted for the `allocs` column.  Not inlined, or g++ finds malloc's memory given
// to delete.
static thread_local uint64_t allocations = 0;

[[gnu::noinline]] void *operator new(std::size_t size) {
  ++allocations;
  void *memory = std::malloc(size);
  if (memory == nullptr)
    throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void *memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

using namespace httpcache;
using namespace tests;

namespace {

[[noreturn]] void die(const std::string &why) {
  std::fprintf(stderr, "bench-micro: %s\n", why.c_str());
  std::exit(1);
}

// A generator that costs next to nothing beside what is timed.
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  uint64_t below(uint64_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint64_t>((static_cast<unsigned __int128>(state_) * n) >> 64);
  }

private:
  uint64_t state_;
};

class Never final : public CancelCheck {
public:
  bool cancelled() override { return false; }
};

// --- An image with REGIONS of REGION bytes each in the cache -----------------

struct Setup {
  uint64_t size = 1 * kGiB;
  uint32_t block = 256 * kKiB;
  uint64_t regions = 128; // spread evenly over the image
  uint64_t region = 256 * kKiB;
  uint32_t slots = 512;
  bool readahead = true;
  auto operator<=>(const Setup &) const = default;
};

// The bytes of the object, which may be as large as one likes.
void zeros(uint64_t, std::span<char> out) { std::fill(out.begin(), out.end(), '\0'); }

class Disk {
public:
  explicit Disk(const Setup &setup) : setup_(setup), server_(setup.size, {}, zeros) {
    Config config;
    config.url = server_.url();
    config.blocksize = setup.block;
    config.cache_blocks = setup.slots;
    if (!setup.readahead)
      config.readahead = 0;
    Result<std::unique_ptr<Image>> image = Image::open(config);
    if (!image)
      die(image.error().what);
    image_ = std::move(image).value();
    if (Result<void> started = image_->start(); !started)
      die(started.error().what);
    fill();
  }
  ~Disk() { image_->stop(); }

  uint64_t start_of(uint64_t region) const {
    return setup_.size / setup_.regions / setup_.block * setup_.block * region;
  }
  void read(std::vector<char> &buffer, uint64_t offset) {
    Never never;
    if (Result<void> done = image_->read(buffer, offset, never); !done)
      die(done.error().what);
  }
  uint64_t requests() { return server_.requests(); }

private:
  void fill() {
    std::atomic<uint64_t> next{0};
    uint64_t piece = std::min<uint64_t>(setup_.region, uint64_t{setup_.block} * 256);
    uint64_t pieces = setup_.region / piece;
    in_threads(8, [&](unsigned) {
      std::vector<char> buffer(piece);
      for (uint64_t i; (i = next++) < setup_.regions * pieces;)
        read(buffer, start_of(i / pieces) + i % pieces * piece);
    });
    settle();
  }
  // Until what was asked for ahead has come.
  void settle() {
    for (uint64_t seen = UINT64_MAX; seen != requests();) {
      seen = requests();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  const Setup setup_;
  Server server_;
  std::unique_ptr<Image> image_;
};

// The disk of SETUP.  Only one exists at a time, for one may be large.
Disk &disk_of(const Setup &setup) {
  static Mutex mu;
  static std::optional<Setup> made_for;
  static std::unique_ptr<Disk> disk;
  MutexLock lock(mu);
  if (!made_for || *made_for != setup) {
    disk.reset();
    disk = std::make_unique<Disk>(setup);
    made_for = setup;
  }
  return *disk;
}

// Sets the columns, from when it is made on.
class Columns {
public:
  Columns(benchmark::State &state, Disk &disk)
      : state_(state), disk_(disk), requests_(disk.requests()), allocations_(allocations) {}
  ~Columns() {
    state_.SetItemsProcessed(state_.iterations());
    if (state_.thread_index() > 0)
      return;
    // Google Benchmark's own two are in it: nothing, to three places.
    double allocs = static_cast<double>(allocations - allocations_) * 1000 /
                    static_cast<double>(state_.iterations());
    state_.counters["requests"] = static_cast<double>(disk_.requests() - requests_);
    state_.counters["allocs"] = std::floor(allocs) / 1000;
  }

private:
  benchmark::State &state_;
  Disk &disk_;
  const uint64_t requests_, allocations_;
};

// Reads of COUNT bytes, anywhere in the first HOT of the cached regions.
void random_reads(benchmark::State &state, const Setup &setup, uint64_t count, uint64_t hot) {
  Disk &disk = disk_of(setup);
  std::vector<char> buffer(count);
  Random random(static_cast<uint64_t>(state.thread_index()) + 1);
  Columns columns(state, disk);
  for (auto _ : state)
    disk.read(buffer, disk.start_of(random.below(hot)) + random.below(setup.region / count) * count);
}

// Each region is a stream, read forward again and again; they take turns.
void stream_reads(benchmark::State &state, const Setup &setup, uint64_t count) {
  Disk &disk = disk_of(setup);
  std::vector<char> buffer(count);
  uint64_t region = 0, at = 0;
  Columns columns(state, disk);
  for (auto _ : state) {
    disk.read(buffer, disk.start_of(region) + at);
    if (++region == setup.regions) {
      region = 0;
      at = at + count < setup.region ? at + count : 0;
    }
  }
}

// --- Parts alone ----------------------------------------------------------------

constexpr uint32_t kTinyBlock = 512;

// Every read misses, and each new block takes the memory of another.
void evictions(benchmark::State &state) {
  uint32_t slots = static_cast<uint32_t>(state.range(0));
  Geometry geometry(uint64_t{1} << 50, 0, kTinyBlock);
  Result<Slab> slab = Slab::create(slots, kTinyBlock);
  if (!slab)
    die(slab.error().what);
  Stats stats;
  BlockCache cache(geometry, std::move(slab).value(), stats);
  std::vector<char> bytes(kTinyBlock), buffer(kTinyBlock);
  Never never;
  uint64_t next = 0;
  auto read = [&] {
    BlockCache::Claim claim;
    if (!cache.claim({{next++ * 7}, 1}, std::span(&claim, 1), true, never) ||
        claim.found != BlockCache::Found::New)
      die("a block is there that should not be");
    cache.deliver(*claim.block, 0, bytes);
    std::copy_n(claim.block->data(), buffer.size(), buffer.data());
    cache.unpin(*claim.block);
  };
  while (next < slots)
    read();
  for (auto _ : state)
    read();
  state.SetItemsProcessed(state.iterations());
}

// What memory alone makes of it: as many blocks, no cache of ours.  Each copy waits
// for the one before, as each step of a look-up does.
void plain_copies(benchmark::State &state) {
  uint64_t blocks = static_cast<uint64_t>(state.range(0));
  std::vector<char> memory(blocks * kTinyBlock, 'x'), buffer(kTinyBlock, 'x');
  Random random(1);
  for (auto _ : state) {
    uint64_t block = random.below(blocks) ^ static_cast<uint64_t>(buffer[0] - 'x');
    std::copy_n(memory.data() + block * kTinyBlock, buffer.size(), buffer.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

// What the lock of the planner is held for, by the number of streams: in turns,
// in any order, or none of them: readers that jump.
enum class Order { InTurns, Shuffled, Jumping };
void plans(benchmark::State &state, Order order) {
  constexpr uint64_t kApart = 1 * kGiB, kRead = 64 * kKiB;
  uint64_t streams = static_cast<uint64_t>(state.range(0));
  Geometry geometry(kApart * streams, 0, 256 * kKiB);
  Readahead planner(geometry, {.max_window = 64 * kMiB, .budget = 64 * kMiB,
                               .transfer_bytes = 1 * kMiB});
  std::vector<uint64_t> at(streams);
  Random random(1);
  uint64_t i = 0;
  auto read = [&] {
    uint64_t s = order == Order::InTurns ? i++ % streams : random.below(streams);
    uint64_t offset = order == Order::Jumping ? random.below(kApart / kRead) * kRead : at[s];
    at[s] = offset + 2 * kRead <= kApart ? offset + kRead : 0;
    if (planner.observe(s * kApart + offset, kRead, true))
      benchmark::DoNotOptimize(planner.next());
  };
  for (uint64_t n = 0; n < 64 * streams; ++n)
    read();
  for (auto _ : state)
    read();
  state.SetItemsProcessed(state.iterations());
}

// --- The cases, and what is said of them ----------------------------------------

// Shows the best repetition of each, and remembers it.
class Reporter final : public benchmark::ConsoleReporter {
public:
  Reporter() : ConsoleReporter(OO_Tabular) {}

  void ReportRuns(const std::vector<Run> &runs) override {
    const Run *best = nullptr;
    for (const Run &run : runs)
      if (run.run_type == Run::RT_Iteration && (best == nullptr || rate_of(run) > rate_of(*best)))
        best = &run;
    if (best == nullptr)
      return; // means and the like
    rates_[{best->run_name.function_name + "/" + best->run_name.args, best->threads}] =
        rate_of(*best);
    ConsoleReporter::ReportRuns({*best});
  }

  // Reads a second; 0 if it was not run.
  double rate(const std::string &name, int64_t threads) const {
    auto it = rates_.find({name, threads});
    return it == rates_.end() ? 0 : it->second;
  }

private:
  static double rate_of(const Run &run) {
    auto rate = run.counters.find("items_per_second");
    return rate == run.counters.end() ? 0 : static_cast<double>(rate->second);
  }

  std::map<std::pair<std::string, int64_t>, double> rates_;
};

// One line: the same case at its smallest and its largest.
struct Verdict {
  std::string what;
  std::string name[2]; // with arguments
  int64_t threads[2] = {1, 1};
};
std::vector<Verdict> verdicts;

void show(const Reporter &reporter) {
  std::printf("\n%-58s %11s %11s %7s\n", "what a read costs", "at first", "at last", "times");
  for (const Verdict &v : verdicts) {
    double first = reporter.rate(v.name[0], v.threads[0]);
    double last = reporter.rate(v.name[1], v.threads[1]);
    if (first > 0 && last > 0)
      std::printf("%-58s %8.1f ns %8.1f ns %7.2f\n", v.what.c_str(), 1e9 / first, 1e9 / last,
                  first / last);
  }
}

using Body = std::function<void(benchmark::State &)>;

// NAME/VALUE for each of VALUES, which rise.
void grow(const std::string &name, const std::string &what, std::vector<int64_t> values,
          const Body &body) {
  auto *bench = benchmark::RegisterBenchmark(name.c_str(), body);
  for (int64_t value : values)
    bench->Arg(value);
  verdicts.push_back({what,
                      {fmt::format("{}/{}", name, values.front()),
                       fmt::format("{}/{}", name, values.back())}});
}

void threads(const std::string &name, const std::string &what, const Body &body) {
  benchmark::RegisterBenchmark(name.c_str(), body)->ThreadRange(1, 64)->UseRealTime();
  verdicts.push_back({what, {name + "/", name + "/"}, {2, 64}});
}

void register_all() {
  grow("read/image_GiB", "4 KiB, image of 1 GiB .. 5 TiB", {1, 64, 1024, 5120},
       [](benchmark::State &state) {
         random_reads(state, {.size = static_cast<uint64_t>(state.range(0)) * kGiB}, 4 * kKiB, 128);
       });

  // No readahead, for the table of blocks alone.
  auto table = [](int64_t blocks) {
    uint64_t bytes = static_cast<uint64_t>(blocks) * kTinyBlock;
    return Setup{.size = bytes,
                 .block = kTinyBlock,
                 .regions = static_cast<uint64_t>(blocks),
                 .region = kTinyBlock,
                 .slots = static_cast<uint32_t>(blocks),
                 .readahead = false};
  };
  std::vector<int64_t> blocks = {1000, 10'000, 100'000, 1'000'000};
  grow("read/cached_blocks/a_thousand_of_them", "one of 1000, 1e3 .. 1e6 blocks cached", blocks,
       [=](benchmark::State &state) {
         random_reads(state, table(state.range(0)), kTinyBlock, 1000);
       });
  grow("read/cached_blocks/any", "any of them, 1e3 .. 1e6 blocks cached (*)", blocks,
       [=](benchmark::State &state) {
         random_reads(state, table(state.range(0)), kTinyBlock,
                      static_cast<uint64_t>(state.range(0)));
       });
  grow("plain_copy/blocks", "for comparison: memcpy of any of 1e3 .. 1e6 blocks (*)", blocks,
       plain_copies);
  grow("miss_and_evict/cached_blocks", "miss that evicts, 1e3 .. 1e6 blocks cached (*)", blocks,
       evictions);

  std::vector<int64_t> streams = {1, 10, 100, 1000};
  grow("read/streams", "512 bytes, cached, of one of 1 .. 1000 streams", streams,
       [](benchmark::State &state) {
         uint64_t n = static_cast<uint64_t>(state.range(0));
         stream_reads(state,
                      {.size = 5120 * kGiB, .block = 4 * kKiB, .regions = n, .region = 8 * kKiB,
                       .slots = 8192},
                      kTinyBlock);
       });
  grow("plan/streams_in_turns", "planner, 1 .. 1000 streams in turns", streams,
       [](benchmark::State &state) { plans(state, Order::InTurns); });
  grow("plan/streams_shuffled", "planner, 1 .. 1000 streams in any order", streams,
       [](benchmark::State &state) { plans(state, Order::Shuffled); });
  grow("plan/readers_that_jump", "planner, random reads in 1 .. 1000 GiB", streams,
       [](benchmark::State &state) { plans(state, Order::Jumping); });

  threads("read/any_block", "4 KiB, cached, any block, 2 .. 64 threads (**)",
          [](benchmark::State &state) { random_reads(state, {}, 4 * kKiB, 128); });
  threads("read/one_block", "4 KiB, cached, all of one block, 2 .. 64 threads (**)",
          [](benchmark::State &state) { random_reads(state, {}, 4 * kKiB, 1); });
}

} // namespace

int main(int argc, char **argv) {
  if (!curl_library_start().ok())
    die("cannot start libcurl");
  // The user's come last, and count.
  std::string defaults[] = {"--benchmark_min_time=0.1", "--benchmark_repetitions=3"};
  std::vector<char *> arguments = {argv[0], defaults[0].data(), defaults[1].data()};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data()))
    return 1;
  register_all();
  Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  show(reporter);
  std::printf("\n(*)  more than the processor's caches hold: what its memory costs is in it\n"
              "(**) of all threads together: time by the clock / reads done\n");
  disk_of({}); // nothing large is left for the end of the process
  curl_library_end();
  return 0;
}
