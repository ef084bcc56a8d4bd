// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "image.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <climits>
#include <cstring>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "log.h"
#include "retry.h"

namespace httpcache {

namespace {

// At the start somebody sits before the terminal: a server that is restarting
// is waited for, some two seconds, a wrong host name or port is told soon.
constexpr unsigned kFirstRetries = 3;

RetryPolicy policy_of(const Config &config, unsigned most_retries) {
  RetryPolicy policy;
  policy.retries = std::min(config.retries, most_retries);
  policy.first_delay_ms = config.retry_delay_ms;
  policy.deadline_ms = config.retry_max_time_s * 1000;
  return policy;
}

// A convert's first reads need about as many connections at once.
constexpr uint64_t kScouts = 3;
constexpr uint32_t kMaxScoutBlock = 1 << 20; // more is too much to guess at

// Blocks that one pass of a read pins: at the default block size, all of the
// largest read that nbdkit passes on (64 MiB).
constexpr size_t kClaims = 256;

// NBD_CMD_CACHE requests that may wait; more are dropped, as is allowed.
constexpr size_t kMaxHints = 64;

// A client that reads more than the probe and its scouts brought does not only
// look at the header: it is likely to read the image, from the front, once it has
// read some tables, a round trip or two for each.  The connections that it will
// want then are made meanwhile, by prefetch of so much from the front at each of
// the first misses; and of half of it before the first of them, when a second read
// has to wait for what the probe is bringing: four connections that qemu-img info
// makes in vain, for a convert over 40 ms that ends 0.1 s sooner.
constexpr uint64_t kPreparation = 2 << 20;
constexpr unsigned kPreparations = 3;

// More of what is fetched beyond a miss, once it is read from.
constexpr uint64_t kFollowUp = 512 << 10;

// Before the link is measured: 8 times what flow.h lets be in flight then, and an
// eighth of it.
constexpr uint64_t kFirstTransfer = 512 << 10;
constexpr uint64_t kFirstAhead = 32 << 20;

Readahead::Bounds bounds_for(const Config &config, uint32_t ahead_blocks,
                             uint64_t transfer_bytes, uint64_t ahead_bytes) {
  Readahead::Bounds bounds = Readahead::Bounds::of(
      uint64_t{ahead_blocks} * config.blocksize, config.readahead.value_or(UINT64_MAX),
      transfer_bytes, std::max<uint64_t>(ahead_bytes, config.blocksize));
  bounds.transfer_bytes = std::max<uint64_t>(bounds.transfer_bytes, config.blocksize);
  return bounds;
}

// How many blocks behind the first to ask for at the start, see probe.h: each on
// a connection, none of more than prefetch may use.
unsigned scouts_for(const Config &config) {
  uint64_t most = std::min<uint64_t>(config.connections / 4, config.cache_blocks / 8);
  most = std::min(most, config.readahead.value_or(UINT64_MAX) / config.blocksize);
  bool wanted = config.blocksize <= kMaxScoutBlock;
  return wanted ? static_cast<unsigned>(std::min<uint64_t>(most, kScouts)) : 0;
}

// Lets go of claims, also when an exception ends a read.
struct Pins {
  BlockCache &cache;
  std::span<BlockCache::Claim> claims;
  size_t first = 0; // those before it are let go

