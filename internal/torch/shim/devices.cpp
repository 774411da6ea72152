// devices.cpp: threads, CUDA, versions. See shim.h.
#include "shim.h"
#include "protect.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <mutex>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/version.h>

// Debian's OpenBLAS has threads of its own, which at::set_num_threads does not reach.
void af_blas_threads(int n) {
  static auto set = (void (*)(int))dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
  if (set != nullptr)
    set(n);
}

void af_seed(int64_t seed) { at::manual_seed(seed); }

int af_threads(void) { return at::get_num_threads(); }

int af_cuda(void) {
  // Opening it registers the CUDA operators. It lies beside libtorch_cpu.so, so a program built and
  // linked without CUDA uses a GPU where there is one.
  static std::once_flag once;
  std::call_once(once, [] { dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL); });
  try {
    return at::detail::getCUDAHooks().hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0;
  } catch (...) {
    return 0;
  }
}

char *af_version(void) { return strdup(TORCH_VERSION); }

char *af_blas(void) {
  static auto config = (char *(*)(void))dlsym(RTLD_DEFAULT, "openblas_get_config");
  if (config != nullptr)
    return strdup(config());
  return strdup(at::hasMKL() ? "MKL" : "built into libtorch");
}
