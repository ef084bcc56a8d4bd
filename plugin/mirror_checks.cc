// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "mirror_checks.h"

#include <algorithm>

#include <fmt/format.h>

#include "log.h"

namespace httpcache {

namespace {

// A partition table's copy and then some; little beside what a check costs anyway.
constexpr uint64_t kSampleBytes = 64 << 10;

constexpr Duration kLook = std::chrono::milliseconds(50);

} // namespace

ByteSpan sample_span(uint64_t size, size_t index) {
  uint64_t bytes = std::max<uint64_t>(size, 1); // a range cannot be empty
  uint64_t length = std::min(bytes, kSampleBytes);
  return index == 0 ? ByteSpan{bytes - length, bytes - 1} : ByteSpan{0, length - 1};
}

size_t sample_count(uint64_t size) { return size > kSampleBytes ? 2 : 1; }

Result<ObjectInfo> judge_check(const Mirror &mirror, const ResponseHead &head, ByteSpan asked,
                               std::string_view body, const std::string *sample,
                               bool ignore_etag, std::string_view redacted_url) {
  auto other = [&](std::string_view what) {
    return Error{ErrorKind::Permanent, EIO, 0,
                 fmt::format("{}: {}", request_text(redacted_url, asked), what), {}};
  };
  ObjectInfo object = mirror.object;
  if (!mirror.known && mirror.samples == 0) {
    // A 416 of a file that is shorter tells its size.
    if (head.status == 416 && head.content_range && head.content_range->total &&
        *head.content_range->total != mirror.object.size)
      return other(fmt::format("it has {} bytes, the others {}", *head.content_range->total,
                               mirror.object.size));
    Result<ObjectInfo> told = object_from_probe(head, asked, redacted_url);
    if (!told)
      return told;
    object = std::move(told).value();
    if (ignore_etag)
      object.validator = {"", false, object.validator.last_modified};
    if (object.size != mirror.object.size)
      return other(fmt::format("it has {} bytes, the others {}", object.size, mirror.object.size));
  }
  if (object.size == 0)
    return object;
  Result<ByteSpan> span = check_answer(object, head, asked, redacted_url);
  if (!span)
    return std::move(span).error();
  uint64_t told = std::min(span.value().last, asked.last) + 1 - asked.first;
  if (body.size() < told)
    return Error{ErrorKind::Transient, EIO, 0,
                 fmt::format("{}: the answer ended after {} of {} bytes",
                             request_text(redacted_url, asked), body.size(), told),
                 {}};
  if (sample != nullptr) { // either may be shorter than asked
    body = body.substr(0, static_cast<size_t>(std::min<uint64_t>(told, sample->size())));
    auto differs = std::mismatch(body.begin(), body.end(), sample->begin());
    if (differs.first != body.end())
      return other(fmt::format("from byte {} on it has other bytes than the others",
                               asked.first +
                                   static_cast<uint64_t>(differs.first - body.begin())));
  }
  return object;
}

bool MirrorChecks::under_way(const Mirror &mirror) const {
  return std::any_of(checks_.begin(), checks_.end(),
                     [&](const Check &check) { return check.mirror == &mirror; });
}

// Those that did not answer are to be asked again, but nobody waits for that.
bool MirrorChecks::settled() const {
  if (!checks_.empty())
    return false;
  return std::all_of(mirrors_.begin(), mirrors_.end(), [](const Mirror &mirror) {
    return mirror.known || mirror.left_out || !mirror.trouble.empty();
  });
}

void MirrorChecks::run() {
  if (mirrors_.size() == 1)
    return;
  TimePoint until = now() + kPatience;
  for (look(now()); !settled() && now() < until; look(now()))
    engine_.turn(kLook);
  // The rest after the fork.
  for (const Check &check : checks_) {
    engine_.cancel(check.arrival->id());
    check.mirror->check_at = {};
    if (!check.mirror->known)
      warning(fmt::format("the mirror {} does not answer; it is asked again later",
                          redact_url(check.mirror->url)));
  }
  checks_.clear();
  next_look_ = {};
}

void MirrorChecks::look(TimePoint now) {
  if (mirrors_.size() == 1) {
    next_look_ = TimePoint::max();
    return;
  }
  for (size_t i = 0; i < checks_.size();) {
    if (!checks_[i].arrival->done()) {
      ++i;
      continue;
    }
    Check check = std::move(checks_[i]);
    checks_.erase(checks_.begin() + static_cast<ptrdiff_t>(i));
    end(check, now);
  }
  while (Mirror *mirror = due(now))
    begin(*mirror, now);
  next_look_ = TimePoint::max();
  for (const Mirror &mirror : mirrors_)
    if (to_be_checked(mirror))
      next_look_ = std::min(next_look_, mirror.check_at);
}

// One that is known gives those that are not there yet.
size_t MirrorChecks::next_sample(const Mirror &mirror) const {
  if (!mirror.known)
    return mirror.samples;
  return samples_.size() < sample_count(mirror.object.size) ? samples_.size() : 0;
}

// Without its sample, one that is known must give that first.
bool MirrorChecks::to_be_checked(const Mirror &mirror) const {
  if (mirror.left_out || under_way(mirror))
    return false;
  size_t next = next_sample(mirror);
  return next < samples_.size() ? !mirrors_.healthy(mirror) : mirror.known;
}

Mirror *MirrorChecks::due(TimePoint now) {
  for (Mirror &mirror : mirrors_)
    if (to_be_checked(mirror) && now >= mirror.check_at)
      return &mirror;
  return nullptr;
}

void MirrorChecks::begin(Mirror &mirror, TimePoint now) {
  size_t sample = next_sample(mirror);
  // The second follows no redirects again.
  const std::string &url = mirror.samples > 0 ? mirror.route.url() : mirror.url;
  auto arrival = std::make_unique<Arrival>(
      HttpRequest{.url = url,
                  .configured = mirror.url,
                  .range = sample_span(mirror.object.size, sample)});
  checks_.reserve(checks_.size() + 1);
  if (Result<void> started = arrival->start(engine_); !started)
    failed(mirror, started.error(), now);
  else
    checks_.push_back({&mirror, sample, std::move(arrival)});
}

void MirrorChecks::end(const Check &check, TimePoint now) {
  Mirror &mirror = *check.mirror;
  const Arrival &arrival = *check.arrival;
  std::string_view body(arrival.bytes().data(), arrival.bytes().size());
  Result<ObjectInfo> object =
      arrival.head() ? judge_check(mirror, *arrival.head(), arrival.asked(), body,
                                   check.sample < samples_.size() ? &samples_[check.sample]
                                                                  : nullptr,
                                   ignore_etag_, redact_url(arrival.effective_url()))
                     : arrival.error().value_or(Error{});
  if (!object) {
    failed(mirror, arrival.error() && object.error().kind == ErrorKind::Transient
                       ? *arrival.error()
                       : object.error(),
           now);
    return;
  }
  if (check.sample == samples_.size())
    samples_.emplace_back(body);
  mirror.object.validator = object.value().validator;
  mirror.route.begin_at(arrival.effective_url(), now);
  if (!mirror.known && ++mirror.samples < sample_count(mirror.object.size)) {
    mirror.check_at = now;
    return;
  }
  mirror.samples = 0;
  if (std::string text = warning_of_no_validator(mirror.object, ignore_etag_,
                                                 redact_url(arrival.effective_url()));
      !text.empty() && !mirror.known)
    warning(text);
  mirrors_.bring_back(mirror, now);
}

void MirrorChecks::failed(Mirror &mirror, const Error &error, TimePoint now) {
  mirror.trouble = error.what;
  mirror.samples = 0;
  if (!mirror.known && error.kind == ErrorKind::Permanent && error.http_status == 0) {
    mirror.left_out = true;
    warning(fmt::format("the mirror {} is left out: {}", redact_url(mirror.url), error.what));
    return;
  }
  mirrors_.check_later(mirror, now, error.retry_after_s);
  if (mirrors_.to_be_told(mirror, now))
    warning(fmt::format("the mirror {} {}, and is asked again later: {}", redact_url(mirror.url),
                        mirrors_.healthy(mirror) ? "cannot be compared with others"
                                                 : "cannot be used",
                        error.what));
  else
    log(LogArea::Http, "mirror check failed: {}", error.what);
}

} // namespace httpcache
