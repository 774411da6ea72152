// devices.cpp: threads, versions. See shim.h.
#include "shim.h"
#include "protect.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/version.h>

// Debian's OpenBLAS has threads of its own, which at::set_num_threads does not reach.
void af_blas_threads(int n) {
  static auto set = (void (*)(int))dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
  if (set != nullptr)
    set(n);
}

// Not at::manual_seed: it asks for CUDA, and libtorch remembers the answer from before it was looked for (cuda.cpp).
void af_seed(int64_t seed) {
  at::Generator g = at::detail::getDefaultCPUGenerator();
  std::lock_guard<std::mutex> lock(g.mutex());
  g.set_current_seed((uint64_t)seed);
}

int af_threads(void) { return at::get_num_threads(); }

char *af_version(void) { return strdup(TORCH_VERSION); }

char *af_blas(void) {
  static auto config = (char *(*)(void))dlsym(RTLD_DEFAULT, "openblas_get_config");
  if (config != nullptr)
    return strdup(config());
  return strdup(at::hasMKL() ? "MKL" : "built into libtorch");
}
