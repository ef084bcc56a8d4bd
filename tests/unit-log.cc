// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-log.cc - trace lines: one write a line, none when the flag is off.
#include "log.h"

#include <cstdio>
#include <functional>
#include <thread>

#include <unistd.h>

#include "catch.h"
#include "nbdkit-stubs.h"
#include "unique_fd.h"

using namespace httpcache;

namespace {

// What RUN writes to descriptor 2; one read, so as much as one write wrote.
std::string stderr_of(const std::function<void()> &run) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  UniqueFd saved(::dup(STDERR_FILENO));
  REQUIRE(::dup2(write_end.get(), STDERR_FILENO) >= 0);
  run();
  REQUIRE(::dup2(saved.get(), STDERR_FILENO) >= 0);
  write_end.reset();
  char text[8192];
  ssize_t length = ::read(read_end.get(), text, sizeof text);
  return {text, static_cast<size_t>(length < 0 ? 0 : length)};
}

// Sets a flag for the rest of a test.
class FlagOn {
public:
  explicit FlagOn(int &flag) : flag_(flag) { flag_ = 1; }
  ~FlagOn() { flag_ = 0; }

private:
  int &flag_;
};

struct FormatCounter {
  int *count;
};

} // namespace

template <> struct fmt::formatter<FormatCounter> {
  constexpr auto parse(fmt::format_parse_context &context) {
    return context.begin();
  }
  template <typename Context>
  auto format(const FormatCounter &counter, Context &context) const {
    ++*counter.count;
    return context.out();
  }
};

TEST_CASE("a trace line looks like one of nbdkit's", "[log]") {
  FlagOn on(httpcache_debug_http);
  CHECK(stderr_of([] { log(LogArea::Http, "id {} {}", 7, "GET"); }) ==
        "nbdkit: debug: httpcache: http: id 7 GET\n");
}

TEST_CASE("each area has its own flag and its own name", "[log]") {
  struct {
    LogArea area;
    int &flag;
    std::string name;
  } const areas[] = {
      {LogArea::Http, httpcache_debug_http, "http"},
      {LogArea::Cache, httpcache_debug_cache, "cache"},
      {LogArea::Readahead, httpcache_debug_readahead, "readahead"},
      {LogArea::Verbose, httpcache_debug_verbose, "verbose"},
      {LogArea::Times, httpcache_debug_times, "times"},
      {LogArea::Stats, httpcache_debug_stats, "stats"},
  };
  for (const auto &on : areas) {
    FlagOn flag(on.flag);
    for (const auto &area : areas) {
      CHECK(log_on(area.area) == (area.area == on.area));
      std::string line = stderr_of([&] { log(area.area, "x"); });
      CHECK(line == (area.area == on.area
                         ? "nbdkit: debug: httpcache: " + area.name + ": x\n"
                         : ""));
    }
  }
}

TEST_CASE("with the flag off nothing is formatted or written", "[log]") {
  int formatted = 0;
  CHECK(stderr_of([&] {
          log(LogArea::Cache, "{}", FormatCounter{&formatted});
        }).empty());
  CHECK(formatted == 0);
}

TEST_CASE("a message is one line whatever is in it", "[log]") {
  FlagOn on(httpcache_debug_verbose);
  CHECK(stderr_of([] { log(LogArea::Verbose, "{}", "a\nb\x1b[31m\r"); }) ==
        "nbdkit: debug: httpcache: verbose: a\\nb\\x1b[31m\\r\n");
}

TEST_CASE("a warning goes where nbdkit's errors go", "[log]") {
  nbdkit_stubs::take_errors();
  warning("100% of\nthat %s");
  CHECK(nbdkit_stubs::take_errors() ==
        std::vector<std::string>{"warning: 100% of\\nthat %s"});
}

// nbdkit writes a message in parts, with stderr locked.
TEST_CASE("no trace line comes within a message of nbdkit's", "[log]") {
  FlagOn on(httpcache_debug_http);
  std::FILE *file = std::tmpfile();
  REQUIRE(file != nullptr);
  UniqueFd saved(::dup(STDERR_FILENO));
  REQUIRE(::dup2(fileno(file), STDERR_FILENO) >= 0);
  std::thread tracer([] {
    for (int i = 0; i < 2000; i++)
      log(LogArea::Http, "line");
  });
  for (int i = 0; i < 2000; i++) {
    flockfile(stderr);
    std::fputs("nbdkit: ", stderr);
    std::fputs("error\n", stderr);
    funlockfile(stderr);
  }
  tracer.join();
  REQUIRE(::dup2(saved.get(), STDERR_FILENO) >= 0);
  std::rewind(file);
  char line[256];
  int lines = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    CHECK((line == std::string("nbdkit: error\n") ||
           line == std::string("nbdkit: debug: httpcache: http: line\n")));
    ++lines;
  }
  std::fclose(file);
  CHECK(lines == 4000);
}
