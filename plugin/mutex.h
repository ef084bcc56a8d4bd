// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// mutex.h - std::mutex and friends with clang's thread-safety annotations.
//
// clang -Wthread-safety then proves at compile time that members marked
// GUARDED_BY(mu_) are touched only under mu_, and that functions marked
// REQUIRES(mu_) or EXCLUDES(mu_) are called with or without it.  libstdc++'s
// own types carry no annotations, hence the thin wrappers; with g++ the
// macros are empty and the wrappers compile to what they wrap.
//
// Rules that hold everywhere: a lock is private to one class, and
// is never held over I/O, curl, a callback or the freeing of a block (but over a
// trace line of a debug flag that is on, so that lines come in their order).
// A wait is a loop around its condition, read under the lock:
//
//     MutexLock lock(mu_);
//     while (!ready_)          // a loop, not a lambda: the analysis does not
//       cond_.wait(lock);      // look into lambdas
#ifndef HTTPCACHE_MUTEX_H
#define HTTPCACHE_MUTEX_H

#include <condition_variable>
#include <mutex>

#include "clock.h"

// What is done under a lock takes some 30 ns, but to sleep and be woken takes
// some us, so a lock that is taken is tried for about 1 us before that: with two
// processors and any number of readers of cached blocks, a third more reads.

#if defined(__clang__)
#define HTTPCACHE_TSA(x) __attribute__((x))
#else
#define HTTPCACHE_TSA(x)
#endif

#define CAPABILITY(x) HTTPCACHE_TSA(capability(x))
#define SCOPED_CAPABILITY HTTPCACHE_TSA(scoped_lockable)
#define GUARDED_BY(x) HTTPCACHE_TSA(guarded_by(x))
#define PT_GUARDED_BY(x) HTTPCACHE_TSA(pt_guarded_by(x))
#define ACQUIRED_BEFORE(...) HTTPCACHE_TSA(acquired_before(__VA_ARGS__))
#define ACQUIRED_AFTER(...) HTTPCACHE_TSA(acquired_after(__VA_ARGS__))
#define REQUIRES(...) HTTPCACHE_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) HTTPCACHE_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) HTTPCACHE_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) HTTPCACHE_TSA(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) HTTPCACHE_TSA(try_acquire_capability(__VA_ARGS__))
#define RETURN_CAPABILITY(x) HTTPCACHE_TSA(lock_returned(x))
#define ASSERT_CAPABILITY(x) HTTPCACHE_TSA(assert_capability(x))
#define NO_THREAD_SAFETY_ANALYSIS HTTPCACHE_TSA(no_thread_safety_analysis)

namespace httpcache {

// Tells the processor that this is a loop that waits for another.
inline void spin_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

class CAPABILITY("mutex") Mutex {
public:
  Mutex() = default;
  Mutex(const Mutex &) = delete;
  Mutex &operator=(const Mutex &) = delete;

  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }
  bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }

private:
  friend class MutexLock;
  std::mutex mutex_;
};

// Holds a Mutex from here to the end of the scope; unlock() and lock() leave
// and enter again in between.
class SCOPED_CAPABILITY MutexLock {
public:
  explicit MutexLock(Mutex &mutex) ACQUIRE(mutex) : lock_(mutex.mutex_, std::try_to_lock) {
    for (int i = 0; i < kTries && !lock_.owns_lock(); ++i) {
      spin_pause();
      spin_pause();
      (void)lock_.try_lock();
    }
    if (!lock_.owns_lock())
      lock_.lock();
  }
  ~MutexLock() RELEASE() {}
  MutexLock(const MutexLock &) = delete;
  MutexLock &operator=(const MutexLock &) = delete;

  void unlock() RELEASE() { lock_.unlock(); }
  void lock() ACQUIRE() { lock_.lock(); }

private:
  friend class CondVar;
  static constexpr int kTries = 30; // about a microsecond
  std::unique_lock<std::mutex> lock_;
};

// Waits release the lock meanwhile and hold it again on return.  They may
// return for no reason.
class CondVar {
public:
  CondVar() = default;
  CondVar(const CondVar &) = delete;
  CondVar &operator=(const CondVar &) = delete;

  void wait(MutexLock &lock) { cond_.wait(lock.lock_); }

  // False when the time was over.
  bool wait_for(MutexLock &lock, Duration how_long) {
    return cond_.wait_for(lock.lock_, how_long) == std::cv_status::no_timeout;
  }
  bool wait_until(MutexLock &lock, TimePoint deadline) {
    return cond_.wait_until(lock.lock_, deadline) == std::cv_status::no_timeout;
  }

  void notify_one() { cond_.notify_one(); }
  void notify_all() { cond_.notify_all(); }

private:
  std::condition_variable cond_;
};

} // namespace httpcache

#endif
