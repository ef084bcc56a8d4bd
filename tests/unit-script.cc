// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-script.cc - a command runs, is read, ends or is ended, and leaves nothing behind.
#include "script.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "catch.h"
#include "unique_fd.h"

using namespace httpcache;

namespace {

using std::chrono::seconds;

std::unique_ptr<Script> started(const std::string &command, std::vector<std::string> variables = {},
                                const std::string &folder = "") {
  Result<std::unique_ptr<Script>> script =
      Script::start({command, std::move(variables), folder, seconds(60)}, now());
  INFO((script.ok() ? "" : script.error().what));
  REQUIRE(script.ok());
  return std::move(script).value();
}

// Until it has ended, as the engine does it.
void run_to_end(Script &script) {
  while (!script.tend(now())) {
    pollfd pipes[2] = {};
    for (size_t i = 0; i < 2; ++i)
      pipes[i] = {script.descriptors()[i], POLLIN, 0};
    int64_t ms = ms_between(now(), script.next_look()) + 1;
    REQUIRE(ms <= 60'000);
    poll(pipes, 2, static_cast<int>(std::max<int64_t>(0, ms)));
  }
}

std::unique_ptr<Script> ran(const std::string &command, std::vector<std::string> variables = {},
                            const std::string &folder = "") {
  std::unique_ptr<Script> script = started(command, std::move(variables), folder);
  run_to_end(*script);
  return script;
}

// A FIFO that a script can write to and hold open, and another to wait at for ever.
class Fifo {
public:
  Fifo() {
    char name[] = "/tmp/unit-script-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    folder_ = name;
    path_ = folder_ + "/fifo";
    REQUIRE(::mkfifo(path_.c_str(), 0600) == 0);
    REQUIRE(::mkfifo(never().c_str(), 0600) == 0);
    fd_.reset(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }
  ~Fifo() { std::filesystem::remove_all(folder_); }
  // Commands: to hold it open and tell, and to wait.
  std::string hold() const { return "exec 5>" + path_ + "; echo >&5; "; }
  std::string wait() const { return "read x <" + never(); }

  // Until somebody has written a byte.
  bool written() const {
    char byte = 0;
    pollfd p{fd_.get(), POLLIN, 0};
    return poll(&p, 1, 30'000) == 1 && ::read(fd_.get(), &byte, 1) == 1;
  }
  // Until nobody has it open, who had.
  bool let_go() const {
    pollfd p{fd_.get(), 0, 0};
    return poll(&p, 1, 30'000) == 1 && (p.revents & POLLHUP) != 0;
  }

private:
  std::string never() const { return folder_ + "/never"; }

  std::string folder_, path_;
  UniqueFd fd_;
};

} // namespace

TEST_CASE("what a command prints is read, and how it ended", "[script]") {
  std::unique_ptr<Script> script = ran("echo one; echo two; echo three >&2; echo four >&2");
  CHECK(script->succeeded());
  CHECK(script->output() == "one\ntwo\n");
  CHECK(script->first_complaint() == "three");
  CHECK(script->how_it_ended() == "ended with exit status 0");

  script = ran("echo one; exit 3");
  CHECK_FALSE(script->succeeded());
  CHECK(script->how_it_ended() == "ended with exit status 3");
  CHECK(script->first_complaint().empty());

  script = ran("kill -9 $$");
  CHECK_FALSE(script->succeeded());
  CHECK(script->how_it_ended() == "was ended by signal 9 (Killed)");

  script = ran("-no-such-command-");
  CHECK(script->how_it_ended() == "ended with exit status 127");
  CHECK(script->first_complaint().find("-no-such-command-") != std::string_view::npos);

  script = ran("exec >&- 2>&-; read x </dev/null; exit 4");
  CHECK(script->how_it_ended() == "ended with exit status 4");
}

TEST_CASE("a command has an environment, a folder, and nothing else of ours", "[script]") {
  setenv("unit_script_a", "not this", 1);
  setenv("unit_script_b", "this", 1);
  std::unique_ptr<Script> script =
      ran("echo \"$unit_script_a $unit_script_b\"", {"unit_script_a=this: $x '\"\nand"});
  CHECK(script->output() == "this: $x '\"\nand this\n");

  CHECK(ran("pwd", {}, "/usr")->output() == "/usr\n");
  CHECK(ran("pwd", {}, "/no/such/folder")->output() ==
        std::filesystem::current_path().string() + "\n");

  // 3 is how ls reads the folder.
  UniqueFd inherited(::open("/dev/null", O_RDONLY));
  CHECK(ran("ls /proc/self/fd")->output() == "0\n1\n2\n3\n");
  CHECK(ran("cat; echo end")->output() == "end\n");

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto pipe_before = signal(SIGPIPE, SIG_IGN);
  std::string blocked = ran("sed -n 's/^SigBlk:.//p' /proc/self/status")->output();
  std::string ignored = ran("sed -n 's/^SigIgn:.//p' /proc/self/status")->output();
  signal(SIGPIPE, pipe_before);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CHECK(blocked == "0000000000000000\n");
  // Signals 32 and 33 are glibc's own.
  CHECK((strtoull(ignored.c_str(), nullptr, 16) & 0x7fffffff) == 0);

  // In a session of its own.
  CHECK(ran("ps -o sid= -p $$ | grep -qx \" *$$\" && echo own")->output() == "own\n");
}

TEST_CASE("no more is kept than there may be, and nothing is held up", "[script]") {
  const std::string most = std::to_string(Script::kMostOutput);
  std::unique_ptr<Script> script = ran("head -c " + most + " /dev/zero");
  CHECK(script->succeeded());
  CHECK(script->output().size() == Script::kMostOutput);

  script = ran("head -c " + most + " /dev/zero; echo");
  CHECK_FALSE(script->succeeded());
  CHECK(script->how_it_ended() == "printed more than 65536 bytes");
  script = ran("yes"); // without end
  CHECK(script->how_it_ended() == "printed more than 65536 bytes");

  script = ran("head -c 1000000 /dev/zero >&2; echo one");
  CHECK(script->succeeded());
  CHECK(script->output() == "one\n");
  CHECK(script->first_complaint().size() <= 8192);
}

TEST_CASE("a command that takes too long is killed with all that it started", "[script]") {
  Fifo fifo;
  std::unique_ptr<Script> script =
      started(fifo.hold() + "(" + fifo.wait() + ") & wait");
  REQUIRE(fifo.written());
  CHECK_FALSE(script->tend(now()));
  CHECK(script->next_look() <= now() + seconds(1));
  CHECK(script->tend(now() + seconds(60)));
  CHECK(script->took_too_long());
  CHECK_FALSE(script->succeeded());
  CHECK(script->how_it_ended() == "did not end within 60 seconds, and was killed");
  CHECK(fifo.let_go());
}

TEST_CASE("what has a process group of its own is killed, too", "[script]") {
  Fifo fifo;
  std::unique_ptr<Script> script = started("timeout 600 sh -c '" + fifo.hold() + fifo.wait() + "'");
  REQUIRE(fifo.written());
  CHECK(script->tend(now() + seconds(60)));
  CHECK(fifo.let_go());
}

TEST_CASE("a command that nobody wants any more is killed", "[script]") {
  Fifo fifo;
  std::unique_ptr<Script> script = started(fifo.hold() + "(" + fifo.wait() + ") & wait");
  REQUIRE(fifo.written());
  script.reset();
  CHECK(fifo.let_go());
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1); // no zombie
}

TEST_CASE("what a command leaves behind holds up nobody", "[script]") {
  Fifo fifo;
  // It holds stdout and stderr, and does not end.
  std::unique_ptr<Script> script = ran("(" + fifo.hold() + fifo.wait() + ") & echo $!");
  CHECK(script->succeeded());
  pid_t left = std::atoi(script->output().c_str());
  REQUIRE(left > 1);
  CHECK(fifo.written()); // and is left alone
  script.reset();
  CHECK(::kill(left, SIGKILL) == 0);
  CHECK(fifo.let_go());

  // Nor does one that goes on printing.
  ran("yes & yes >&2 & exit 0");
}

TEST_CASE("a child of others is theirs to wait for", "[script]") {
  pid_t other = ::fork();
  if (other == 0)
    ::_exit(7);
  CHECK(ran("exit 3")->how_it_ended() == "ended with exit status 3");
  int status = 0;
  CHECK(::waitpid(other, &status, 0) == other);
  CHECK(WEXITSTATUS(status) == 7);

  auto before = signal(SIGCHLD, SIG_IGN);
  CHECK(ran("exit 3")->how_it_ended() == "ended with exit status 3");
  signal(SIGCHLD, before);
}

TEST_CASE("a command that cannot be run is told", "[script]") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  Result<std::unique_ptr<Script>> script = Script::start({"true", {}, "", seconds(60)}, now());
  setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE_FALSE(script.ok());
  CHECK(script.error().kind == ErrorKind::LocalIo);
  CHECK(script.error().what == "could not be run: pipe: Too many open files");
}

namespace {
std::atomic<int> terminations{0};
} // namespace

TEST_CASE("a signal that would end nbdkit first ends the command", "[script]") {
  auto before = signal(SIGTERM, [](int) { ++terminations; });
  Fifo fifo;
  std::unique_ptr<Script> script = started(fifo.hold() + fifo.wait());
  REQUIRE(fifo.written());
  pthread_kill(pthread_self(), SIGTERM);
  CHECK(terminations == 0);
  CHECK(script->tend(now()));
  CHECK(script->how_it_ended() == "was killed, for nbdkit is to end");
  CHECK(fifo.let_go());
  CHECK(terminations == 0);
  script.reset();
  CHECK(terminations == 1);

  // The engine's thread has all signals blocked, and none of them is its business.
  std::thread engine([] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    pthread_kill(pthread_self(), SIGTERM);
    CHECK(ran("echo one")->succeeded());
  });
  engine.join();
  CHECK(terminations == 1);
  signal(SIGTERM, before);
}
