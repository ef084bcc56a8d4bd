// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// setbacks.cc - the part of fetcher.h that sees to what has failed: who tries again,
// who waits for the server, and who is told.

#include "fetcher.h"

#include <algorithm>

#include <fmt/format.h>

#include "log.h"

namespace httpcache {

namespace {

// After a failed prefetch; doubles with each further one.
constexpr int64_t kPrefetchPause_ms = 500;
constexpr unsigned kMaxPauseDoublings = 6; // 32 s

// Readers that wait for so long, until the next attempt, are told of, for their clients
// show nothing; and not again before so long.
constexpr Duration kTellAfter = std::chrono::seconds(5);
constexpr Duration kTellPause = std::chrono::minutes(1);

} // namespace

double Fetcher::chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }

// Until its time is over.
uint64_t Fetcher::left_ms(const Transfer &transfer, TimePoint at) const {
  if (policy_.deadline_ms == 0)
    return UINT32_MAX;
  int64_t left = policy_.deadline_ms - ms_between(transfer.first_attempt, at);
  return static_cast<uint64_t>(std::max<int64_t>(0, left));
}

uint64_t Fetcher::least_left_ms(TimePoint at) const {
  uint64_t least = UINT32_MAX;
  for (const auto &transfer : transfers_)
    if (!transfer->running && transfer->demand)
      least = std::min(least, left_ms(*transfer, at));
  return least;
}

// An attempt has failed.
void Fetcher::failed(Transfer &transfer, Error error, TimePoint at) {
  if (gone_) {
    give_up(transfer, gone_);
    return;
  }
  Route &route = transfer.mirror->route;
  std::string note = transfer.ticket.resolving ? route.note() : "";
  Route::Fate fate = route.failed(transfer.ticket, error, at, least_left_ms(at), chance());
  if (fate == Route::Fate::Refused) {
    log(LogArea::Http, "#{} refused, the configured URL is asked anew: {}", transfer.attempt_id,
        error.what);
    --transfer.attempts; // nor is it the transfer's failure
    --transfer.attempts_in_all;
    ++transfer.refusals;
    transfer.not_before = at;
    return;
  }
  if (transfer.turn_past_caches(error)) {
    log(LogArea::Http, "#{} once more past caches: {}", transfer.attempt_id, error.what);
    --transfer.attempts; // nor is that one
    transfer.not_before = at;
    return;
  }
  error.what += note;
  bool doubt = fate != Route::Fate::Own;
  if (mirrors_.size() > 1 && leave_mirror(transfer, error, doubt, at))
    return;
  if (doubt || error.retry_after_s) // then the route waits, though others were answered
    trouble_ = error;
  if (fate == Route::Fate::Shared && !mirrors_.other_healthy(mirrors_.bit(*transfer.mirror)))
    failed_with(transfer, error, at);
  std::string what = error.what;
  if (!doubt)
    ++transfer.own_failures;
  if (std::optional<uint32_t> wait_ms = wait_or_give_up(transfer, std::move(error), at)) {
    transfer.not_before = doubt ? at : at + from_ms(*wait_ms);
    stats_.retries.add();
    // Not by when the route may be asked: that is also put off while another asks it.
    TimePoint next = at + from_ms(*wait_ms);
    if (next - transfer.first_attempt >= kTellAfter && at >= next_warning_) {
      next_warning_ = at + kTellPause;
      warning(fmt::format("{} (reads wait for it, and it is tried again)", what));
    }
    log(LogArea::Http, "retry in {} ms: {}",
        doubt ? std::max<int64_t>(0, ms_between(at, mirrors_.not_before())) : int64_t{*wait_ms},
        what);
  }
  if (std::all_of(transfers_.begin(), transfers_.end(), [](auto &t) { return t->running; }))
    mirrors_.nobody_waits(at, chance());
}

// True: another mirror is asked now.  Else ERROR is what has become of all of them, and
// Transient if one may yet come to have the object.
bool Fetcher::leave_mirror(Transfer &transfer, Error &error, bool doubt, TimePoint at) {
  if (error.kind == ErrorKind::LocalIo || error.kind == ErrorKind::Cancelled)
    return false;
  Mirror &mirror = *transfer.mirror;
  bool for_good = error.kind != ErrorKind::Transient;
  if (for_good)
    transfer.refused |= mirrors_.bit(mirror);
  if (error.kind == ErrorKind::Changed)
    mirror.changed = true;
  if (for_good || doubt)
    mirrors_.set_aside(mirror, error.what, at, error.retry_after_s);
  // Each once, for they may all have their trouble with these bytes; then there is a wait,
  // unless there were as many attempts as retries= says.
  transfer.left |= mirrors_.bit(mirror);
  if (mirrors_.other_healthy(transfer.refused | transfer.left)) {
    transfer.avoided = transfer.left;
    transfer.not_before = at;
    stats_.retries.add();
    log(LogArea::Http, "another mirror is asked: {}", error.what);
    return true;
  }
  transfer.left = 0;
  if ((mirrors_.known() & ~transfer.refused) != 0)
    error.kind = ErrorKind::Transient;
  else if (std::any_of(mirrors_.begin(), mirrors_.end(),
                       [](const Mirror &m) { return m.known && !m.changed; }))
    error.kind = ErrorKind::Permanent;
  else
    error.kind = ErrorKind::Changed;
  for (const Mirror &other : mirrors_)
    if (&other != &mirror && !other.trouble.empty())
      error.what += fmt::format("; from its mirror: {}", other.trouble);
  return false;
}

