// The 32 threads of a warp as one: code that hands them a matrix product, which none of them can do alone. Each<V> is a V
// for every lane: a register on the device, 32 values on the host, where lanes take turns. Nothing is read of another
// lane but by multiply.
#pragma once

#include <cstdint>

#include "stencil.cuh"

namespace freqops::cuda {

inline constexpr int kWarpLanes = 32;

// Words of two bfloat16, sums: what a lane has of the operands of a product.
template <class V, int N>
struct alignas(N * sizeof(V)) LaneValues {
  V at[N];
};

#if defined(__CUDACC__)
class DeviceWarp {
 public:
  explicit __device__ __forceinline__ DeviceWarp(int thread) : thread_(static_cast<unsigned>(thread)) {}

  template <class V>
  struct Each {
    V value;
    __device__ __forceinline__ V& operator[](int) { return value; }
    __device__ __forceinline__ const V& operator[](int) const { return value; }
  };

  __device__ __forceinline__ int index() const { return static_cast<int>(thread_ / kWarpLanes); }
  template <class F>
  __device__ __forceinline__ void each(F&& f) const {
    f(static_cast<int>(thread_ % kWarpLanes));
  }
  // sums[16][8] += a[16][16] b[16][8], in the layout of mma.m16n8k16.
  static __device__ __forceinline__ void multiply(Each<LaneValues<float, 4>>& sums,
                                                  const Each<LaneValues<uint32_t, 4>>& a,
                                                  const Each<LaneValues<uint32_t, 2>>& b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    float (&d)[4] = sums.value.at;
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a.value.at[0]), "r"(a.value.at[1]), "r"(a.value.at[2]), "r"(a.value.at[3]), "r"(b.value.at[0]),
          "r"(b.value.at[1]));
#endif
  }

 private:
  unsigned thread_;
};
#endif

class HostWarp {
 public:
  explicit HostWarp(int index) : index_(index) {}

  template <class V>
  struct Each {
    V values[kWarpLanes];
    V& operator[](int lane) { return values[lane]; }
    const V& operator[](int lane) const { return values[lane]; }
  };

  int index() const { return index_; }
  template <class F>
  void each(F&& f) const {
    for (int lane = 0; lane < kWarpLanes; ++lane) f(lane);
  }
  static void multiply(Each<LaneValues<float, 4>>& sums, const Each<LaneValues<uint32_t, 4>>& a,
                       const Each<LaneValues<uint32_t, 2>>& b) {
    const auto half = [](uint32_t word, int k) { return float_of(k % 2 ? word & 0xffff0000u : word << 16); };
    float left[16][16], right[16][8];
    for (int k = 0; k < 16; ++k) {
      for (int row = 0; row < 16; ++row) {
        left[row][k] = half(a[row % 8 * 4 + k % 8 / 2].at[row / 8 + k / 8 * 2], k);
      }
      for (int column = 0; column < 8; ++column) right[k][column] = half(b[column * 4 + k % 8 / 2].at[k / 8], k);
    }
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 8; ++column) {
        float& sum = sums[row % 8 * 4 + column / 2].at[row / 8 * 2 + column % 2];
        for (int k = 0; k < 16; ++k) sum += left[row][k] * right[k][column];
      }
    }
  }

 private:
  int index_;
};

// A phase of warps: calls f(warp) for each warp of the block.
template <class Phases, class F>
FREQOPS_HOST_DEVICE void run_warps(const Phases& phases, F&& f) {
  phases.run([&](int thread) {
#if defined(__CUDA_ARCH__)
    f(DeviceWarp(thread));
#else
    if (thread % kWarpLanes == 0) f(HostWarp(thread / kWarpLanes));
#endif
  });
}

}  // namespace freqops::cuda
