// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "route.h"

#include <algorithm>
#include <climits>

#include <fmt/format.h>

#include "redact.h"

namespace httpcache {

namespace {

// Might another target, which the configured URL leads to by now, not refuse?
bool is_refusal(const Error &error) {
  bool expired = error.http_status == 400; // so some stores call it
  bool page = error.http_status == 200 && error.kind != ErrorKind::Changed;
  return error.unreachable || expired || page || error.http_status == 401 ||
         error.http_status == 403 || error.http_status == 404 || error.http_status == 410;
}

bool is_redirect(const Error &error) {
  return error.http_status >= 300 && error.http_status <= 399;
}

} // namespace

void Route::begin_at(const std::string &target, TimePoint now) {
  target_ = target;
  ++number_;
  stale_ = failing_ = false;
  failures_ = target_failures_ = 0;
  not_before_ = held_until_;
  last_answer_ = now;
}

void Route::leave_target(bool failing) {
  stale_ = true;
  failing_ = failing;
  refusals_ = 0;
  ++number_;
}

Route::Ticket Route::ask(TimePoint now) {
  if (in_doubt())
    not_before_ = now + kPatience;
  return {number_, stale_, in_doubt(), now};
}

bool Route::answered(const Ticket &ticket, const std::string &effective_url, TimePoint now) {
  bool found = ticket.target == number_ && (stale_ || effective_url != target_);
  if (found) {
    target_ = effective_url;
    stale_ = failing_ = false;
  }
  if (failing_ && effective_url == target_)
    stale_ = failing_ = false; // it works again
  if (!stale_) { // else one of the old target's, which says nothing of the search
    last_answer_ = now;
    failures_ = target_failures_ = 0;
    not_before_ = held_until_;
  }
  return found;
}

Route::Fate Route::failed(const Ticket &ticket, const Error &error, TimePoint now,
                          uint64_t most_ms, double random01) {
  bool current = ticket.target == number_;
  if (current && ticket.resolving && failing_) {
    // There is no better one to be found now, and that which fails may recover.
    stale_ = failing_ = false;
    target_failures_ = 0;
    if (error.kind != ErrorKind::Transient || is_refusal(error)) {
      not_before_ = std::max(held_until_, now + backoff(random01));
      return Fate::Refused;
    }
  }
  if (is_refusal(error) || (!current && is_redirect(error))) {
    if (!current || (ticket.resolving && !stale_))
      return Fate::Refused; // what there is to do about it another has begun or done
    if (!stale_ && target_ != url_) {
      leave_target(false);
      not_before_ = held_until_;
      return Fate::Refused;
    }
  }
  if (error.kind != ErrorKind::Transient) {
    if (ticket.in_doubt) // the next may ask
      not_before_ = held_until_;
    bool of_all = error.kind == ErrorKind::Permanent && current && stale_ && ++refusals_ > 1;
    return of_all ? Fate::Shared : Fate::Own;
  }

  if (error.retry_after_s) {
    uint64_t ms =
        std::min<uint64_t>(uint64_t{1000} * *error.retry_after_s, policy_.max_retry_after_ms);
    held_until_ = std::max(held_until_, now + from_ms(static_cast<int64_t>(ms)));
    not_before_ = std::max(not_before_, held_until_);
  }
  if (ticket.begun < last_answer_)
    return Fate::Own;
  if (failures_ > 0 && !ticket.in_doubt)
    return Fate::Doubt; // it began before that was known
  ++failures_;
  if (current && !ticket.resolving && !stale_ && target_ != url_ && ++target_failures_ >= kFailures)
    leave_target(true);
  // Somebody's last attempt is made when his time is over; but readers whose time is over
  // one after the other are not each worth one.
  uint64_t least_ms = hastened_ ? policy_.first_delay_ms : 0;
  Duration most =
      from_ms(static_cast<int64_t>(std::clamp<uint64_t>(most_ms, least_ms, INT32_MAX)));
  Duration wait = backoff(random01);
  hastened_ = most < wait;
  not_before_ = std::max(held_until_, now + std::min(wait, most));
  return ticket.in_doubt ? Fate::Shared : Fate::Doubt;
}

void Route::nobody_waits(TimePoint now, double random01) {
  if (failures_ <= 1)
    return;
  failures_ = 1;
  not_before_ = std::max(held_until_, std::min(not_before_, now + backoff(random01)));
}

Duration Route::backoff(double random01) const {
  RetryPolicy endless = policy_;
  endless.retries = UINT_MAX;
  endless.deadline_ms = 0;
  Error plain{ErrorKind::Transient, EIO, 0, "", {}};
  return from_ms(retry_wait_ms(endless, std::max(1u, failures_), plain, 0, random01).value_or(0));
}

std::string Route::note() const {
  if (!stale_)
    return "";
  return fmt::format(" (asked {} anew, for {}, where it had redirected to, {})",
                     redact_url(url_), redact_url(target_), failing_ ? "failed" : "refused");
}

} // namespace httpcache
