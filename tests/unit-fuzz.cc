// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// The fuzz targets (fuzz/targets.h) without libFuzzer, in every build and under
// every sanitizer: all that once was worth keeping, and mutations of it.
#include "catch.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/targets.h"

using namespace httpcache;

namespace {

std::vector<std::string> corpus(const std::string &target) {
  const char *top = getenv("abs_top_srcdir");
  std::filesystem::path folder =
      std::filesystem::path(top != nullptr ? top : "..") / "tests/fuzz/corpus" / target;
  std::vector<std::string> inputs;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

void run(const std::string &name, void (*target)(std::string_view)) {
  std::vector<std::string> inputs = corpus(name);
  REQUIRE(inputs.size() >= 5);
  std::mt19937 random(7);
  for (const std::string &input : inputs)
    target(input);
  for (int i = 0; i < 3000; i++) {
    std::string mutant = inputs[random() % inputs.size()];
    for (size_t n = random() % 4 + 1; n > 0 && !mutant.empty(); n--) {
      size_t at = random() % mutant.size();
      switch (random() % 4) {
      case 0:
        mutant[at] = static_cast<char>(random());
        break;
      case 1:
        mutant.erase(at, random() % 8);
        break;
      case 2:
        mutant.insert(at, inputs[random() % inputs.size()].substr(0, random() % 40));
        break;
      default:
        mutant.resize(at);
      }
    }
    target(mutant);
  }
  SUCCEED();
}

} // namespace

TEST_CASE("any answer is survived, and what passes is data", "[fuzz]") {
  run("answer", fuzz::answer);
}

TEST_CASE("any parameters are survived", "[fuzz]") { run("config", fuzz::config); }

TEST_CASE("any URL is survived, and no secret shown", "[fuzz]") { run("url", fuzz::url); }
