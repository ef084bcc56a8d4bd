// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "fetcher.h"

#include <algorithm>
#include <cassert>
#include <tuple>

#include <fmt/format.h>

#include "log.h"

namespace httpcache {

namespace {

// A complete answer that is shorter than asked is legal (RFC 9110 15.3.7; nginx
// gives such at slice edges), and is progress from one disk sector on.
constexpr uint64_t kShortAnswerBytes = 512;

// A new connection's handshakes alone, TCP's and TLS 1.3's, until one was measured, in
// round trips.
constexpr double kConnectTrips = 2;

// Most that a demand transfer asks for when it is made longer.
constexpr uint64_t kMaxWithBeyond = 768 << 10;

constexpr Duration kIdle = std::chrono::hours(1);

// By more than a quarter of what was told last?
bool differs(uint64_t value, uint64_t told) {
  return value > told + told / 4 || value < told - told / 4;
}

} // namespace

Fetcher::Fetcher(HttpEngine &engine, BlockCache &cache, PrefetchSource &source,
                 const Geometry &geometry, const ObjectInfo &object,
                 std::span<const std::string> urls, size_t first, bool ignore_etag,
                 unsigned connections, const RetryPolicy &policy, Stats &stats)
    : engine_(engine), cache_(cache), source_(source), geometry_(geometry), policy_(policy),
      stats_(stats),
      // No more blocks can be new at a time; with room for all, fetch() cannot fail
      // and leave a block that nobody brings.
      demand_(cache.capacity()),
      mirrors_(urls, first, object, policy, geometry.block_size(), connections),
      checks_(engine, mirrors_, ignore_etag),
      no_memory_(std::make_shared<const Error>(no_memory("fetching blocks"))),
      random_(std::random_device{}()) {
  engine_.set_client(*this);
}

Fetcher::~Fetcher() = default;

void Fetcher::fetch(std::span<Block *const> blocks, Demand::Reader reader) {
  demand_.add(blocks, reader);
  engine_.wake();
}

void Fetcher::poke() {
  if (hungry_.load())
    engine_.wake();
}

void Fetcher::adopt(const Arrival &arrival, Block &block) {
  TimePoint at = now();
  Block *run[] = {&block};
  Transfer &transfer = new_transfer(run, false);
  transfer.first_attempt = transfer.this_attempt = transfer.not_before = at;
  transfer.attempts = transfer.attempts_in_all = 1;
  Mirror &mirror = mirrors_.first();
  transfer.ask(mirror);
  transfer.ticket = mirror.route.ticket_of_probe(at);
  bool wanted = !arrival.head() || transfer.on_head(*arrival.head(), arrival.effective_url());
  mirrors_.began(mirror, transfer.missing(), at);
  transfer.asked_with = mirror.in_flight;
  if (wanted && arrival.head())
    wanted = transfer.on_body(arrival.bytes());
  if (wanted && !arrival.done()) {
    transfer.attempt_id = arrival.id();
    transfer.running = true;
    engine_.hand_over(arrival.id(), transfer);
    return;
  }
  // What is missing is asked for in the ordinary way, on the first turn.
  if (!arrival.done())
    engine_.cancel(arrival.id());
  mirrors_.ended(mirror, transfer.missing(), at);
  if (transfer.complete())
    recycle(transfer);
}

void Fetcher::check_mirrors() {
  only_checks_ = true;
  checks_.run();
  only_checks_ = false;
}

TimePoint Fetcher::on_turn(TimePoint at) {
  if (only_checks_)
    return at + kIdle;
  demand_.take_inbox();
  if (bool jumping = demand_.jumping(at); jumping != mirrors_.queue_is_short()) {
    log(LogArea::Readahead, "{}",
        jumping ? "readers jump: the queue is kept short" : "no reader jumps any more");
    mirrors_.keep_queue_short(jumping);
  }
  checks_.look(at);
  if (gone_) {
    give_up_on_all();
  } else if (mirrors_.clear(at)) {
    leave_silent(at);
    overtake_laggards(at);
    replace_slow(at);
  }
  start_waiting(at);
  start_demand(at);
  start_prefetch(at);
  if (!mirrors_.may_ask(at)) {
    line_up_demand(at);
    give_up_on_late(at);
  }
  return next_turn(at);
}

TimePoint Fetcher::next_turn(TimePoint at) const {
  TimePoint next = std::min(at + kIdle, checks_.next_look());
  bool may_ask = mirrors_.may_ask(at);
  for (const auto &transfer : transfers_)
    if (!transfer->running && may_ask && transfer->not_before > at)
      next = std::min(next, transfer->not_before);
    else if (!transfer->running && !may_ask && transfer->demand && trouble_)
      next = std::min(next, at + from_ms(static_cast<int64_t>(left_ms(*transfer, at))));
  next = std::min(next, mirrors_.next_may_ask(at));
  if (no_prefetch_before_ > at)
    next = std::min(next, no_prefetch_before_);
  if (engine_.active() > 0)
    next = std::min(next, at + kLookTick); // also ends demand's wait for a connection
  return next;
}

// What was wanted fails; what comes to be wanted may be had again.
void Fetcher::on_no_memory() noexcept {
  for (Block *block : batch_) // not yet all claimed, perhaps
    if (block != nullptr)
      cache_.fail(*block, no_memory_);
  batch_.clear();
  for (const auto &transfer : transfers_)
    while (!transfer->complete())
      cache_.fail(*transfer->blocks[transfer->done++], no_memory_);
  transfers_.clear();
  while (Block *block = demand_.take_any())
    cache_.fail(*block, no_memory_);
  mirrors_.all_dropped();
  checks_.all_dropped();
  stats_.failures.add();
}

// While the server may not be asked: what readers wait for waits in line, so that it
// shares what becomes of the attempts of others, and its time runs.
void Fetcher::line_up_demand(TimePoint at) {
  size_t most = static_cast<size_t>(std::max<uint64_t>(
      1, mirrors_.transfer_bytes() / geometry_.block_size()));
  while (std::optional<Demand::Reader> reader = demand_.next(true)) {
    demand_.take(*reader, most, batch_, at);
    Transfer &transfer = new_transfer(batch_, true);
    batch_.clear();
    transfer.for_stream = *reader == Demand::Reader::Streaming;
    transfer.first_attempt = transfer.not_before = at;
  }
}

void Fetcher::start_waiting(TimePoint at) {
  while (mirrors_.free_connections() > 0 && mirrors_.may_ask(at) && start_one_waiting(at))
    ;
}

// Of those whose time has come and that a mirror may be asked for: who was refused most,
// for it cannot go round when such a one asks; then who was tried least, for it may be
// the bytes that another wants with which the server has its trouble.
bool Fetcher::start_one_waiting(TimePoint at) {
  Transfer *best = nullptr;
  Mirror *mirror = nullptr;
  auto rank = [](const Transfer &t) {
    return std::tuple(-static_cast<int64_t>(t.refusals), !t.demand, t.attempts);
  };
  for (const auto &transfer : transfers_) {
    if (transfer->running || transfer->not_before > at ||
        (best != nullptr && rank(*best) <= rank(*transfer)))
      continue;
    Mirrors::Set not_those = transfer->refused | transfer->avoided;
    // Not if the others are aside, too, or want to be left alone.
    if (!mirrors_.other_healthy(not_those) || !mirrors_.may_ask(at, not_those))
      not_those = transfer->refused;
    if (Mirror *asked = mirrors_.soonest(transfer->missing(), at, not_those)) {
      best = transfer.get();
      mirror = asked;
    }
  }
  if (best == nullptr)
    return false;
  start(*best, *mirror, at);
  return true;
}

void Fetcher::start_demand(TimePoint at) {
  size_t most = static_cast<size_t>(std::max<uint64_t>(
      1, mirrors_.transfer_bytes() / geometry_.block_size()));
  while (Mirror *mirror = mirrors_.soonest(geometry_.block_size(), at)) {
    std::optional<Demand::Reader> reader = demand_.next(streams_may_go_on());
    if (!reader || soon_a_free_connection(*mirror, at))
      return;
    demand_.take(*reader, most, batch_, at);
    add_what_follows(*mirror);
    Transfer &transfer = new_transfer(batch_, true);
    batch_.clear();
    transfer.for_stream = *reader == Demand::Reader::Streaming;
    start(transfer, *mirror, at);
  }
}

// Streams alone may ask for all that they wait for: what stands in the queue then
// delays nobody else.  Beside readers that jump, only for what keeps the wire full,
// but always for something.
bool Fetcher::streams_may_go_on() const {
  if (!mirrors_.queue_is_short())
    return true;
  uint64_t asked = 0;
  for (const auto &transfer : transfers_)
    if (transfer->running && transfer->for_stream)
      asked += transfer->missing();
  return asked == 0 || (asked < mirrors_.limit() &&
                        mirrors_.free_connections() > mirrors_.reserved_connections());
}

// Makes the demand transfer in batch_, of MIRROR, longer.
void Fetcher::add_what_follows(const Mirror &mirror) {
  size_t n = batch_.size();
  size_t most = static_cast<size_t>(kMaxWithBeyond / geometry_.block_size());
  size_t beyond = static_cast<size_t>(mirror.flow.bytes_worth_a_trip() / geometry_.block_size());
  if (gone_ || n >= most || beyond == 0)
    return;
  BlockIndex last = batch_.back()->index();
  batch_.resize(std::min(most, n + beyond));
  n += source_.next_beyond(last, std::span(batch_).subspan(n));
  batch_.resize(n);
}

// Would demand do better to wait for a connection than to have one made?
bool Fetcher::soon_a_free_connection(const Mirror &mirror, TimePoint at) {
  double trip = mirror.flow.round_trip_s();
  if (trip == 0)
    trip = to_seconds(engine_.handshake_trip().value_or(Duration::zero()));
  double connect_s = mirror.connect_s > 0 ? mirror.connect_s : kConnectTrips * trip;
  double soonest_s = connect_s;
  // With fewer connections than requests, requests share them and need not wait.
  if (engine_.connections() == engine_.active() && engine_.active() > 0)
    for (const auto &transfer : transfers_) {
      if (!transfer->running || transfer->mirror != &mirror)
        continue;
      if (engine_.multiplexed(transfer->attempt_id))
        return false; // they share a connection that is there
      soonest_s = std::min(soonest_s, transfer->left_s(at, trip));
    }
  if (soonest_s < connect_s) {
    if (!held_since_)
      held_since_ = at;
    if (to_seconds(at - *held_since_) < connect_s)
      return true;
  }
  held_since_.reset();
  return false;
}

void Fetcher::start_prefetch(TimePoint at) {
  if (gone_ || at < no_prefetch_before_)
    return;
  uint64_t transfer = mirrors_.transfer_bytes(), limit = mirrors_.limit(),
           ahead = mirrors_.ahead_bytes();
  if (transfer != told_transfer_ || differs(limit, told_limit_) || differs(ahead, told_ahead_)) {
    told_transfer_ = transfer;
    told_limit_ = limit;
    told_ahead_ = ahead;
    for (const Mirror &mirror : mirrors_)
      if (mirrors_.healthy(mirror))
        log(LogArea::Readahead,
            "link rate={:.1f}MB/s trip={:.1f}ms think={:.1f}ms in_flight_limit={} transfer={}",
            mirror.flow.bytes_per_second() / 1e6, mirror.flow.round_trip_s() * 1e3,
            mirror.flow.think_s() * 1e3, mirror.flow.limit(), mirror.flow.transfer_bytes());
    source_.link_changed(transfer, ahead);
  }
  hungry_.store(false);
  while (start_one_prefetch(at))
    ;
}

bool Fetcher::start_one_prefetch(TimePoint at) {
  // Prefetch may have a connection made while demand waits for one in use.
  if (!demand_.empty() && !held_since_)
    return false;
  Mirror *mirror = mirrors_.least_busy(at);
  if (mirror == nullptr)
    return false;
  // In its first round trips a new connection brings little: more of them, with less
  // each, fill a link sooner.
  uint64_t length = mirror->flow.transfer_bytes();
  if (engine_.connections() <= engine_.active())
    length /= 2;
  batch_.assign(static_cast<size_t>(std::max<uint64_t>(1, length / geometry_.block_size())),
                nullptr);
  size_t n = source_.next_prefetch(batch_);
  if (n == 0) {
    // Readers that add to the plan from here on wake us; look once more for
    // what was added just before.
    hungry_.store(true);
    n = source_.next_prefetch(batch_);
    if (n == 0)
      return false;
    hungry_.store(false);
  }
  Transfer &transfer = new_transfer(std::span(batch_).first(n), false);
  batch_.clear();
  start(transfer, *mirror, at);
  return true;
}

Transfer &Fetcher::new_transfer(std::span<Block *const> blocks, bool demand) {
  std::unique_ptr<Transfer> transfer;
  if (!spare_.empty()) {
    transfer = std::move(spare_.back());
    spare_.pop_back();
  } else {
    Transfer::Owner &owner = *this;
    transfer = std::make_unique<Transfer>(owner, cache_, geometry_);
  }
  transfer->reset(blocks, demand);
  transfers_.push_back(std::move(transfer));
  return *transfers_.back();
}

void Fetcher::start(Transfer &transfer, Mirror &mirror, TimePoint at) {
  ByteSpan range = transfer.ask(mirror);
  transfer.warm = engine_.connections() > engine_.active();
  HttpRequest request{.url = mirror.route.url(),
                      .configured = mirror.url,
                      .range = range,
                      .past_caches = transfer.past_caches()};
  transfer.ticket = mirror.route.ask(at);
  Result<HttpEngine::AttemptId> started = engine_.start(request, transfer);
  if (transfer.attempts == 0)
    transfer.first_attempt = at;
  ++transfer.attempts;
  ++transfer.attempts_in_all;
  if (!started) {
    failed(transfer, std::move(started).error(), at);
    return;
  }
  transfer.attempt_id = started.value();
  transfer.this_attempt = at;
  transfer.running = true;
  mirrors_.began(mirror, range.length(), at);
  transfer.asked_with = mirror.in_flight;
  if (log_on(LogArea::Http))
    log(LogArea::Http, "#{} {} blocks {}+{} attempt {}", transfer.attempt_id,
        transfer.demand ? "demand" : "prefetch",
        transfer.blocks[transfer.done]->index().value,
        transfer.blocks.size() - transfer.done, transfer.attempts_in_all);
}

void Fetcher::accepted(Transfer &transfer, const std::string &effective_url) {
  TimePoint at = now();
  Mirror &mirror = *transfer.mirror;
  bool was_clear = mirrors_.clear(at);
  if (mirror.route.answered(transfer.ticket, effective_url, at))
    log(LogArea::Http, "#{} target from now on: {}", transfer.attempt_id,
        redact_url(effective_url));
  mirrors_.answered(mirror, transfer.ticket.begun, at);
  if (!was_clear && mirrors_.clear(at)) { // all that has waited goes on
    no_prefetch_before_ = {};
    prefetch_failures_ = 0;
    trouble_.reset();
  }
}

void Fetcher::arrived(Transfer &transfer, uint64_t bytes, TimePoint at) {
  mirrors_.arrived(*transfer.mirror, bytes, at);
}

// An attempt is over.
void Fetcher::ended(Transfer &transfer, const HttpOutcome &outcome) {
  TimePoint at = now();
  Mirror &mirror = *transfer.mirror;
  transfer.running = false;
  mirrors_.ended(mirror, transfer.missing(), at);
  // Not the time that a connection took: a server that thinks before it answers
  // must be asked for that much more at a time, and a proxy may be near.
  mirror.flow.round_trip(transfer.asked_with, outcome.answer_time, at);
  mirror.flow.answered(transfer.received, outcome.total_time - outcome.first_byte_time);
  if (outcome.new_connection && outcome.answer_time > Duration::zero()) {
    double connect_s = to_seconds(outcome.first_byte_time - outcome.answer_time);
    mirror.connect_s = mirror.connect_s == 0 ? connect_s : std::min(mirror.connect_s, connect_s);
  }

  if (transfer.complete()) {
    mirrors_.delivered(mirror);
    mirrors_.took(mirror, at - transfer.this_attempt);
    if (!transfer.demand)
      prefetch_failures_ = 0;
    recycle(transfer);
    return;
  }
  bool progress = transfer.credit_progress(at);
  if (transfer.verdict) {
    failed(transfer, *std::move(transfer.verdict), at);
    return;
  }
  if (!outcome.error && !transfer.broke_off()) {
    // Shorter than asked, as its head had said.  Ask for the rest.
    if (transfer.received >= kShortAnswerBytes)
      transfer.attempts = 0;
    if (transfer.attempts <= policy_.retries) {
      transfer.not_before = at;
      return;
    }
  }
  Error error = outcome.error
                    ? *outcome.error
                    : Error{ErrorKind::Transient, EIO, 0,
                            fmt::format("{}: the answer ended after {} of {} bytes",
                                        transfer.request(), transfer.received,
                                        transfer.asked().length()),
                            {}};
  if (progress && error.kind == ErrorKind::Transient) {
    stats_.retries.add();
    transfer.not_before = at; // the server works: go on at once
    return;
  }
  failed(transfer, std::move(error), at);
}

void Fetcher::recycle(Transfer &transfer) {
  auto at = std::find_if(transfers_.begin(), transfers_.end(),
                         [&](const auto &t) { return t.get() == &transfer; });
  assert(at != transfers_.end());
  spare_.push_back(std::move(*at));
  *at = std::move(transfers_.back());
  transfers_.pop_back();
}

} // namespace httpcache
