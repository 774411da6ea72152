// shim.cpp: scopes, description, memory in and out, creation, random numbers. See shim.h.
#include "shim.h"
#include "protect.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/util/Logging.h>

// Messages reach the user without the C++ stack, which takes milliseconds to gather.
static bool no_stacks = [] {
  c10::SetStackTraceFetcher(std::function<std::string()>([] { return std::string(); }));
  return true;
}();

extern thread_local char *torch_last_err; // gotch's

static thread_local int threads_here = 0;

int af_enter(int grad, int threads) {
  int was = c10::GradMode::is_enabled();
  if (was != grad)
    c10::GradMode::set_enabled(grad);
  if (threads > 0 && threads_here != threads) {
    at::set_num_threads(threads);
    af_blas_threads(threads);
    threads_here = threads;
  }
  return was;
}

void af_grad(int grad) { c10::GradMode::set_enabled(grad); }

void af_free(void **tensors, int n) {
  for (int i = n - 1; i >= 0; i--)
    delete (at::Tensor *)tensors[i];
}

char *af_last_error(void) {
  char *e = torch_last_err;
  torch_last_err = nullptr;
  return e;
}

char *af_meta(void *t, int64_t *out, int max_dims) {
  PROTECTED({
    const at::Tensor &x = T(t);
    out[0] = (int64_t)x.scalar_type();
    out[1] = x.is_cpu() ? -1 : x.get_device();
    out[2] = x.is_contiguous();
    out[3] = x.requires_grad();
    out[4] = x.dim();
    TORCH_CHECK(x.dim() <= max_dims, "a tensor of ", x.dim(), " dimensions; this program knows up to ", max_dims);
    for (int i = 0; i < x.dim(); i++)
      out[5 + i] = x.size(i);
  })
}

char *af_strides(void *t, int64_t *out) {
  PROTECTED({
    for (int i = 0; i < T(t).dim(); i++)
      out[i] = T(t).stride(i);
  })
}

char *af_item(void *t, double *out) { PROTECTED(*out = T(t).item().toDouble();) }

char *af_data(void *t, void **out) { PROTECTED(*out = T(t).data_ptr();) }

static at::IntArrayRef shape(int64_t *dims, int ndims) { return at::IntArrayRef(dims, ndims); }

char *af_wrap(void **out, void *data, int64_t *dims, int ndims, int dtype) {
  PROTECTED(give(out, at::from_blob(data, shape(dims, ndims), at::TensorOptions().dtype((at::ScalarType)dtype)));)
}

char *af_from(void **out, const void *data, int64_t *dims, int ndims, int dtype) {
  PROTECTED({
    at::Tensor x = at::empty(shape(dims, ndims), at::TensorOptions().dtype((at::ScalarType)dtype));
    if (x.numel() > 0)
      memcpy(x.data_ptr(), data, x.numel() * x.element_size());
    give(out, x);
  })
}

// A generator per call makes the numbers a pure function of (seed, shape).
static at::Generator generator(int64_t seed) { return at::make_generator<at::CPUGeneratorImpl>((uint64_t)seed); }

char *af_randn(void **out, int64_t seed, int64_t *dims, int ndims) {
  PROTECTED(give(out, at::randn(shape(dims, ndims), generator(seed), at::TensorOptions().dtype(at::kFloat)));)
}

char *af_rand(void **out, int64_t seed, int64_t *dims, int ndims) {
  PROTECTED(give(out, at::rand(shape(dims, ndims), generator(seed), at::TensorOptions().dtype(at::kFloat)));)
}

char *af_randperm(void **out, int64_t seed, int64_t n) {
  PROTECTED(give(out, at::randperm(n, generator(seed), at::TensorOptions().dtype(at::kLong)));)
}

static at::TensorOptions options(int dtype, int device) {
  at::Device d = device < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, device);
  return at::TensorOptions().dtype((at::ScalarType)dtype).device(d);
}

char *af_empty(void **out, int64_t *dims, int ndims) { PROTECTED(give(out, at::empty(shape(dims, ndims), at::kFloat));) }

char *af_full(void **out, double v, int dtype, int device, int64_t *dims, int ndims) {
  PROTECTED(give(out, at::full(shape(dims, ndims), v, options(dtype, device)));)
}

char *af_arange(void **out, double from, double to, double step, int dtype, int device) {
  PROTECTED({
    if (at::isIntegralType((at::ScalarType)dtype, true))
      give(out, at::arange((int64_t)from, (int64_t)to, (int64_t)step, options(dtype, device)));
    else
      give(out, at::arange(from, to, step, options(dtype, device)));
  })
}
