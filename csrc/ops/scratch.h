// Memory that is not a tensor: the working memory of a thread, and a hint for large outputs.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <sys/mman.h>

namespace freqops {

inline constexpr size_t kHugePage = size_t{2} << 20;

// Large tensors come from fresh pages on every call; 2 MiB pages make 512 times fewer faults of them.
inline void prefer_huge_pages(void* data, size_t bytes) {
#ifdef MADV_HUGEPAGE
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / kHugePage * kHugePage;
  // A refusal only means small pages.
  if (end > begin) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)data;
  (void)bytes;
#endif
}

// Kept by each thread between calls up to kKept bytes; what one call needs beyond that is given back after it.
class Scratch {
 public:
  static constexpr size_t kKept = size_t{64} << 20;

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }

  void* reserve(size_t bytes) {
    if (bytes <= size_) return data_;
    std::free(data_);
    const size_t alignment = bytes >= kHugePage ? kHugePage : 64;
    size_ = (bytes + alignment - 1) / alignment * alignment;
    data_ = std::aligned_alloc(alignment, size_);
    if (!data_) {
      size_ = 0;
      throw std::bad_alloc();
    }
    prefer_huge_pages(data_, size_);
    return data_;
  }
  void trim() {
    if (size_ <= kKept) return;
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
  }

  static Scratch& of_this_thread() {
    static thread_local Scratch scratch;
    return scratch;
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace freqops
