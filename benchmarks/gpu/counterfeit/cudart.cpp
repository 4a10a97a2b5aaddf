// A CUDA runtime without a device, for torch's allocator to run on: it hands out addresses, counts
// bytes, and says when it is full. COUNTERFEIT_BYTES is its memory, COUNTERFEIT_CAPABILITY its
// compute capability (80). What else torch's libraries import is a stub that the builder appends.

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

namespace {

constexpr size_t kPage = 2 << 20;
size_t used = 0;
size_t next_address = size_t{1} << 40;
size_t next_range = size_t{1} << 52;
unsigned long long next_handle = 1;
std::map<size_t, size_t> segments;
std::map<unsigned long long, size_t> handles;

size_t capacity() {
  const char* given = std::getenv("COUNTERFEIT_BYTES");
  return given ? std::strtoull(given, nullptr, 10) : size_t{1} << 50;
}

CUresult reserve(CUdeviceptr* address, size_t nbytes, size_t, CUdeviceptr, unsigned long long) {
  *address = next_range;
  next_range += nbytes + (size_t{1} << 30);
  return CUDA_SUCCESS;
}

CUresult create(
    CUmemGenericAllocationHandle* handle,
    size_t nbytes,
    const CUmemAllocationProp*,
    unsigned long long) {
  if (used + nbytes > capacity()) return CUDA_ERROR_OUT_OF_MEMORY;
  used += nbytes;
  *handle = next_handle++;
  handles[*handle] = nbytes;
  return CUDA_SUCCESS;
}

CUresult release(CUmemGenericAllocationHandle handle) {
  used -= handles[handle];
  handles.erase(handle);
  return CUDA_SUCCESS;
}

CUresult attribute(int* value, CUdevice_attribute, CUdevice) {
  *value = 1;
  return CUDA_SUCCESS;
}

CUresult nothing() { return CUDA_SUCCESS; }

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) { *count = 1; return cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { *device = 0; return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { *version = 13000; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { *version = 13000; return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t) { return "error"; }
const char* cudaGetErrorString(cudaError_t) { return "error"; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* found, int) {
  const char* given = std::getenv("COUNTERFEIT_CAPABILITY");
  const int capability = given ? std::atoi(given) : 80;
  std::memset(found, 0, sizeof *found);
  std::strcpy(found->name, "counterfeit");
  found->totalGlobalMem = capacity();
  found->major = capability / 10;
  found->minor = capability % 10;
  found->multiProcessorCount = 1;
  found->warpSize = 32;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = capacity();
  *free = *total - used;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, size_t nbytes) {
  if (used + nbytes > capacity()) return cudaErrorMemoryAllocation;
  used += nbytes;
  *address = reinterpret_cast<void*>(next_address);
  segments[next_address] = nbytes;
  next_address += (nbytes + kPage - 1) / kPage * kPage;
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  auto found = segments.find(reinterpret_cast<size_t>(address));
  if (found != segments.end()) {
    used -= found->second;
    segments.erase(found);
  }
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPointByVersion(
    const char* name,
    void** entry,
    unsigned,
    unsigned long long,
    cudaDriverEntryPointQueryResult* result) {
  const std::map<std::string, void*> known = {
      {"cuMemAddressReserve", reinterpret_cast<void*>(reserve)},
      {"cuMemCreate", reinterpret_cast<void*>(create)},
      {"cuMemRelease", reinterpret_cast<void*>(release)},
      {"cuDeviceGetAttribute", reinterpret_cast<void*>(attribute)},
  };
  auto found = known.find(name);
  *entry = found == known.end() ? reinterpret_cast<void*>(nothing) : found->second;
  if (result) *result = cudaDriverEntryPointSuccess;
  return cudaSuccess;
}

}  // extern "C"
