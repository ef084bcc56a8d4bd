// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "script.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "build_config.h"

#if !HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP // glibc before 2.34, musl
#include <filesystem>
#endif

namespace httpcache {

namespace {

// A shell that has closed its output is about to end, most likely; it is looked for at
// ever longer intervals.  Otherwise its pipes tell, unless something else holds them.
constexpr Duration kFirstPause = std::chrono::milliseconds(1);
constexpr Duration kLongestPause = std::chrono::milliseconds(50);

// What is killed is gone at once, unless it hangs in the kernel.
constexpr int kReapMs = 1000;

constexpr size_t kMostComplaints = 4 << 10;

constexpr size_t kPiece = 4 << 10;

Error cannot(const char *what, int error) {
  return {ErrorKind::LocalIo, error == ENOMEM ? ENOMEM : EIO, 0,
          fmt::format("could not be run: {}: {}", what, strerror(error)), {}};
}

// The ends to read from and to write to, neither of which is one of the three that the
// child's are to become.
Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0)
    return cannot("pipe", errno);
  std::pair<UniqueFd, UniqueFd> ends{UniqueFd(fds[0]), UniqueFd(fds[1])};
  for (UniqueFd *end : {&ends.first, &ends.second})
    if (end->get() <= STDERR_FILENO) {
      int moved = ::fcntl(end->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
      if (moved < 0)
        return cannot("pipe", errno);
      end->reset(moved);
    }
  if (::fcntl(ends.first.get(), F_SETFL, O_NONBLOCK) != 0)
    return cannot("pipe", errno);
  return ends;
}

// What posix_spawn wants to know; all of its functions return an error number.
class Spawning {
public:
  Spawning() {
    note(posix_spawn_file_actions_init(&actions_));
    note(posix_spawnattr_init(&attributes_));
  }
  ~Spawning() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Spawning(const Spawning &) = delete;

  void output_to(int out, int err) {
    note(posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
    note(posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO));
    note(posix_spawn_file_actions_adddup2(&actions_, err, STDERR_FILENO));
  }

  // nbdkit and libraries have some that are not close-on-exec.
  void close_others() {
#if HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP
    note(posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1));
#else
    std::error_code none;
    for (const auto &entry : std::filesystem::directory_iterator("/proc/self/fd", none)) {
      int fd = std::atoi(entry.path().filename().c_str());
      if (fd > STDERR_FILENO && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
        note(posix_spawn_file_actions_addclose(&actions_, fd));
    }
#endif
  }

  // Not the folder of a user that nbdkit is no more (its -u).
  void run_in(const std::string &folder) {
    if (!folder.empty() && ::faccessat(AT_FDCWD, folder.c_str(), X_OK, AT_EACCESS) == 0)
      note(posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str()));
  }

  void start_afresh() {
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    for (int signal : {SIGPIPE, SIGCHLD, SIGINT, SIGQUIT})
      sigaddset(&usual, signal);
    note(posix_spawnattr_setsigmask(&attributes_, &none));
    note(posix_spawnattr_setsigdefault(&attributes_, &usual));
    note(posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  }

  // The shell's process ID.
  Result<pid_t> shell(const std::string &command, const std::vector<std::string> &environment) {
    std::string sh = "sh", c = "-c", end_of_options = "--", text = command;
    char *const arguments[] = {sh.data(), c.data(), end_of_options.data(), text.data(), nullptr};
    std::vector<char *> variables;
    for (const std::string &variable : environment)
      variables.push_back(const_cast<char *>(variable.c_str()));
    variables.push_back(nullptr);
    pid_t pid = -1;
    if (error_ == 0)
      note(posix_spawn(&pid, "/bin/sh", &actions_, &attributes_, arguments, variables.data()));
    if (error_ != 0)
      return cannot("/bin/sh", error_);
    return pid;
  }

private:
  void note(int error) {
    if (error_ == 0)
      error_ = error;
  }

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  int error_ = 0; // the first
};

std::vector<std::string> environment_with(const std::vector<std::string> &ours) {
  std::vector<std::string> all = ours;
  for (char **variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    std::string_view text = *variable;
    std::string_view name = text.substr(0, text.find('=') + 1);
    if (std::none_of(ours.begin(), ours.end(),
                     [&](const std::string &own) { return own.starts_with(name); }))
      all.emplace_back(text);
  }
  return all;
}

// Where SIGCHLD is ignored, as nbdkit may have inherited, nobody learns how a child ended.
void notice_children() {
  struct sigaction action = {};
  if (sigaction(SIGCHLD, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
    action = {};
    action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, nullptr);
  }
}

// What has put itself into a process group of its own, as `timeout` of coreutils does.
// Where there is no /proc that is left.
void kill_session(pid_t leader) {
  DIR *all = ::opendir("/proc");
  if (all == nullptr)
    return;
  while (const dirent *entry = ::readdir(all))
    if (pid_t process = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
        process > 0 && process != leader && ::getsid(process) == leader)
      ::kill(process, SIGKILL);
  ::closedir(all);
}

} // namespace

