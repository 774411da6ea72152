// streams.cpp: streams, events, pinned memory. See shim.h.
#include "shim.h"
#include "protect.h"

#include <chrono>
#include <thread>
#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/version.h>

static c10::impl::VirtualGuardImpl guard() { return c10::impl::VirtualGuardImpl(c10::kCUDA); }

static c10::Device cuda_device(int i) { return c10::Device(c10::kCUDA, i); }

static c10::Stream stream(int device, int64_t id) { return c10::Stream(c10::Stream::UNSAFE, cuda_device(device), id); }

char *af_stream(int device, int64_t *id) { PROTECTED(*id = guard().getStreamFromGlobalPool(cuda_device(device)).id();) }

char *af_stream_swap(int device, int64_t *id) { PROTECTED(*id = guard().exchangeStream(stream(device, *id)).id();) }

char *af_event_record(void **event, int device) {
  PROTECTED({
    if (*event == nullptr)
      *event = new c10::Event(c10::kCUDA);
    ((c10::Event *)*event)->record(guard().getStream(cuda_device(device)));
  })
}

char *af_event_block(void *event, int device) { PROTECTED(((c10::Event *)event)->block(guard().getStream(cuda_device(device)));) }

char *af_event_wait(void *event) {
  PROTECTED({
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 5)
    ((c10::Event *)event)->synchronize();
#else // an older libtorch can only be asked
    while (!((c10::Event *)event)->query())
      std::this_thread::sleep_for(std::chrono::microseconds(20));
#endif
  })
}

void af_event_free(void *event) { delete (c10::Event *)event; }

char *af_copy_later(void *dst, void *src) { PROTECTED(T(dst).copy_(T(src), /*non_blocking=*/true);) }

char *af_keep_on_stream(void *t) {
  PROTECTED(guard().recordDataPtrOnStream(T(t).storage().data_ptr(), guard().getStream(T(t).device()));)
}

char *af_pinned(void **out, int64_t *dims, int ndims, int dtype) {
  PROTECTED(give(out, at::empty(at::IntArrayRef(dims, ndims), at::TensorOptions().dtype((at::ScalarType)dtype).pinned_memory(true)));)
}
