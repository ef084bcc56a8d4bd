// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-mutex.cc - the wrapped lock locks, and a wait lets others in.
#include "mutex.h"

#include <thread>

#include "catch.h"

using namespace httpcache;

namespace {

class Counter {
public:
  void add(int n) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    value_ += n;
    cond_.notify_all();
  }
  void wait_for_value(int value) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (value_ < value)
      cond_.wait(lock);
  }
  // False when nobody came in time.
  bool wait_for_value(int value, Duration how_long) EXCLUDES(mu_) {
    TimePoint deadline = now() + how_long;
    MutexLock lock(mu_);
    while (value_ < value)
      if (!cond_.wait_until(lock, deadline))
        return value_ >= value;
    return true;
  }
  int value() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return value_;
  }

private:
  Mutex mu_;
  CondVar cond_;
  int value_ GUARDED_BY(mu_) = 0;
};

} // namespace

TEST_CASE("threads that add under a lock lose nothing", "[mutex]") {
  Counter counter;
  auto add = [&] {
    for (int i = 0; i < 1000; i++)
      counter.add(1);
  };
  std::thread one(add);
  std::thread two(add);
  counter.wait_for_value(2000);
  one.join();
  two.join();
  CHECK(counter.value() == 2000);
}

TEST_CASE("a wait with a deadline ends without news", "[mutex]") {
  Counter counter;
  CHECK_FALSE(counter.wait_for_value(1, from_ms(1)));
  counter.add(1);
  CHECK(counter.wait_for_value(1, from_ms(0)));
}

TEST_CASE("a lock can be left and entered again in its scope", "[mutex]") {
  Mutex mu;
  MutexLock lock(mu);
  lock.unlock();
  bool taken = mu.try_lock();
  CHECK(taken);
  if (taken)
    mu.unlock();
  lock.lock();
}

TEST_CASE("times are converted to the unit in the name", "[clock]") {
  TimePoint start = now();
  CHECK(ms_between(start, start + from_ms(1500)) == 1500);
  CHECK(us_between(start, start + from_us(1500)) == 1500);
  CHECK(ms_between(start + from_ms(10), start) == -10);
  CHECK(to_ms(from_us(1999)) == 1);
  CHECK(to_seconds(from_ms(250)) == 0.25);
}
