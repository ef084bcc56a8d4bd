// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "slab.h"

#include <cassert>
#include <cstring>
#include <utility>

#include <sys/mman.h>

#include <fmt/format.h>

namespace httpcache {

Result<Slab> Slab::create(uint32_t slots, uint32_t slot_size) {
  assert(slots > 0 && slot_size > 0);
  size_t bytes = static_cast<size_t>(slots) * slot_size;
  void *base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    int err = errno;
    return Error{ErrorKind::LocalIo, ENOMEM, 0,
                 fmt::format("cannot map {} bytes for cache-blocks={} of {} "
                             "bytes: {}; use fewer or smaller blocks",
                             bytes, slots, slot_size, std::strerror(err)),
                 {}};
  }
  return Slab(static_cast<char *>(base), slots, slot_size);
}

Slab::Slab(char *base, uint32_t slots, uint32_t slot_size)
    : base_(base), slots_(slots), slot_size_(slot_size) {
  free_.reserve(slots); // give_back() must not fail: who calls it could not go on
}

Slab::Slab(Slab &&other) noexcept
    : base_(std::exchange(other.base_, nullptr)), slots_(other.slots_),
      slot_size_(other.slot_size_), used_(other.used_),
      free_(std::move(other.free_)) {}

Slab::~Slab() {
  if (base_ != nullptr)
    munmap(base_, static_cast<size_t>(slots_) * slot_size_);
}

std::optional<SlotId> Slab::take() {
  if (!free_.empty()) {
    SlotId slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (used_ == slots_)
    return std::nullopt;
  return used_++;
}

void Slab::give_back(SlotId slot) {
  assert(slot < used_ && free_.size() < used_);
  free_.push_back(slot);
}

} // namespace httpcache
