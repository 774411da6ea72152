// cuda.cpp: finding CUDA, or why there is none. See shim.h.
#include "shim.h"
#include "protect.h"

#include <dlfcn.h>
#include <string>
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {

struct Cuda {
  int devices = 0;
  std::string why; // there are none
};

void *library; // libtorch_cuda.so; NULL where there is none

// A function of libcudart or libcuda, from libtorch_cuda.so or what it brings along: this library is compiled without
// CUDA's headers, so that one serves machines with a GPU and without.
template <class F> F *function(const char *name) { return (F *)dlsym(library != nullptr ? library : RTLD_DEFAULT, name); }

// driver is a function of the driver, which libcudart opens for itself alone.
template <class F> F *driver(const char *name) {
  if (F *f = function<F>(name))
    return f;
  static void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  return lib == nullptr ? nullptr : (F *)dlsym(lib, name);
}

std::string error_text(int code) {
  auto text = function<const char *(int)>("cudaGetErrorString");
  return (text != nullptr ? text(code) : "CUDA error") + (" (" + std::to_string(code) + ")");
}

// libtorch counts no devices where CUDA gives an error; CUDA itself says which. Where there is no driver at all it calls it
// too old.
std::string why_none() {
  auto count = function<int(int *)>("cudaGetDeviceCount");
  if (count == nullptr)
    return "libtorch_cuda.so was loaded, and counts no devices";
  int n = 0, code = count(&n);
  if (code == 0)
    return "the driver shows no device";
  bool none = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) == nullptr;
  return error_text(code) + (none ? std::string("; ") + dlerror() : "");
}

Cuda look() {
  Cuda c;
  // It lies beside libtorch_cpu.so. The loader searches this library's RUNPATH only for a call that returns into
  // this library: as the last call of a function it would become a jump, and libtorch_cuda.so would not be found.
  library = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    c.why = dlerror();
    return c;
  }
  try {
    const auto &hooks = at::detail::getCUDAHooks();
    c.devices = hooks.hasCUDA() ? hooks.getNumGPUs() : 0;
  } catch (const c10::Error &e) {
    c.why = e.what_without_backtrace();
  } catch (const std::exception &e) {
    c.why = e.what();
  } catch (...) {
    c.why = "an exception of unknown type";
  }
  if (c.devices == 0 && c.why.empty())
    c.why = why_none();
  return c;
}

// libtorch remembers the first answer to "is there CUDA?", so this comes before anything else that asks.
const Cuda &cuda() {
  static const Cuda c = look();
  return c;
}

void succeed(int code, const char *what) { TORCH_CHECK(code == 0, what, ": ", error_text(code)); }

// attribute of a device; the numbers are those of cudaDeviceAttr.
int attribute(int which, int device) {
  auto get = function<int(int *, int, int)>("cudaDeviceGetAttribute");
  TORCH_CHECK(get != nullptr, "no cudaDeviceGetAttribute beside libtorch_cuda.so");
  int value = 0;
  succeed(get(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

std::string name_of(int device) {
  auto get = driver<int(int *, int)>("cuDeviceGet");
  auto name = driver<int(char *, int, int)>("cuDeviceGetName");
  char text[256] = "";
  int handle = 0;
  if (get == nullptr || name == nullptr || get(&handle, device) != 0 || name(text, sizeof text, handle) != 0)
    return "unknown";
  return text;
}

int version(const char *function_name) {
  auto get = function<int(int *)>(function_name);
  int v = 0;
  return get != nullptr && get(&v) == 0 ? v : 0;
}

} // namespace

int af_cuda(void) { return cuda().devices; }

char *af_cuda_why(void) { return cuda().devices > 0 ? nullptr : strdup(cuda().why.c_str()); }

void af_cuda_versions(int *runtime, int *driver) {
  cuda();
  *runtime = version("cudaRuntimeGetVersion");
  *driver = version("cudaDriverGetVersion");
}

void af_cuda_tf32(int on) { at::globalContext().setFloat32MatmulPrecision(std::string(on ? "high" : "highest")); }

char *af_cuda_device(int device, char **name, int64_t *out) {
  PROTECTED({
    c10::impl::VirtualGuardImpl guard(c10::kCUDA);
    c10::Device was = guard.exchangeDevice(c10::Device(c10::kCUDA, device));
    auto memory = function<int(size_t *, size_t *)>("cudaMemGetInfo");
    TORCH_CHECK(memory != nullptr, "no cudaMemGetInfo beside libtorch_cuda.so");
    size_t free = 0;
    size_t total = 0;
    int code = memory(&free, &total);
    guard.setDevice(was);
    succeed(code, "cudaMemGetInfo");
    out[0] = total;
    out[1] = free;
    out[2] = attribute(75, device); // compute capability
    out[3] = attribute(76, device);
    out[4] = attribute(16, device); // multiprocessors
    *name = strdup(name_of(device).c_str());
  })
}
