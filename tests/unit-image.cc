// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-image.cc - the whole read path, from Image::read() through libcurl to a
// server in this process whose answers are scripted (web-server.h).
#include "image.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "curl_library.h"
#include "helpers.h"
#include "web-server.h"

using namespace httpcache;
using namespace tests;

namespace {

Config config_for(const Server &server) {
  [[maybe_unused]] static const bool started = curl_library_start().ok();
  Config config;
  config.url = server.url();
  config.blocksize = 64 * kKiB;
  config.cache_blocks = 64;
  config.readahead = 0;
  return config;
}

std::unique_ptr<Image> opened(const Config &config) {
  Result<std::unique_ptr<Image>> image = Image::open(config);
  INFO((image ? "" : image.error().what));
  REQUIRE(image.ok());
  std::unique_ptr<Image> out = std::move(image).value();
  REQUIRE(out->start().ok());
  return out;
}

// Bytes that are not the truth; all of them after an error.
struct Checked {
  uint64_t wrong = 0;
  std::string error;
  ErrorKind kind = ErrorKind::Permanent;
  bool ok() const { return wrong == 0 && error.empty(); }
};

Checked read(Image &image, uint64_t offset, uint64_t count, uint64_t base = 0) {
  std::string buffer(count, '\xee');
  Patience patience;
  Result<void> done = image.read(buffer, offset, patience);
  if (!done)
    return {count, done.error().what, done.error().kind};
  Checked checked;
  for (uint64_t i = 0; i < count; i++)
    checked.wrong += buffer[i] != truth(base + offset + i);
  return checked;
}

void check_read(Image &image, uint64_t offset, uint64_t count, uint64_t base = 0) {
  Checked checked = read(image, offset, count, base);
  INFO(count << " bytes from " << offset << " on: " << checked.error);
  CHECK(checked.error.empty());
  CHECK(checked.wrong == 0);
}

// A read whose client goes away.
Result<void> read_and_leave(Image &image, uint64_t offset) {
  class Leaver final : public CancelCheck {
  public:
    bool cancelled() override { return true; }
  } leaver;
  std::string buffer(1000, '\0');
  return image.read(buffer, offset, leaver);
}

bool has(const std::string &text, std::string_view part) {
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("the first request brings size, validator and the first block", "[image]") {
  Server server(1 * kMiB + 5);
  std::unique_ptr<Image> image = opened(config_for(server));
  CHECK(image->size() == 1 * kMiB + 5);
  CHECK(has(image->description(), "\"v1\""));
  check_read(*image, 0, 64 * kKiB);
  check_read(*image, 17, 3);
  CHECK(server.requests() == 1);
  check_read(*image, 1 * kMiB - 10, 15); // across the border to the short last block
  CHECK(server.asked().back().last == 1 * kMiB + 4);
}

TEST_CASE("exports of any size are read rightly", "[image]") {
  for (uint64_t size : {uint64_t{1}, uint64_t{511}, 64 * kKiB - 1, 64 * kKiB, 64 * kKiB + 1,
                        300 * kKiB + 77}) {
    Server server(size);
    std::unique_ptr<Image> image = opened(config_for(server));
    CHECK(image->size() == size);
    check_read(*image, 0, size);
    check_read(*image, size - 1, 1);
    CHECK(server.bytes_asked() == size);
  }
}

TEST_CASE("a part of the object is an export of its own", "[image]") {
  Server server(1 * kMiB);
  Config config = config_for(server);
  config.offset = 100'001;
  config.size = 300'003;
  std::unique_ptr<Image> image = opened(config);
  CHECK(image->size() == 300'003);
  check_read(*image, 0, 300'003, 100'001);
  for (const Asked &a : server.asked()) {
    CHECK((a.first - 100'001) % (64 * kKiB) == 0);
    CHECK(a.last < 400'004);
  }
  image.reset();
  config.offset = 2 * kMiB;
  Result<std::unique_ptr<Image>> beyond = Image::open(config);
  CHECK_FALSE(beyond.ok());
}

TEST_CASE("a server that ignores ranges is told, and not downloaded from", "[image]") {
  Server server(64 * kMiB, [](const Asked &) { return Answer{.status = "200 OK", .whole = true}; });
  Result<std::unique_ptr<Image>> image = Image::open(config_for(server));
  REQUIRE_FALSE(image.ok());
  CHECK(has(image.error().what, "200"));
  CHECK(server.requests() == 1);
}

TEST_CASE("sixteen readers of a block cause one request", "[image]") {
  Server server(4 * kMiB, [](const Asked &asked) {
    return Answer{.held = asked.first == 1 * kMiB};
  });
  std::unique_ptr<Image> image = opened(config_for(server));
  std::latch all(17);
  std::atomic<int> good{0};
  in_threads(17, [&](unsigned i) {
    all.arrive_and_wait();
    if (i == 16)
      server.release();
    else
      good += read(*image, 1 * kMiB + i * 4096, 4096).ok();
  });
  CHECK(good == 16);
  CHECK(server.requests() == 2);
}

TEST_CASE("blocks side by side are asked for together", "[image]") {
  Server server(4 * kMiB);
  std::unique_ptr<Image> image = opened(config_for(server));
  check_read(*image, 1 * kMiB, 256 * kKiB);
  REQUIRE(server.requests() == 2);
  CHECK(server.asked()[1].first == 1 * kMiB);
  CHECK(server.asked()[1].length() == 256 * kKiB);
}

TEST_CASE("a shorter answer is gone on from where it ended", "[image]") {
  Server server(1 * kMiB, [](const Asked &) { return Answer{.most = 20'000}; });
  std::unique_ptr<Image> image = opened(config_for(server));
  check_read(*image, 0, 128 * kKiB);
  uint64_t first_block = 0, second_block = 64 * kKiB;
  for (const Asked &a : server.asked()) { // each where the last had ended
    uint64_t &next = a.first < 64 * kKiB ? first_block : second_block;
    CHECK(a.first == next);
    next = std::min(a.first + 20'000, a.last + 1);
  }
  CHECK(first_block == 64 * kKiB);
  CHECK(second_block == 128 * kKiB);
}

TEST_CASE("a broken body is gone on from the byte it reached", "[image]") {
  Server server(1 * kMiB, [](const Asked &asked) {
    return Answer{.cut = asked.first % 3 == 0 ? 17'001u : UINT64_MAX};
  });
  std::unique_ptr<Image> image = opened(config_for(server));
  check_read(*image, 0, 1 * kMiB);
  // Nothing is asked for again that had come.
  uint64_t missing = 0;
  for (const Asked &a : server.asked())
    missing += a.first % 3 == 0 ? a.length() - std::min<uint64_t>(a.length(), 17'001) : 0;
  CHECK(server.bytes_asked() == 1 * kMiB + missing);
}

TEST_CASE("a refusal is told at once, and the next read tries afresh", "[image]") {
  Server server(1 * kMiB, [](const Asked &asked) {
    return Answer{.status = asked.number > 0 ? "404 Not Found" : "206 Partial Content"};
  });
  std::unique_ptr<Image> image = opened(config_for(server));
  Checked checked = read(*image, 500'000, 10);
  CHECK(has(checked.error, "404"));
  CHECK(server.requests() == 2); // at once
  // The next read tries afresh, and what is there is served.
  CHECK_FALSE(read(*image, 500'000, 10).ok());
  CHECK(server.requests() == 3);
  check_read(*image, 0, 1000);
  CHECK(server.requests() == 3);
}

TEST_CASE("a server that is busy is asked again", "[image]") {
  Server server(1 * kMiB, [](const Asked &asked) {
    return Answer{.status = asked.number == 1 ? "503 Service Unavailable" : "206 Partial Content"};
  });
  std::unique_ptr<Image> image = opened(config_for(server));
  check_read(*image, 500'000, 1000);
  CHECK(server.requests() == 3);
}

TEST_CASE("a changed object is never mixed with the old one", "[image]") {
  std::atomic<bool> changed{false};
  Server server(1 * kMiB, [&](const Asked &) {
    return Answer{.etag = changed ? "\"v2\"" : "\"v1\""};
  });
  std::unique_ptr<Image> image = opened(config_for(server));
  check_read(*image, 128 * kKiB, 1000);
  changed = true;
  Checked checked = read(*image, 512 * kKiB, 1000);
  CHECK(checked.kind == ErrorKind::Changed);
  CHECK(has(checked.error, "v2"));
  size_t requests = server.requests();
  changed = false; // too late: who knows what it was meanwhile
  CHECK(read(*image, 700 * kKiB, 1000).kind == ErrorKind::Changed);
  CHECK_FALSE(read(*image, 512 * kKiB, 1000).ok());
  CHECK(server.requests() == requests);
  check_read(*image, 128 * kKiB, 1000); // what is there is of the old one
  check_read(*image, 0, 1000);
}

TEST_CASE("an answer of another range is an error, not data", "[image]") {
  Server server(1 * kMiB, [](const Asked &asked) {
    return Answer{.shift = asked.number == 0 ? 0u : 512u};
  });
  std::unique_ptr<Image> image = opened(config_for(server));
  Checked checked = read(*image, 512 * kKiB, 1000);
  CHECK_FALSE(checked.ok());
  CHECK_FALSE(checked.error.empty());
}

TEST_CASE("a read larger than the cache is served, piece by piece", "[image]") {
  Server server(33 * kMiB);
  Config config = config_for(server);
  config.cache_blocks = 2;
  for (bool ahead : {false, true}) {
    config.readahead = ahead ? std::nullopt : std::optional<uint64_t>(0);
    std::unique_ptr<Image> image = opened(config);
    check_read(*image, 100, 32 * kMiB);
  }
}

TEST_CASE("several large reads share a cache of two blocks", "[image]") {
  Server server(8 * kMiB);
  Config config = config_for(server);
  config.cache_blocks = 2;
  std::unique_ptr<Image> image = opened(config);
  std::atomic<int> good{0};
  in_threads(8, [&](unsigned i) { good += read(*image, i * 70'000, 4 * kMiB).ok(); });
  CHECK(good == 8);
}

TEST_CASE("a sequential reader has each byte fetched once", "[image]") {
  constexpr uint64_t kSize = 16 * kMiB + 333;
  Server server(kSize);
  Config config = config_for(server);
  config.readahead = std::nullopt;
  config.connections = 6;
  std::unique_ptr<Image> image = opened(config);
  for (uint64_t at = 0; at < kSize; at += 30'000)
    check_read(*image, at, std::min<uint64_t>(30'000, kSize - at));
  image->stop();
  CHECK(server.bytes_asked() == kSize);
  CHECK(server.requests() < kSize / config.blocksize);
  CHECK(server.most_at_once() <= 6);
}

TEST_CASE("what a client has cached is not asked for again", "[image]") {
  Server server(4 * kMiB);
  std::unique_ptr<Image> image = opened(config_for(server));
  image->prefetch(1 * kMiB, 300 * kKiB);
  check_read(*image, 1 * kMiB + 250 * kKiB, 50 * kKiB); // joins what is on its way
  check_read(*image, 1 * kMiB, 300 * kKiB);
  image->stop();
  // Whole blocks: 5 of them, and the first one of the export.
  CHECK(server.bytes_asked() == 6 * 64 * kKiB);
}

TEST_CASE("a reader that gives up leaves the image working", "[image]") {
  Server server(4 * kMiB, [](const Asked &asked) {
    return Answer{.held = asked.first == 1 * kMiB};
  });
  std::unique_ptr<Image> image = opened(config_for(server));
  Result<void> done = read_and_leave(*image, 1 * kMiB);
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().kind == ErrorKind::Cancelled);
  check_read(*image, 2 * kMiB, 1000);
  server.release();
  check_read(*image, 1 * kMiB, 1000);
  CHECK(server.requests() == 3);
}

TEST_CASE("an image ends while a transfer is stalled", "[image]") {
  Server server(4 * kMiB, [](const Asked &asked) { return Answer{.held = asked.number > 0}; });
  std::unique_ptr<Image> image = opened(config_for(server));
  image->prefetch(1 * kMiB, 300 * kKiB);
  CHECK_FALSE(read_and_leave(*image, 2 * kMiB).ok());
  image.reset();
}

TEST_CASE("an image that was never started ends", "[image]") {
  Server server(4 * kMiB);
  Result<std::unique_ptr<Image>> image = Image::open(config_for(server));
  CHECK(image.ok());
}

TEST_CASE("random reads of many threads are right whatever the server does",
          "[image][stress]") {
  constexpr uint64_t kSize = 3 * kMiB + 12'345;
  std::atomic<uint32_t> dice{1};
  Server server(kSize, [&](const Asked &asked) {
    uint32_t roll = (dice.fetch_add(1) * 2654435761u) >> 24;
    Answer answer;
    if (asked.number > 0 && roll < 40)
      answer.cut = 16 * kKiB + roll * 64;
    else if (asked.number > 0 && roll < 80)
      answer.most = 16 * kKiB + roll * 64;
    return answer;
  });
  for (uint64_t cache_blocks : {2, 7, 64}) {
    Config config = config_for(server);
    config.cache_blocks = cache_blocks;
    config.blocksize = 16 * kKiB;
    config.readahead = std::nullopt;
    config.connections = 4;
    std::unique_ptr<Image> image = opened(config);
    std::atomic<uint64_t> bad{0};
    in_threads(8, [&](unsigned t) {
      std::mt19937_64 random(t);
      for (int i = 0; i < 60; i++) {
        uint64_t offset = random() % kSize;
        uint64_t most = random() % 8 == 0 ? 500 * kKiB : 20 * kKiB;
        bad += !read(*image, offset, 1 + random() % std::min(most, kSize - offset)).ok();
        if (i % 16 == 0)
          image->prefetch(offset, std::min<uint64_t>(100 * kKiB, kSize - offset));
      }
    });
    CHECK(bad == 0);
    image->stop();
  }
  CHECK(server.most_at_once() <= 4);
}
