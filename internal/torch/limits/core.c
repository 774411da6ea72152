// core.c: see core.h. One body, compiled for each width of vectors.
#include "core.h"

static volatile float sink, one = 1, zero = 0; // the compiler must not know them

// Ten chains: a core begins two multiply-adds a cycle, and each takes four or five cycles.
#define CHAINS 10
#define BODY(bytes)                                                                                                    \
  typedef float vec __attribute__((vector_size(bytes)));                                                               \
  vec a = (vec){} + one, b = (vec){} + zero;                                                                           \
  /* Chains that begin with the same value would be one. */                                                            \
  vec x0 = a, x1 = x0 + b, x2 = x1 + b, x3 = x2 + b, x4 = x3 + b;                                                      \
  vec x5 = x4 + b, x6 = x5 + b, x7 = x6 + b, x8 = x7 + b, x9 = x8 + b;                                                 \
  for (int64_t i = 0; i < n; i++) {                                                                                    \
    x0 = x0 * a + b, x1 = x1 * a + b, x2 = x2 * a + b, x3 = x3 * a + b, x4 = x4 * a + b;                               \
    x5 = x5 * a + b, x6 = x6 * a + b, x7 = x7 * a + b, x8 = x8 * a + b, x9 = x9 * a + b;                               \
  }                                                                                                                    \
  vec sum = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9;                                                           \
  sink = sum[0];                                                                                                       \
  return n * CHAINS * 2 * (int64_t)(bytes / sizeof(float))

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static int64_t widest(int64_t n) { BODY(64); }
__attribute__((target("avx2,fma"))) static int64_t wide(int64_t n) { BODY(32); }
#endif
static int64_t plain(int64_t n) { BODY(16); }

#if defined(__x86_64__)
const char *af_core_unit(void) {
  if (__builtin_cpu_supports("avx512f"))
    return "AVX-512";
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "AVX2" : "SSE";
}

int64_t af_core(int64_t n) {
  if (__builtin_cpu_supports("avx512f"))
    return widest(n);
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? wide(n) : plain(n);
}
#else
const char *af_core_unit(void) { return "128-bit vector"; }

int64_t af_core(int64_t n) { return plain(n); }
#endif
