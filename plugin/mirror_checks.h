// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// mirror_checks.h - asks mirrors whether they have the object, at first and after a
// time aside.
//
// A check is one ranged GET of a *sample* of the object, along redirects from the
// configured URL.  A mirror that is not known must tell the size that all have, and each
// of its samples must be that of one that is known; its validator is what is told with
// the first of them.  One that was aside must have the validator that it had.
//
// The samples are the end and the begin: where images of one kind and size differ.  A
// disk ends with the copy of its partition table, with its GUID, and a file with what
// was written last; but an ISO image and many a raw one end with zeros, and have their
// date or UUID in the first 64K.
//
// What has another size or other bytes is left out for good, with a warning; what does
// not answer, or with an error, is asked again, after up to Mirrors::kMaxAside.
//
// Threads: those that may drive the engine.  Ownership: of the checks under way.
// Errors: none go up; the user is warned.
#ifndef HTTPCACHE_MIRROR_CHECKS_H
#define HTTPCACHE_MIRROR_CHECKS_H

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrival.h"
#include "clock.h"
#include "http_engine.h"
#include "mirrors.h"
#include "object.h"

namespace httpcache {

// Of an object of SIZE; INDEX is from 0 to sample_count() - 1.
ByteSpan sample_span(uint64_t size, size_t index);
size_t sample_count(uint64_t size);

// Does the answer to a check, for ASKED, show that MIRROR has the object?  Then it as it
// is there.  BODY is what has come of it, SAMPLE what should have; without, any may.
// Permanent, with http_status 0: no, it is another.  Changed: not the version it had.
Result<ObjectInfo> judge_check(const Mirror &mirror, const ResponseHead &head, ByteSpan asked,
                               std::string_view body, const std::string *sample,
                               bool ignore_etag, std::string_view redacted_url);

class MirrorChecks {
public:
  // Before the fork, all checks together may take so long.
  static constexpr Duration kPatience = std::chrono::seconds(3);

  // Both must outlive it.
  MirrorChecks(HttpEngine &engine, Mirrors &mirrors, bool ignore_etag)
      : engine_(engine), mirrors_(mirrors), ignore_etag_(ignore_etag) {}

  // Until all are checked or kPatience is over; drives the engine.
  void run();

  // Judges those that have ended and begins those whose time has come.
  void look(TimePoint now);
  TimePoint next_look() const { return next_look_; }

  // The engine has dropped all attempts.
  void all_dropped() { checks_.clear(); }

private:
  struct Check {
    Mirror *mirror;
    size_t sample;
    std::unique_ptr<Arrival> arrival;
  };

  bool settled() const;
  bool under_way(const Mirror &mirror) const;
  size_t next_sample(const Mirror &mirror) const;
  bool to_be_checked(const Mirror &mirror) const;
  Mirror *due(TimePoint now);
  void begin(Mirror &mirror, TimePoint now);
  void end(const Check &check, TimePoint now);
  void failed(Mirror &mirror, const Error &error, TimePoint now);

  HttpEngine &engine_;
  Mirrors &mirrors_;
  const bool ignore_etag_;
  std::vector<std::string> samples_; // those that are there
  std::vector<Check> checks_; // under way
  TimePoint next_look_{};
};

} // namespace httpcache

#endif