  void drop_first() { cache.unpin(*claims[first++].block); }
  ~Pins() {
    while (first < claims.size())
      drop_first();
  }
};

// What of the object the export is.
Result<Geometry> geometry_of(const Config &config, const ObjectInfo &object) {
  auto fail = [&](std::string what) {
    return Error{ErrorKind::Permanent, EINVAL, 0, std::move(what), {}};
  };
  std::string url = redact_url(object.effective_url);
  if (config.offset > object.size)
    return fail(fmt::format("offset={} is beyond the end of {}, which has {} bytes", config.offset,
                            url, object.size));
  uint64_t rest = object.size - config.offset;
  if (config.size && *config.size > rest)
    return fail(fmt::format("size={} from offset={} on reaches {} bytes past the end of {}, which "
                            "has {} bytes; the most is size={}",
                            *config.size, config.offset, *config.size - rest, url, object.size,
                            rest));
  return Geometry(config.size.value_or(rest), config.offset, config.blocksize);
}

} // namespace

Result<std::unique_ptr<Image>> Image::open(const Config &config) {
  auto stats = std::make_unique<Stats>();
  Result<std::unique_ptr<HttpEngine>> engine = HttpEngine::create(config, *stats);
  if (!engine)
    return std::move(engine).error();

  uint64_t wanted = std::min<uint64_t>(config.blocksize, config.size.value_or(UINT64_MAX));
  Probe probe(*engine.value(), *stats);
  Result<Probe::Found> found =
      probe.run(config.urls(), {config.offset, config.offset + wanted - 1}, scouts_for(config),
                policy_of(config, kFirstRetries));
  if (!found)
    return std::move(found).error();
  ObjectInfo &object = found.value().object;
  if (config.ignore_etag)
    object.validator = {"", false, object.validator.last_modified};
  Result<Geometry> geometry = geometry_of(config, object);
  if (!geometry)
    return std::move(geometry).error();
  if (std::string text = warning_of_no_validator(object, config.ignore_etag,
                                                 redact_url(object.effective_url));
      !text.empty())
    warning(text);

  // No more memory than the export can fill.
  uint64_t slots = std::clamp<uint64_t>(geometry.value().block_count(), 1, config.cache_blocks);
  Result<Slab> slab = Slab::create(static_cast<uint32_t>(slots), config.blocksize);
  if (!slab)
    return std::move(slab).error();
  log(LogArea::Http, "object {} size={} {} export offset={} size={} blocks={}x{} cache={}",
      redact_url(object.effective_url), object.size, describe(object.validator), config.offset,
      geometry.value().export_size(), geometry.value().block_count(), config.blocksize, slots);
  std::unique_ptr<Image> image(
      new Image(config, {std::move(stats), std::move(engine).value(), std::move(found).value(),
                         geometry.value(), std::move(slab).value()}));
  image->engine_->before_fork();
  return image;
}

Image::Image(const Config &config, Opened &&opened)
    : config_(config), stats_(std::move(opened.stats)), object_(opened.found.object),
      geometry_(opened.geometry), cache_(geometry_, std::move(opened.slab), *stats_),
      engine_(std::move(opened.engine)),
      fetcher_(*engine_, cache_, *this, geometry_, object_, config.urls(), opened.found.place,
               config.ignore_etag, config.connections, policy_of(config, UINT_MAX), *stats_),
      readahead_(geometry_,
                 bounds_for(config, cache_.ahead_limit(), kFirstTransfer, kFirstAhead)) {
  if (opened.found.arrivals.size() > 1) { // with scouts: the way is long
    preparations_ = kPreparations;
    prepared_ = {opened.found.arrivals.size()};
  }
  for (const auto &arrival : opened.found.arrivals) {
    Block *block = nullptr;
    uint64_t at = arrival->asked().first - config_.offset;
    if (at < geometry_.export_size() &&
        cache_.claim_ahead({geometry_.block_of(at), 1}, std::span(&block, 1), false) == 1)
      fetcher_.adopt(*arrival, *block);
    else if (!arrival->done())
      engine_->cancel(arrival->id());
  }
  fetcher_.check_mirrors();
}

Image::~Image() { stop(); }

Result<void> Image::start() {
  MutexLock lock(start_mu_);
  if (started_)
    return {};
  Result<void> started = engine_->start_thread();
  started_ = started.ok();
  return started;
}

void Image::stop() {
  if (std::exchange(stopped_, true))
    return;
  engine_->stop();
  if (log_on(LogArea::Stats))
    for (const std::string &line : stats_->lines(cache_.peak_bytes()))
      log(LogArea::Stats, "{}", line);
}

std::string Image::description() const {
  std::string text = fmt::format("{}, {} bytes", redact_url(object_.effective_url), object_.size);
  if (config_.offset > 0 || config_.size)
    text += fmt::format(", of them {} from {} on", size(), config_.offset);
  return text + ", " + describe(object_.validator);
}

Result<void> Image::read(std::span<char> buffer, uint64_t offset, CancelCheck &cancel) {
  // Two looks at the clock take as long as all the rest of a short read.
  const bool timed = log_on(LogArea::Stats);
  TimePoint begin = timed ? now() : TimePoint{};
  BlockRun run = geometry_.run_of(offset, buffer.size());
  Result<void> result;
  for (bool first = true; run.count > 0 && result; first = false)
    result = read_some(run, buffer, offset, first, cancel);
  stats_->reads.add();
  if (timed)
    stats_->read_time.add(now() - begin);
  if (result)
    stats_->bytes_served.add(buffer.size());
  else
    stats_->read_errors.add();
  return result;
}

// Serves as many blocks from the front of RUN as can be had at once, and takes
// them off.
Result<void> Image::read_some(BlockRun &run, std::span<char> buffer, uint64_t offset, bool first,
                              CancelCheck &cancel) {
  std::array<BlockCache::Claim, kClaims> claims;
  Result<size_t> claimed = cache_.claim(run, claims, true, cancel);
  if (!claimed)
    return std::move(claimed).error();
  std::span<BlockCache::Claim> mine = std::span(claims).first(claimed.value());
  Pins pins{cache_, mine};

  std::array<Block *, kClaims> missing;
  size_t missed = 0, joined = 0;
  for (const BlockCache::Claim &claim : mine) {
    if (claim.found == BlockCache::Found::New)
      missing[missed++] = claim.block;
    else if (claim.found == BlockCache::Found::Arriving)
      ++joined;
  }
  size_t hit = mine.size() - missed - joined;
  // A read of so many blocks that it takes several rounds is a stream by itself.
  Planned planned{.streaming = true};
  if (first) {
    try {
      planned = plan(offset, buffer.size(), missed > 0, missed + joined > 0);
    } catch (const std::bad_alloc &) { // the missing blocks must be asked for all the same
      planned = {};
    }
  }
  if (missed > 0)
    fetcher_.fetch(std::span(missing).first(missed),
                   planned.streaming ? Demand::Reader::Streaming : Demand::Reader::Jumping);
  else if (planned.more)
    fetcher_.poke();
  if (hit < mine.size()) {
    stats_->blocks_missed.add(missed);
    stats_->blocks_joined.add(joined);
  }
  stats_->blocks_hit.add(hit);
  log(LogArea::Cache, "read {}+{} blocks {}+{} hit={} joined={} missed={}", offset, buffer.size(),
      run.first.value, mine.size(), hit, joined, missed);

  for (; pins.first < mine.size(); pins.drop_first()) {
    Block &block = *mine[pins.first].block;
    BlockPart part = geometry_.part_of(block.index(), offset, buffer.size());
    if (Result<void> there = cache_.wait(block, part.end, cancel); !there)
      return there;
    uint64_t at = geometry_.start_of(part.block) + part.begin - offset;
    std::memcpy(buffer.data() + at, block.data() + part.begin, part.end - part.begin);
  }
  run = {run.first + mine.size(), run.count - mine.size()};
  return {};
}

// Tells the planner of a read.
Image::Planned Image::plan(uint64_t offset, uint64_t count, bool missed, bool waited) {
  Planned planned;
  if (config_.readahead == 0u)
    return planned;
  MutexLock lock(plan_mu_);
  planned.more = readahead_.observe(offset, count, waited);
  planned.streaming = readahead_.streaming();
  planned.more |= follow_up(geometry_.run_of(offset, count));
  if (preparations_ > 0) {
    bool second_wait = !missed && waited && ++waits_ == 2;
    if (missed || second_wait)
      planned.more |= prepare(second_wait ? kPreparation / 2 : kPreparation);
  }
  return planned;
}

void Image::prefetch(uint64_t offset, uint64_t count) {
  stats_->cache_requests.add();
  {
    MutexLock lock(plan_mu_);
    BlockRun run = geometry_.run_of(offset, count);
    if (run.count == 0 || hints_.size() >= kMaxHints)
      return;
    hints_.push_back(run);
  }
  fetcher_.poke();
}

size_t Image::next_prefetch(std::span<Block *> out) {
  for (;;) {
    if (current_run_.count == 0) {
      MutexLock lock(plan_mu_);
      current_plan_.reset();
      if (!hints_.empty()) {
        current_run_ = hints_.front();
        hints_.pop_front();
      } else if ((current_plan_ = readahead_.next())) {
        current_run_ = current_plan_->run;
        log(LogArea::Readahead, "stream {} plans blocks {}+{}", current_plan_->stream,
            current_run_.first.value, current_run_.count);
      } else {
        return 0;
      }
    }
    bool no_room = false;
    // A client's hint is taken only as far as there is room.
    size_t n = claim_of(current_run_, out, current_plan_.has_value(), no_room);
    if (n > 0)
      return n;
    if (!no_room)
      continue; // all of it is there already
    log(LogArea::Readahead, "no room for blocks {}+{}", current_run_.first.value,
        current_run_.count);
    MutexLock lock(plan_mu_);
    if (current_plan_)
      readahead_.give_back(*current_plan_, current_run_.count);
    current_run_ = {};
    return 0;
  }
}

// Whole blocks that the user lets be fetched ahead.
uint64_t Image::most_ahead() const {
  return config_.readahead.value_or(UINT64_MAX) / geometry_.block_size();
}

// Has BYTES more of the export's front fetched.
bool Image::prepare(uint64_t bytes) {
  --preparations_;
  uint64_t blocks = bytes / geometry_.block_size();
  // The probe has read the first block.
  uint64_t end = std::min(geometry_.block_count(), 1 + most_ahead());
  if (blocks == 0 || prepared_.value >= end || hints_.size() >= kMaxHints)
    return false;
  BlockRun run{prepared_, std::min(blocks, end - prepared_.value)};
  prepared_ = run.end();
  hints_.push_back(run);
  return true;
}

// The reader has come to what was fetched beyond a miss: go on behind it, but not
// further than the user lets it be fetched ahead of the read.
bool Image::follow_up(const BlockRun &read) {
  std::optional<BlockIndex> begin = locality_.read(read);
  uint64_t end = std::min(geometry_.block_count(), read.end().value + most_ahead());
  if (!begin || begin->value >= end || !hints_.empty())
    return false; // what waits longer comes too late
  uint64_t blocks = std::max<uint64_t>(1, kFollowUp / geometry_.block_size());
  BlockRun run{*begin, std::min(blocks, end - begin->value)};
  if (cache_.count_leading(run, true) == run.count)
    return false;
  hints_.push_back(run);
  locality_.extended(run);
  return true;
}

size_t Image::next_beyond(BlockIndex after, std::span<Block *> out) {
  uint64_t most = std::min(most_ahead(), geometry_.block_count() - after.value - 1);
  BlockRun run{after + 1, std::min<uint64_t>(out.size(), most)};
  {
    MutexLock lock(plan_mu_);
    if (run.count == 0 || !locality_.worthwhile())
      return 0;
  }
  run.count = cache_.claim_ahead(run, out, false);
  if (run.count > 0) {
    MutexLock lock(plan_mu_);
    locality_.extended(run);
  }
  return run.count;
}

// Claims the first absent stretch of RUN and takes off what is done with.
size_t Image::claim_of(BlockRun &run, std::span<Block *> out, bool replace_unread,
                       bool &no_room) {
  uint64_t present = cache_.count_leading(run, true);
  run = {run.first + present, run.count - present};
  if (run.count == 0)
    return 0;
  size_t n = cache_.claim_ahead(run, out, replace_unread);
  no_room = n == 0;
  run = {run.first + n, run.count - n};
  return n;
}

void Image::link_changed(uint64_t transfer_bytes, uint64_t ahead_bytes) {
  MutexLock lock(plan_mu_);
  readahead_.set_bounds(bounds_for(config_, cache_.ahead_limit(), transfer_bytes, ahead_bytes));
}

} // namespace httpcache
