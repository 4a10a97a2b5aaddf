// Serves requests with torch's own allocator and prints its own statistics. Standard input is one
// number a line: n > 0 asks for n bytes, n <= 0 frees what the request number -n (from 0) got.

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/PeerToPeerAccess.h>

#include <unistd.h>

#include <iostream>
#include <vector>

using namespace c10::cuda;

int main() {
  CUDACachingAllocator::init(1);
  c10::cuda::detail::init_p2p_access_cache(1);
  std::vector<void*> given;
  long failed_at = -1;
  long number = 0;
  for (long index = 0; std::cin >> number; ++index) {
    if (number <= 0) {
      CUDACachingAllocator::raw_delete(given.at(static_cast<size_t>(-number)));
      continue;
    }
    try {
      given.push_back(CUDACachingAllocator::raw_alloc(static_cast<size_t>(number)));
    } catch (const c10::OutOfMemoryError&) {
      failed_at = index;
      break;
    }
  }
  const auto stats = CUDACachingAllocator::getDeviceStats(0);
  const auto& allocated = stats.allocated_bytes[0];
  const auto& requested = stats.requested_bytes[0];
  const auto& reserved = stats.reserved_bytes[0];
  std::cout << allocated.peak << ' ' << requested.peak << ' ' << reserved.peak << ' '
            << allocated.current << ' ' << requested.current << ' ' << reserved.current << ' '
            << stats.num_alloc_retries << ' ' << failed_at << std::endl;
  _exit(0);  // no device: nothing to tear down
}