// All that wait have failed with OTHER, by ERROR.
void Fetcher::failed_with(const Transfer &other, const Error &error, TimePoint at) {
  std::vector<Transfer *> waiting; // transfers_ changes as they give up
  for (const auto &transfer : transfers_)
    if (!transfer->running && transfer.get() != &other)
      waiting.push_back(transfer.get());
  for (Transfer *transfer : waiting) {
    if (error.kind == ErrorKind::Transient) {
      ++transfer->attempts;
      ++transfer->attempts_in_all;
    }
    ByteSpan bytes = transfer->wanted();
    Error theirs = error;
    theirs.what += fmt::format("; bytes {}-{} waited for that", bytes.first, bytes.last);
    if (theirs.kind == ErrorKind::Permanent && mirrors_.size() > 1) {
      transfer->refused |= mirrors_.bit(*other.mirror);
      if ((mirrors_.known() & ~transfer->refused) != 0)
        theirs.kind = ErrorKind::Transient;
    }
    wait_or_give_up(*transfer, std::move(theirs), at);
  }
}

// Decides between another attempt, and after how long, and giving up.  Prefetch is
// given one only for blocks that somebody has come to wait for: they hold room
// meanwhile.
std::optional<uint32_t> Fetcher::wait_or_give_up(Transfer &transfer, Error error, TimePoint at) {
  if (!transfer.demand) {
    log(LogArea::Readahead, "prefetch failed: {}", error.what);
    no_prefetch_before_ =
        at + from_ms(kPrefetchPause_ms << std::min(prefetch_failures_++, kMaxPauseDoublings));
    transfer.shed_unwanted(std::make_shared<const Error>(error));
    if (transfer.complete()) {
      if (error.kind == ErrorKind::Changed) {
        warning(error.what); // for perhaps no reader comes to tell
        error.told = true;
        gone_ = std::make_shared<const Error>(std::move(error));
      }
      stats_.failures.add();
      recycle(transfer);
      return std::nullopt;
    }
    transfer.demand = true;
  }
  auto elapsed_ms =
      static_cast<uint64_t>(std::max<int64_t>(0, ms_between(transfer.first_attempt, at)));
  if (retry_wait_ms(policy_, transfer.attempts, error, elapsed_ms, 0)) {
    // As long as its own failures are many: what others met says nothing of its bytes.
    unsigned own = std::clamp(transfer.own_failures, 1u, std::max(1u, transfer.attempts));
    return retry_wait_ms(policy_, own, error, elapsed_ms, chance());
  }
  if (transfer.attempts_in_all > 1)
    error.what += fmt::format(" (tried {} times in {:.1f} s)", transfer.attempts_in_all,
                              to_seconds(at - transfer.first_attempt));
  auto shared = std::make_shared<const Error>(std::move(error));
  if (shared->kind == ErrorKind::Changed)
    gone_ = shared;
  give_up(transfer, shared);
  return std::nullopt;
}

void Fetcher::give_up(Transfer &transfer, const std::shared_ptr<const Error> &error) {
  stats_.failures.add();
  while (!transfer.complete())
    cache_.fail(*transfer.blocks[transfer.done++], error);
  recycle(transfer);
}

// The object has changed: what has not been asked for will not be.
void Fetcher::give_up_on_all() {
  while (Block *block = demand_.take_any())
    cache_.fail(*block, gone_);
  for (size_t i = 0; i < transfers_.size();) // give_up() moves another to place i
    if (transfers_[i]->running)
      ++i;
    else
      give_up(*transfers_[i], gone_);
}

// Whose time is over before the server may be asked again need not wait for that.
void Fetcher::give_up_on_late(TimePoint at) {
  for (size_t i = 0; i < transfers_.size();) { // as in give_up_on_all()
    Transfer &transfer = *transfers_[i];
    if (transfer.running || !transfer.demand || !trouble_ || left_ms(transfer, at) > 0) {
      ++i;
      continue;
    }
    ByteSpan bytes = transfer.wanted();
    Error error = *trouble_;
    error.what += fmt::format("; bytes {}-{} waited {:.1f} s for the server", bytes.first,
                              bytes.last, to_seconds(at - transfer.first_attempt));
    if (transfer.attempts_in_all > 1)
      error.what += fmt::format(" (tried {} times)", transfer.attempts_in_all);
    give_up(transfer, std::make_shared<const Error>(std::move(error)));
  }
}

} // namespace httpcache