Script::HeldSignals::HeldSignals() {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  sigemptyset(&held_);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    if (sigismember(&before, signal) == 0)
      sigaddset(&held_, signal);
  pthread_sigmask(SIG_BLOCK, &held_, nullptr);
}

Script::HeldSignals::~HeldSignals() { pthread_sigmask(SIG_UNBLOCK, &held_, nullptr); }

bool Script::HeldSignals::any_came() const {
  sigset_t pending;
  sigpending(&pending);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    if (sigismember(&held_, signal) == 1 && sigismember(&pending, signal) == 1)
      return true;
  return false;
}

Script::Script(Duration most, TimePoint now)
    : most_(most), deadline_(now + most), next_look_(now) {
  // So that tend() wants no memory, for lack of which something would be lost.
  output_.reserve(kMostOutput + kPiece);
  complaints_.reserve(kMostComplaints + kPiece);
}

Result<std::unique_ptr<Script>> Script::start(const Setting &setting, TimePoint now) {
  std::unique_ptr<Script> script(new Script(setting.most, now));
  if (Result<void> ok = script->spawn(setting); !ok)
    return std::move(ok).error();
  return script;
}

Result<void> Script::spawn(const Setting &setting) {
  std::vector<std::string> environment = environment_with(setting.variables);
  Result<std::pair<UniqueFd, UniqueFd>> out = make_pipe(), err = make_pipe();
  if (!out)
    return std::move(out).error();
  if (!err)
    return std::move(err).error();
  Spawning spawning;
  spawning.output_to(out.value().second.get(), err.value().second.get());
  spawning.close_others();
  spawning.run_in(setting.folder);
  spawning.start_afresh();
  notice_children();
  Result<pid_t> pid = spawning.shell(setting.command, environment);
  if (!pid)
    return std::move(pid).error();
  pid_ = pid.value();
  out_ = std::move(out.value().first);
  err_ = std::move(err.value().first);
  return {};
}

Script::~Script() { kill_all(); }

void Script::kill_all() noexcept {
  if (pid_ < 0)
    return;
  // Before it is waited for: then the number could be another's.
  ::kill(-pid_, SIGKILL);
  kill_session(pid_);
  for (int ms = 0; ms < kReapMs && ::waitpid(pid_, nullptr, WNOHANG) == 0; ++ms)
    ::poll(nullptr, 0, 1);
  pid_ = -1;
}

void Script::read_output() {
  char piece[kPiece];
  while (out_ && output_.size() <= kMostOutput) {
    ssize_t got = ::read(out_.get(), piece, sizeof piece);
    if (got > 0)
      output_.append(piece, static_cast<size_t>(got));
    else if (got == 0 || errno != EAGAIN)
      out_.reset();
    else
      return;
  }
}

// All of them, so that nothing waits for room in the pipe; but not for ever.
void Script::read_complaints() {
  char piece[kPiece];
  for (int i = 0; err_ && i < 64; ++i) {
    ssize_t got = ::read(err_.get(), piece, sizeof piece);
    if (got > 0 && complaints_.size() < kMostComplaints)
      complaints_.append(piece, static_cast<size_t>(got));
    else if (got == 0 || (got < 0 && errno != EAGAIN))
      err_.reset();
    else if (got < 0)
      return;
  }
}

void Script::look_for_end() {
  int status = 0;
  pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == 0)
    return;
  pid_ = -1;
  end_ = ended > 0 && WIFEXITED(status) ? End::Exited : End::BySignal;
  code_ = ended < 0 ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

bool Script::tend(TimePoint now) {
  if (end_ != End::NotYet)
    return true;
  look_for_end();
  read_output(); // after that, so that it is all that the shell has written
  read_complaints();
  if (output_.size() > kMostOutput)
    end_ = End::PrintedTooMuch;
  else if (end_ == End::NotYet && now >= deadline_)
    end_ = End::TookTooLong;
  else if (end_ == End::NotYet && signals_.any_came())
    end_ = End::Interrupted;
  if (end_ != End::NotYet) {
    kill_all();
    out_.reset();
    err_.reset();
    return true;
  }
  Duration pause = kLongestPause;
  if (!out_ && !err_)
    pause = pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
  next_look_ = std::min(deadline_, now + pause);
  return false;
}

std::string Script::how_it_ended() const {
  switch (end_) {
  case End::NotYet:
    break;
  case End::Exited:
    return fmt::format("ended with exit status {}", code_);
  case End::BySignal:
    return code_ == 0 ? "ended unnoticed"
                      : fmt::format("was ended by signal {} ({})", code_, strsignal(code_));
  case End::TookTooLong:
    return fmt::format("did not end within {:g} seconds, and was killed", to_seconds(most_));
  case End::PrintedTooMuch:
    return fmt::format("printed more than {} bytes", kMostOutput);
  case End::Interrupted:
    return "was killed, for nbdkit is to end";
  }
  return "runs";
}

std::string_view Script::first_complaint() const {
  std::string_view text = complaints_;
  return text.substr(0, text.find('\n'));
}

} // namespace httpcache
