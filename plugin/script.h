// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// script.h - one run of a shell command, for what it prints.
//
// `/bin/sh -c COMMAND` runs in a session of its own: all that it starts can be ended
// with it, and nothing of it can stop to ask at a terminal.  It inherits the
// environment, but no descriptors (nbdkit's clients, libcurl's sockets), and no
// blocked or ignored signals; its stdin is /dev/null.  What it writes to stdout and
// stderr comes through pipes of which the ends here do not block: whoever drives it
// waits for descriptors() and next_look(), and calls tend().
//
// It has ended when the shell has, with whatever is in the pipes by then: what the
// command left running in the background may hold them open for ever, and is left
// alone.  A run that takes longer than it may, or prints more than kMostOutput, is
// killed with all of its session.  So it is when this object ends first.
//
// Before nbdkit has set up its signals one of them would end nbdkit and leave the
// command behind, which Ctrl-C at the terminal does not reach.  So while it runs on a
// thread that has SIGINT and the like unblocked (not the engine's) they are held back,
// and one that comes ends the run first.
//
// Threads: one at a time, and start() and the end on the same.  The shell is waited for
// by its own process ID, so other children are left to their parents.
// Errors: LocalIo, if it cannot be started; how it ended is told by how_it_ended().
#ifndef HTTPCACHE_SCRIPT_H
#define HTTPCACHE_SCRIPT_H

#include <array>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "clock.h"
#include "error.h"
#include "unique_fd.h"

namespace httpcache {

class Script {
public:
  struct Setting {
    std::string command;
    std::vector<std::string> variables; // NAME=VALUE, in place of those of the environment
    std::string folder;                 // to run in; if it cannot be entered, the current one
    Duration most;                      // how long
  };

  static constexpr size_t kMostOutput = 64 << 10; // no server takes more in headers

  static Result<std::unique_ptr<Script>> start(const Setting &setting, TimePoint now);
  // Kills it if it runs.
  ~Script();
  Script(const Script &) = delete;

  // Reads what has come.  True: it has ended.
  bool tend(TimePoint now);
  // Not later than then, whatever the descriptors say.
  TimePoint next_look() const { return next_look_; }
  // To be waited for until they can be read; -1: none.
  std::array<int, 2> descriptors() const { return {out_.get(), err_.get()}; }

  // Once it has ended.
  bool succeeded() const { return end_ == End::Exited && code_ == 0; }
  bool took_too_long() const { return end_ == End::TookTooLong; }
  // "ended with exit status 1"
  std::string how_it_ended() const;
  // Of stdout; a secret.
  const std::string &output() const { return output_; }
  // Of stderr, without its line end; the first few KiB of it.
  std::string_view first_complaint() const;

private:
  // SIGINT and the like, while this lives.
  class HeldSignals {
  public:
    HeldSignals();
    ~HeldSignals();
    HeldSignals(const HeldSignals &) = delete;
    bool any_came() const;

  private:
    sigset_t held_; // those that were not blocked before
  };

  enum class End { NotYet, Exited, BySignal, TookTooLong, PrintedTooMuch, Interrupted };

  Script(Duration most, TimePoint now);
  Result<void> spawn(const Setting &setting);
  void read_output();
  void read_complaints();
  void look_for_end();
  void kill_all() noexcept;

  const HeldSignals signals_;
  const Duration most_;
  const TimePoint deadline_;
  TimePoint next_look_;
  Duration pause_{}; // before that, once both pipes are closed
  pid_t pid_ = -1;   // of the shell, until it was waited for
  End end_ = End::NotYet;
  int code_ = 0; // exit status, or signal
  UniqueFd out_, err_;
  std::string output_;
  std::string complaints_; // their beginning
};

} // namespace httpcache

#endif
