// Asks torch for a cuBLAS handle, twice and in two threads, and prints what its allocator then has
// in use.

#include <c10/cuda/CUDACachingAllocator.h>

#include <unistd.h>

#include <iostream>
#include <thread>

namespace at::cuda {
void* getCurrentCUDABlasHandle(bool setup);
void* getCUDABlasLtWorkspace();
}  // namespace at::cuda

static void ask() {
  for (int turn = 0; turn < 2; ++turn) {
    at::cuda::getCurrentCUDABlasHandle(true);
    at::cuda::getCUDABlasLtWorkspace();
  }
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
  std::cout << stats.allocated_bytes[0].current << std::endl;
}

int main() {
  c10::cuda::CUDACachingAllocator::init(1);
  ask();
  std::thread(ask).join();
  _exit(0);
}
