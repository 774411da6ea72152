// gelu.c: see gelu.h. Plain C that compilers turn into vector code, once for each kind of processor.
#include "gelu.h"
#include <float.h>
#include <string.h>

// exponential is e^x for |x| <= 87 to 3 units in the last place: e^x = 2^n e^r with |r| <= ln(2)/2, and Taylor's
// polynomial of degree 6 for e^r (its rest is below 1.7e-7 of e^r).
__attribute__((always_inline)) static inline float exponential(float x) {
  const float shift = 12582912; // 1.5 * 2^23: adding it rounds to an integer
  float n = (x * 1.44269504f + shift) - shift;
  float r = (x - n * 0.693359375f) - n * -2.12194440e-4f; // ln 2 in two parts, the first exact times n
  float e = 1 + r * (1 + r * (1 / 2.f + r * (1 / 6.f + r * (1 / 24.f + r * (1 / 120.f + r * (1 / 720.f))))));
  int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return e * power;
}

// cgo compiles with -O2, which leaves loops as they are.
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("O3")))
#endif
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "arch=haswell", "default")))
#endif
void af_gelu_tanh(float *restrict dst, const float *restrict src, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    float x = src[i];
    float t = x * (-1.59576912f - 0.0713548163f * x * x); // -2u
    t = t > 87 ? 87 : t;                                  // a NaN stays one
    t = t < -87 ? -87 : t;
    float y = x / (1 + exponential(t));
    dst[i] = t == 87 && x >= -FLT_MAX ? 0 : y; // below 1e-36, unless x is as large as e^87
  }
}
