// ops.cpp: operators with plain numbers, in-place operators and autograd. See shim.h.
#include "shim.h"
#include "protect.h"

#include <cmath>
#include <ATen/ATen.h>

char *af_add_scalar(void **out, void *a, double v) { PROTECTED(give(out, T(a).add(v));) }

char *af_mul_scalar(void **out, void *a, double v) { PROTECTED(give(out, T(a).mul(v));) }

static at::Tensor compare(const at::Tensor &a, double v, int op) {
  switch (op) {
  case 0: return a.lt(v);
  case 1: return a.le(v);
  case 2: return a.gt(v);
  case 3: return a.ge(v);
  case 4: return a.eq(v);
  }
  return a.ne(v);
}

char *af_compare(void **out, void *a, double v, int op) { PROTECTED(give(out, compare(T(a), v, op));) }

char *af_gelu(void **out, void *a, int tanh) { PROTECTED(give(out, at::gelu(T(a), tanh ? "tanh" : "none"));) }

char *af_clone(void **out, void *a) { PROTECTED(give(out, T(a).clone(at::MemoryFormat::Contiguous));) }

char *af_masked_fill(void **out, void *a, void *mask, double v) { PROTECTED(give(out, T(a).masked_fill(T(mask), v));) }

char *af_clamp(void **out, void *a, double lo, double hi) {
  PROTECTED({
    if (std::isnan(hi))
      give(out, T(a).clamp_min(lo));
    else if (std::isnan(lo))
      give(out, T(a).clamp_max(hi));
    else
      give(out, T(a).clamp(lo, hi));
  })
}

char *af_add_to(void *dst, void *src, double alpha) { PROTECTED(T(dst).add_(T(src), alpha);) }

char *af_mul_scalar_to(void *dst, double v) { PROTECTED(T(dst).mul_(v);) }

char *af_fill_to(void *dst, double v) { PROTECTED(T(dst).fill_(v);) }

char *af_lerp_to(void *dst, void *end, double weight) { PROTECTED(T(dst).lerp_(T(end), weight);) }

char *af_addcmul_to(void *dst, void *a, void *b, double v) { PROTECTED(T(dst).addcmul_(T(a), T(b), v);) }

char *af_addcdiv_to(void *dst, void *a, void *b, double v) { PROTECTED(T(dst).addcdiv_(T(a), T(b), v);) }

char *af_param(void *t) { PROTECTED(T(t).set_requires_grad(true);) }

char *af_grad_of(void **out, void *t) {
  PROTECTED({
    const at::Tensor &g = T(t).grad();
    if (g.defined())
      give(out, g);
  })
}

char *af_zero_grad(void **tensors, int n) {
  PROTECTED({
    for (int i = 0; i < n; i++)
      T(tensors[i]).mutable_grad().reset();
  })
}

char *af_loop_add(void *a, void *b, int64_t n) {
  PROTECTED({
    for (int64_t i = 0; i < n; i++)
      delete new at::Tensor(T(a).add(T(b)));
  })
}
