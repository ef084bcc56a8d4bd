// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// renewal.h - headers and cookies that scripts print: which are current, and when they
// are got anew.
//
// header-script= and cookie-script= run (script.h) before the first request, when a
// request is to be sent and what they printed is older than header-script-renew= or
// cookie-script-renew=, and after the server has refused it: one *round*, of all that
// are due, one after the other.  Requests that need what they print wait for the end of
// the round, whoever began it, so any number of them cause one run.
//
//   current()  no: wait             tend()  a round has ended: ask, or fail
//   refused()  begins a round       given() what to ask with, and its number
//
// Is it worth renewing what was refused?  Not if it is new, younger than kNew, and never
// yet accepted, or refused to a request that was sent again with it: then its age is not
// the reason, and a server that refuses whatever the scripts print, be it for one place of
// the file or of where it redirects to, would have them run for each read.
//
// A round ends with the first script that fails, and the next request begins another.
// That is Permanent for a script that has never worked, and else Transient: it is then
// tried again like a server that fails (retry.h).  Messages name the parameter, how the
// script ended and the first line of its stderr, and nothing of what it printed, which
// is hidden (redact.h) for as long as a request may carry it.
//
// Threads: the one that drives the engine.  Time is passed in.
#ifndef HTTPCACHE_RENEWAL_H
#define HTTPCACHE_RENEWAL_H

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clock.h"
#include "config.h"
#include "error.h"
#include "redact.h"
#include "script.h"

namespace httpcache {

class Renewal {
public:
  // What the scripts printed.
  struct Given {
    uint64_t number = 0; // of the round; 0: none yet, or there are no scripts
    std::vector<std::string> headers;
    std::string cookie; // empty: none
    PassingSecrets hidden;
  };

  static constexpr Duration kNew = std::chrono::seconds(10);

  explicit Renewal(const Config &config);
  ~Renewal();
  Renewal(const Renewal &) = delete;

  // May a request be sent with what is given()?  If not, a round has begun.
  bool current(TimePoint now);
  // For as long as requests are under way that carry it.
  std::shared_ptr<const Given> given() const { return given_; }

  // The server has refused a request that was sent with round NUMBER's: is it worth...
  bool worth_renewing(uint64_t number, TimePoint now) const;
  // ... that, which begins unless it has been done meanwhile?
  void refused(uint64_t number);
  // The server has accepted one.
  void accepted(uint64_t number);
  // The server has refused one that was sent again for the sake of that.
  void refused_again(uint64_t number);

  // Goes on with a round.  Its end is told once.
  std::optional<Result<void>> tend(TimePoint now);
  // When to call that at the latest, and the descriptors that call for it; -1: none.
  TimePoint next_look() const;
  std::array<int, 2> descriptors() const;

  // Kills a script that runs; the round begins with it again.  For the end, and before
  // a fork: it would be the child of the process that is left behind.
  void abandon() { script_.reset(); }

  // "header-script=", for messages; empty: there are none.
  const std::string &names() const { return names_; }

private:
  struct Source {
    std::string parameter; // header-script=
    std::string command;
    Duration renew{}; // 0: never by age
    bool is_cookie = false;

    bool due = true;
    bool begun_in_round = false;
    bool worked = false;
    unsigned runs = 0;
    TimePoint began{}; // the last run that worked
    std::vector<std::string> lines;
  };

  void add(std::string_view parameter, const std::string &command, uint32_t renew_s,
           bool is_cookie);
  Result<void> start(Source &source, TimePoint now);
  Result<void> take(Source &source, TimePoint now);
  Result<std::vector<std::string>> lines_of(const Source &source) const;
  Error failure(const Source &source, std::string_view what) const;
  void end_round(TimePoint now);

  const std::string url_;
  const std::string folder_;
  const uint32_t timeout_s_;
  std::string names_;
  std::vector<Source> sources_;

  bool in_round_ = false;
  Source *running_ = nullptr; // of the script
  TimePoint run_began_{};
  std::unique_ptr<Script> script_;

  std::shared_ptr<const Given> given_;
  TimePoint given_at_{};
  bool accepted_ = false; // what is given now
  bool in_vain_ = false;  // it was refused again
};

} // namespace httpcache

#endif
