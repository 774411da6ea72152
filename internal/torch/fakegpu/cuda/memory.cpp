// memory.cpp: device memory the host may not touch, pinned memory, counts and faults.
#include "fakegpu.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
#include <c10/util/Exception.h>

namespace fake {

std::recursive_mutex mu;
thread_local int current_device = 0;

namespace {

constexpr size_t page = 4096, unlimited = (size_t)8 << 30;

struct Counted {
  int64_t calls = 0, bytes = 0;
};
std::map<std::string, Counted> counts;
std::string faults;
std::map<char *, Region> regions;
std::map<char *, size_t> pinned;
std::map<int, size_t> used, peak;

size_t from_environment(const char *name, size_t otherwise) {
  const char *v = getenv(name);
  return v != nullptr ? strtoull(v, nullptr, 10) : otherwise;
}
size_t limit = from_environment("FAKEGPU_BYTES", unlimited); // of each device

// Arena is where all device memory lies: addresses that nothing else has, handed out once and never again.
struct Arena {
  char *from = nullptr, *next = nullptr, *end = nullptr;
  Arena() {
    for (size_t size = (size_t)1 << 42; size > limit; size /= 4) {
      void *p = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p == MAP_FAILED)
        continue;
      from = next = (char *)p;
      end = from + size;
      return;
    }
  }
  char *take(size_t size) {
    TORCH_CHECK(size <= (size_t)(end - next), "fakegpu: no addresses left");
    char *p = next;
    next += size;
    return p;
  }
} arena;

// A host that touches device memory hears of it before it dies.
struct sigaction before;
void on_fault(int signal, siginfo_t *info, void *context) {
  if ((char *)info->si_addr >= arena.from && (char *)info->si_addr < arena.next) {
    const char say[] = "fakegpu: the host touched memory of the GPU, or touched it after it was freed\n";
    (void)!write(2, say, sizeof say - 1);
  }
  if (before.sa_flags & SA_SIGINFO)
    before.sa_sigaction(signal, info, context);
  else
    std::signal(signal, SIG_DFL);
}
struct Watch {
  Watch() {
    struct sigaction a = {};
    a.sa_sigaction = on_fault;
    a.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&a.sa_mask);
    sigaction(SIGSEGV, &a, &before);
  }
} watch;

void release(void *p) {
  Lock lock(mu);
  auto it = regions.find((char *)p);
  if (it == regions.end())
    return;
  check_free(it->second);
  mprotect(p, it->second.size, PROT_NONE);
  madvise(p, it->second.size, MADV_DONTNEED);
  used[it->second.device] -= it->second.size;
  regions.erase(it);
}

void release_pinned(void *p) {
  {
    Lock lock(mu);
    pinned.erase((char *)p);
  }
  free(p);
}

c10::DataPtr make_device(size_t n) {
  c10::Device d(c10::kCUDA, current_device);
  if (n == 0)
    return {nullptr, nullptr, &release, d};
  size_t size = (n + page - 1) / page * page;
  Lock lock(mu);
  size_t &in_use = used[current_device];
  TORCH_CHECK_WITH(OutOfMemoryError, in_use + size <= limit, "CUDA out of memory. Tried to allocate ", size, " bytes (GPU ", current_device, "; ",
                   limit, " bytes in all, ", in_use, " in use; fakegpu)");
  char *p = arena.take(size);
  in_use += size;
  peak[current_device] = std::max(peak[current_device], in_use);
  Region r{};
  r.size = size;
  r.device = current_device;
  r.home = current_stream(current_device);
  regions[p] = r;
  count("alloc", n);
  return {p, p, &release, d};
}

c10::DataPtr make_pinned(size_t n) {
  char *p = (char *)aligned_alloc(64, (n + 64) / 64 * 64);
  Lock lock(mu);
  pinned[p] = n;
  count("pinned alloc", n);
  return {p, p, &release_pinned, c10::Device(c10::kCPU)};
}

