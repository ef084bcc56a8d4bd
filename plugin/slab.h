// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// slab.h - the memory of all blocks: one mapping, handed out in slots.
//
// This is the hard budget of block memory: slots x
// slot_size bytes of address space, mapped once.  A page costs memory only
// from its first use on, and a slot given back is the next one handed out
// (last in, first out), so a steady state touches no new page: buffers that
// were not recycled cost a prototype twice the CPU.
//
// Threads: none of its own; BlockCache calls it under its lock.  The bytes of
// a slot belong to whoever took it.  Errors: create() fails when the address
// space is not to be had; take() gives nothing when all slots are out.
#ifndef HTTPCACHE_SLAB_H
#define HTTPCACHE_SLAB_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "error.h"

namespace httpcache {

// Number of a slot, 0 .. slots-1.
using SlotId = uint32_t;

class Slab {
public:
  static Result<Slab> create(uint32_t slots, uint32_t slot_size);

  // Unmaps.  Every slot should be back by now, but need not be.
  ~Slab();
  Slab(Slab &&other) noexcept;
  Slab &operator=(Slab &&) = delete;

  std::optional<SlotId> take();
  void give_back(SlotId slot);

  char *data(SlotId slot) const {
    return base_ + static_cast<size_t>(slot) * slot_size_;
  }
  uint32_t slots() const { return slots_; }
  uint32_t in_use() const {
    return used_ - static_cast<uint32_t>(free_.size());
  }
  // Most slots ever out at once.
  uint32_t peak() const { return used_; }

private:
  Slab(char *base, uint32_t slots, uint32_t slot_size);

  char *base_;
  uint32_t slots_;
  uint32_t slot_size_;
  uint32_t used_ = 0; // slots [used_, slots_) were never handed out
  std::vector<SlotId> free_;
};

} // namespace httpcache

#endif
