// operators.cpp: tensors and copies of the GPU, the fallback for every other operator, and how libtorch finds them.
#include "fakegpu.h"

#include <vector>
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

namespace fake {
namespace {

thread_local int inside = 0; // the fallback, whose own copies are not the program's
struct Inside {
  Inside() { inside++; }
  ~Inside() { inside--; }
};

char *base_of(const at::Tensor &t) { return (char *)t.storage().unsafeGetStorageImpl()->data_ptr().get(); }

Region &region(const at::Tensor &t) {
  Region *r = region_of(base_of(t));
  TORCH_CHECK(r != nullptr, "fakegpu: a tensor on the GPU whose memory is not the GPU's");
  return *r;
}

// Open lets this library read and write a tensor's memory while it lives.
struct Open {
  char *base = nullptr;
  explicit Open(const at::Tensor &t) {
    if (!t.is_cuda() || t.numel() == 0)
      return;
    Lock lock(mu);
    base = base_of(t);
    protect(base, region(t), true);
  }
  ~Open() {
    Lock lock(mu);
    if (base != nullptr)
      protect(base, *region_of(base), false);
  }
};

// on_host is an opened tensor as one of the CPU.
at::Tensor on_host(const at::Tensor &t) {
  if (!t.is_cuda())
    return t;
  char *data = base_of(t) + t.storage_offset() * t.element_size();
  return at::from_blob(data, t.sizes(), t.strides(), at::TensorOptions().dtype(t.scalar_type()).device(at::kCPU));
}

void move(const at::Tensor &to, const at::Tensor &from) {
  Open a(to), b(from);
  on_host(to).copy_(on_host(from));
}

// touch records that the current stream of a tensor's device uses it.
void touch(const at::Tensor &t, int64_t stream, bool write) {
  if (!t.defined() || !t.is_cuda() || t.numel() == 0)
    return;
  Lock lock(mu);
  use(region(t), stream, write);
}

constexpr int poison = 0xff; // NaN in every floating type

void out_of_the_device(const at::Tensor &to, const at::Tensor &from, int64_t stream, bool later) {
  at::Tensor kept = at::empty_like(to); // what the source holds now, in the order of its stream
  move(kept, from);
  if (!later) {
    to.copy_(kept);
    return wait(stream);
  }
  size_t bytes = to.numel() * to.element_size();
  char *p = (char *)to.data_ptr();
  Lock lock(mu); // another thread may wait for the stream meanwhile
  memset(p, poison, bytes);
  fly(stream, p, bytes, [to, kept, p, bytes] {
    for (size_t i = 0; i < bytes; i++)
      if ((unsigned char)p[i] != poison) {
        fault("the host wrote into a pinned buffer while a copy from the device into it was in flight");
        break;
      }
    to.copy_(kept);
  });
}

void into_the_device(const at::Tensor &to, const at::Tensor &from, int64_t stream, bool later) {
  move(to, from);
  if (!later)
    return wait(stream);
  size_t bytes = from.numel() * from.element_size();
  std::string kept((char *)from.data_ptr(), bytes);
  fly(stream, from.data_ptr(), bytes, [from, kept] {
    if (memcmp(kept.data(), from.data_ptr(), kept.size()) != 0)
      fault("the host wrote into a pinned buffer while a copy from it to the device was in flight");
  });
}

at::Tensor &copy_(at::Tensor &self, const at::Tensor &src, bool non_blocking) {
  if (self.numel() == 0)
    return self;
  if (inside > 0) {
    move(self, src);
    return self;
  }
  size_t bytes = src.numel() * src.element_size();
  if (self.is_cuda() && src.is_cuda()) {
    bool one = self.device() == src.device();
    int64_t from = current_stream(src.device().index()), to = current_stream(self.device().index());
    count(one ? "copy on device" : "copy device to device", bytes);
    follow(from, to); // the copy runs on the source's stream, and the target's waits for it
    launch(from);
    touch(src, from, false);
    touch(self, from, true);
    move(self, src);
    follow(to, from);
    return self;
  }
  const at::Tensor &device = self.is_cuda() ? self : src, &host = self.is_cuda() ? src : self;
  int64_t stream = current_stream(device.device().index());
  bool fixed = is_pinned(host.data_ptr()), later = non_blocking && fixed && host.is_contiguous();
  count(std::string(self.is_cuda() ? "h2d" : "d2h") + (fixed ? " pinned" : " pageable") + (later ? "" : " blocking"), bytes);
  launch(stream);
  touch(device, stream, self.is_cuda());
  (self.is_cuda() ? into_the_device : out_of_the_device)(self, src, stream, later);
  return self;
}

at::Tensor copy_from(const at::Tensor &src, const at::Tensor &dst, bool non_blocking) {
  at::Tensor to = dst;
  return copy_(to, src, non_blocking);
}

struct On { // a device
  int was = current_device;
  explicit On(int device) { current_device = device; }
  ~On() { current_device = was; }
};

const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);

void grow(const at::Tensor &t, at::IntArrayRef size) {
  On on(t.device().index());
  at::Tensor fresh(at::detail::empty_generic(size, device_memory(), keys, t.scalar_type(), c10::nullopt));
  t.unsafeGetTensorImpl()->set_storage_keep_dtype(fresh.storage());
  t.unsafeGetTensorImpl()->set_sizes_contiguous(size);
}

const at::Tensor &resize_(const at::Tensor &t, at::IntArrayRef size, c10::optional<at::MemoryFormat>) {
  if (t.sizes() != size)
    grow(t, size);
  return t;
}

at::Tensor copy_from_and_resize(const at::Tensor &src, const at::Tensor &dst) {
  if (src.sizes() != dst.sizes()) {
    TORCH_CHECK(dst.is_cuda(), "fakegpu: a resize on the host");
    grow(dst, src.sizes());
  }
  move(dst, src);
  return dst;
}

at::Scalar local_scalar(const at::Tensor &t) {
  count("item");
  int64_t stream = current_stream(t.device().index());
  touch(t, stream, false);
  wait(stream);
  Open open(t);
  return on_host(t).item();
}

at::Tensor empty(at::IntArrayRef size, c10::optional<at::ScalarType> type, c10::optional<at::Layout>, c10::optional<at::Device> d, c10::optional<bool>,
                 c10::optional<at::MemoryFormat> format) {
  On on(d && d->has_index() ? d->index() : current_device);
  return at::detail::empty_generic(size, device_memory(), keys, type.value_or(at::kFloat), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, c10::optional<at::ScalarType> type, c10::optional<at::Layout>, c10::optional<at::Device> d,
                         c10::optional<bool>) {
  On on(d && d->has_index() ? d->index() : current_device);
  return at::detail::empty_strided_generic(size, stride, device_memory(), keys, type.value_or(at::kFloat));
}

bool tensor_is_pinned(const at::Tensor &t, c10::optional<at::Device>) { return is_pinned(t.data_ptr()); }

at::Tensor pin_memory(const at::Tensor &t, c10::optional<at::Device>) {
  at::Tensor out(at::detail::empty_generic(t.sizes(), pinned_memory(), c10::DispatchKeySet(c10::DispatchKey::CPU), t.scalar_type(), c10::nullopt));
  return out.copy_(t);
}

void each_tensor(const c10::IValue &v, const std::function<void(const at::Tensor &)> &f) {
  if (v.isTensor() && v.toTensor().defined())
    f(v.toTensor());
  else if (v.isTensorList())
    for (const at::Tensor &t : v.toTensorVector())
      f(t);
}

// Every other operator: refuse what a GPU refuses, compute on copies by the CPU's operator, and remember which stream
// read and wrote what.
void fallback(const c10::OperatorHandle &op, torch::jit::Stack *stack) {
  const auto &arguments = op.schema().arguments();
  c10::optional<c10::Device> seen;
  size_t first = stack->size() - arguments.size();
  for (size_t i = 0; i < arguments.size(); i++)
    each_tensor((*stack)[first + i], [&](const at::Tensor &t) {
      if (t.is_cpu() && t.dim() == 0) // a number
        return;
      if (!seen)
        seen = t.device();
      TORCH_CHECK(*seen == t.device(), "Expected all tensors to be on the same device, but found at least two devices, ", *seen, " and ", t.device(), "! (",
                  op.schema().name(), ")");
    });
  int64_t stream = current_stream(seen && seen->is_cuda() ? seen->index() : current_device);
  launch(stream);
  for (size_t i = 0; i < arguments.size(); i++)
    each_tensor((*stack)[first + i], [&](const at::Tensor &t) {
      touch(t, stream, arguments[i].alias_info() != nullptr && arguments[i].alias_info()->isWrite());
    });
  count("op");
  count("op " + op.schema().name());
  {
    Inside in;
    at::native::cpu_fallback(op, stack);
  }
  for (size_t i = 0; i < op.schema().returns().size(); i++)
    each_tensor((*stack)[stack->size() - 1 - i], [&](const at::Tensor &t) { touch(t, stream, true); });
}

} // namespace
} // namespace fake