template <c10::DataPtr (*make)(size_t), void (*drop)(void *)> struct Memory final : c10::Allocator {
#if TORCH_VERSION_MAJOR >= 2
  c10::DataPtr allocate(size_t n) override { return make(n); }
  void copy_data(void *, const void *, std::size_t) const override { TORCH_CHECK(false, "fakegpu: copy_data"); }
#else
  c10::DataPtr allocate(size_t n) const override { return make(n); }
#endif
  c10::DeleterFnPtr raw_deleter() const override { return drop; }
};

} // namespace

c10::Allocator *device_memory() {
  static Memory<make_device, release> m;
  return &m;
}

c10::Allocator *pinned_memory() {
  static Memory<make_pinned, release_pinned> m;
  return &m;
}

Region *region_of(const void *base) {
  auto it = regions.find((char *)base);
  return it == regions.end() ? nullptr : &it->second;
}

bool is_pinned(const void *p) {
  Lock lock(mu);
  auto it = pinned.upper_bound((char *)p);
  return it != pinned.begin() && (char *)p <= (--it)->first + it->second;
}

void protect(char *base, Region &r, bool open) {
  if (open ? r.open++ == 0 : --r.open == 0)
    mprotect(base, r.size, open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

void count(const std::string &what, size_t bytes) {
  Lock lock(mu);
  Counted &c = counts[what];
  c.calls++;
  c.bytes += bytes;
}

void fault(const std::string &what) {
  Lock lock(mu);
  faults += what + "\n";
  fprintf(stderr, "fakegpu: %s\n", what.c_str());
}

int devices() {
  static int n = from_environment("FAKEGPU_DEVICES", 1);
  return n;
}

} // namespace fake

// What tests ask; fakegpu.go finds these by name.
extern "C" {

void fakegpu_reset(void) {
  fake::Lock lock(fake::mu);
  fake::counts.clear();
  fake::faults.clear();
  fake::peak = fake::used;
}

void fakegpu_count(const char *what, int64_t *out) {
  fake::Lock lock(fake::mu);
  fake::Counted c = fake::counts[what];
  out[0] = c.calls;
  out[1] = c.bytes;
}

// A line for each kind of event: calls, bytes, kind.
char *fakegpu_counts(void) {
  fake::Lock lock(fake::mu);
  std::string all;
  for (auto &e : fake::counts)
    all += std::to_string(e.second.calls) + " " + std::to_string(e.second.bytes) + " " + e.first + "\n";
  return strdup(all.c_str());
}

char *fakegpu_faults(void) {
  fake::Lock lock(fake::mu);
  std::string all;
  all.swap(fake::faults);
  return strdup(all.c_str());
}

void fakegpu_limit(int64_t bytes) {
  fake::Lock lock(fake::mu);
  fake::limit = bytes > 0 ? bytes : fake::unlimited;
}

int64_t fakegpu_peak(int device) {
  fake::Lock lock(fake::mu);
  return fake::peak[device];
}

// The functions of CUDA's runtime and driver that the shim asks for. Names and numbers are made up.
int cudaGetDeviceCount(int *n) {
  *n = fake::devices();
  return 0;
}
const char *cudaGetErrorString(int) { return "an error of fakegpu"; }
int cudaRuntimeGetVersion(int *v) { *v = 13000; return 0; }
int cudaDriverGetVersion(int *v) { *v = 13000; return 0; }
int cudaMemGetInfo(size_t *free, size_t *total) {
  fake::Lock lock(fake::mu);
  *total = fake::limit;
  *free = fake::limit - std::min(fake::limit, fake::used[fake::current_device]);
  return 0;
}
int cudaDeviceGetAttribute(int *value, int which, int) {
  *value = which == 75 ? 9 : which == 76 ? 0 : 1;
  return 0;
}
int cuDeviceGet(int *handle, int device) {
  *handle = device;
  return 0;
}
int cuDeviceGetName(char *name, int size, int) {
  strncpy(name, "fakegpu", size);
  return 0;
}

}
