// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// geometry.h - where the bytes of an export lie in its blocks.
//
// The export is cut into blocks of one power-of-two size; the last may be
// short.  Everything here counts from the export's first byte; the place in
// the remote object is that plus the `offset` parameter, and only
// Geometry::object_offset() adds it.
//
// Pure arithmetic on values: any thread, no errors.  Callers keep to the
// range rule of NBD, offset + count <= export size, which nbdkit checks for
// every request before a plugin sees it; it is asserted here.
//
// No sum can overflow: export size and offset are each at most 2^63 - 1 (an
// NBD size is an int64_t), and config and image refuse what lies beyond.
#ifndef HTTPCACHE_GEOMETRY_H
#define HTTPCACHE_GEOMETRY_H

#include <algorithm>
#include <bit>
#include <cassert>
#include <compare>
#include <cstdint>

namespace httpcache {

// The number of a block, counted from the export's start.  A type of its own,
// so that a block number is never taken for a byte offset.
struct BlockIndex {
  uint64_t value = 0;
  auto operator<=>(const BlockIndex &) const = default;
  BlockIndex operator+(uint64_t n) const { return {value + n}; }
  uint64_t operator-(BlockIndex other) const { return value - other.value; }
};

// Consecutive blocks [first, first + count).
struct BlockRun {
  BlockIndex first;
  uint64_t count = 0;
  BlockIndex end() const { return first + count; }
  bool operator==(const BlockRun &) const = default;
};

// The part of one block that a read wants: bytes [begin, end) of the block.
struct BlockPart {
  BlockIndex block;
  uint32_t begin = 0;
  uint32_t end = 0;
};

class Geometry {
public:
  Geometry() = default;
  Geometry(uint64_t export_size, uint64_t object_offset, uint32_t block_size)
      : export_size_(export_size), object_offset_(object_offset),
        block_size_(block_size),
        shift_(static_cast<unsigned>(std::countr_zero(block_size))) {
    assert(std::has_single_bit(block_size));
    assert(export_size <= uint64_t{INT64_MAX});
    assert(object_offset <= uint64_t{INT64_MAX} - export_size);
  }

  uint64_t export_size() const { return export_size_; }
  uint32_t block_size() const { return block_size_; }
  uint64_t block_count() const {
    return (export_size_ >> shift_) +
           ((export_size_ & (block_size_ - 1)) != 0 ? 1 : 0);
  }

  BlockIndex block_of(uint64_t offset) const { return {offset >> shift_}; }
  uint64_t start_of(BlockIndex block) const { return block.value << shift_; }

  // Bytes in BLOCK: block_size(), or less for the last.
  uint32_t length_of(BlockIndex block) const {
    assert(block.value < block_count());
    return static_cast<uint32_t>(
        std::min<uint64_t>(block_size_, export_size_ - start_of(block)));
  }

  uint64_t bytes_of(BlockRun run) const {
    assert(run.count > 0);
    return start_of(run.end() + uint64_t{0}) > export_size_
               ? export_size_ - start_of(run.first)
               : run.count << shift_;
  }

  // The blocks that [offset, offset + count) touches; an empty run for count 0.
  BlockRun run_of(uint64_t offset, uint64_t count) const {
    assert(offset <= export_size_ && count <= export_size_ - offset);
    if (count == 0)
      return {block_of(offset), 0};
    BlockIndex first = block_of(offset);
    return {first, (block_of(offset + count - 1) - first) + 1};
  }

  // What of BLOCK the read [offset, offset + count) wants.  BLOCK must be one
  // of run_of(offset, count).
  BlockPart part_of(BlockIndex block, uint64_t offset, uint64_t count) const {
    uint64_t start = start_of(block);
    uint64_t begin = std::max(offset, start);
    uint64_t end = std::min(offset + count, start + length_of(block));
    assert(begin < end);
    return {block, static_cast<uint32_t>(begin - start),
            static_cast<uint32_t>(end - start)};
  }

  // The place in the remote object of a place in the export.
  uint64_t object_offset(uint64_t offset) const {
    return object_offset_ + offset;
  }

private:
  uint64_t export_size_ = 0;
  uint64_t object_offset_ = 0;
  uint32_t block_size_ = 1;
  unsigned shift_ = 0;
};

} // namespace httpcache

#endif