namespace at {
struct FakeHooks final : CUDAHooksInterface {
  explicit FakeHooks(CUDAHooksArgs) {}
  static const Generator &generator(int device) {
    static std::vector<Generator> all = [] {
      std::vector<Generator> g;
      for (int i = 0; i < fake::devices(); i++)
        g.push_back(at::detail::createCPUGenerator());
      return g;
    }();
    return all.at(device < 0 ? fake::current_device : device);
  }
#if TORCH_VERSION_MAJOR >= 2
  void init() const override {}
  bool isPinnedPtr(const void *p) const override { return fake::is_pinned(p); }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex current_device() const override { return fake::current_device; }
  const Generator &getDefaultGenerator(c10::DeviceIndex i) const override { return generator(i); }
#else
  void initCUDA() const override {}
  bool isPinnedPtr(void *p) const override { return fake::is_pinned(p); }
  bool hasPrimaryContext(int64_t) const override { return true; }
  int64_t current_device() const override { return fake::current_device; }
  const Generator &getDefaultCUDAGenerator(c10::DeviceIndex i) const override { return generator(i); }
#endif
  bool hasCUDA() const override { return true; }
  int getNumGPUs() const override { return fake::devices(); }
  Allocator *getPinnedMemoryAllocator() const override { return fake::pinned_memory(); }
  Allocator *getCUDADeviceAllocator() const override { return fake::device_memory(); }
};
C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", FakeHooks);
} // namespace at

namespace {
struct Register {
  Register() {
    fake::register_guard();
    c10::SetAllocator(at::kCUDA, fake::device_memory(), 100);
  }
} registered;
} // namespace

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fake::fallback>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", fake::empty);
  m.impl("empty_strided", fake::empty_strided);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("resize_", fake::resize_);
  m.impl("copy_", fake::copy_);
  m.impl("_copy_from", fake::copy_from);
  m.impl("_copy_from_and_resize", fake::copy_from_and_resize);
  m.impl("_local_scalar_dense", fake::local_scalar);
  m.impl("is_pinned", fake::tensor_is_pinned);
  m.impl("_pin_memory", fake::pin_memory);
}
