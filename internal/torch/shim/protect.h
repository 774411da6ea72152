// protect.h: how the shim's functions report failure and hand out tensors.
#ifndef ACTFLEET_PROTECT_H
#define ACTFLEET_PROTECT_H
#include <cstring>
#include <exception>
#include <ATen/core/Tensor.h>

// PROTECTED runs a body; what it throws becomes the returned message.
#define PROTECTED(body)                                                                                                \
  try {                                                                                                                \
    body                                                                                                               \
  } catch (const c10::Error &e) {                                                                                      \
    return strdup(e.what_without_backtrace());                                                                         \
  } catch (const std::exception &e) {                                                                                  \
    return strdup(e.what());                                                                                           \
  } catch (...) {                                                                                                      \
    return strdup("an exception of unknown type");                                                                     \
  }                                                                                                                    \
  return nullptr;

static inline at::Tensor &T(void *t) { return *(at::Tensor *)t; }

static inline void give(void **out, at::Tensor t) { *out = new at::Tensor(std::move(t)); }

void af_blas_threads(int n); // devices.cpp

#endif
