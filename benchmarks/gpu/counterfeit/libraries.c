/* What torch asks of other libraries before a segment is expandable, or a cuBLAS workspace is set:
   NVML without a fabric, and cuBLAS handles. */

static char handles[64];
static int created;

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device) { *device = handles; return 0; }
int nvmlDeviceGetGpuFabricInfoV(void *device, void *info) { return 3; } /* not supported */
int nvmlDeviceGetNvLinkRemoteDeviceType(void) { return 3; }
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void) { return 3; }
int nvmlDeviceGetComputeRunningProcesses(void) { return 3; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return 0; }

int cublasCreate_v2(void **handle) { *handle = &handles[created++]; return 0; }
int cublasDestroy_v2(void *handle) { return 0; }
int cublasSetStream_v2(void *handle, void *stream) { return 0; }
int cublasSetWorkspace_v2(void *handle, void *address, unsigned long nbytes) { return 0; }
int cublasSetMathMode(void *handle, int mode) { return 0; }
