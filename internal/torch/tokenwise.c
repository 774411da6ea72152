// tokenwise.c: see tokenwise.h. Plain C that compilers turn into vector code, once for each kind of processor.
#include "tokenwise.h"
#include <float.h>
#include <math.h>
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
#define VECTORS_O3 __attribute__((optimize("O3")))
#else
#define VECTORS_O3
#endif
#if defined(__x86_64__)
#define VECTORS VECTORS_O3 __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define VECTORS VECTORS_O3
#endif

// open is x/(1 + e^t), for t that falls as x grows; 0 where that is below 1e-36, unless x is not finite.
__attribute__((always_inline)) static inline float open(float x, float t) {
  t = t > 87 ? 87 : t; // a NaN stays one
  t = t < -87 ? -87 : t;
  float y = x / (1 + exponential(t));
  return t == 87 && x >= -FLT_MAX ? 0 : y;
}

__attribute__((always_inline)) static inline float gelu_tanh(float x) {
  return open(x, x * (-1.59576912f - 0.0713548163f * x * x)); // t is -2u
}

VECTORS void af_gelu_tanh(float *restrict dst, const float *restrict src, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    dst[i] = gelu_tanh(src[i]);
}

VECTORS void af_silu_mul(float *restrict dst, const float *restrict src, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; r++, dst += width, src += 2 * width)
    for (int64_t i = 0; i < width; i++)
      dst[i] = open(src[i], -src[i]) * src[width + i];
}

VECTORS void af_gelu_tanh_mul(float *restrict dst, const float *restrict src, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; r++, dst += width, src += 2 * width)
    for (int64_t i = 0; i < width; i++)
      dst[i] = gelu_tanh(src[i]) * src[width + i];
}

VECTORS void af_rms_norm(float *restrict dst, const float *restrict src, const float *restrict w, int64_t rows, int64_t stride,
                         int64_t width, float eps) {
  enum { LANES = 16 };
  for (int64_t r = 0; r < rows; r++, dst += width, src += stride) {
    float sums[LANES] = {0}, sum = 0;
    int64_t whole = width - width % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
      for (int l = 0; l < LANES; l++)
        sums[l] += src[i + l] * src[i + l];
    for (int64_t i = whole; i < width; i++)
      sums[i - whole] += src[i] * src[i];
    for (int l = 0; l < LANES; l++)
      sum += sums[l];
    float scale = 1 / sqrtf(sum / width + eps);
    for (int64_t i = 0; i < width; i++)
      dst[i] = src[i] * scale * w[i];
  }
}

VECTORS void af_turn(float *restrict dst, const float *restrict src, const float *restrict cos, const float *restrict sin, int64_t tokens,
                     int64_t stride, int64_t width, int64_t pairs, int adjacent) {
  for (int64_t t = 0; t < tokens; t++, dst += width, src += stride, cos += pairs, sin += pairs) {
    if (adjacent)
      for (int64_t i = 0; i < pairs; i++) {
        float a = src[2 * i], b = src[2 * i + 1];
        dst[2 * i] = a * cos[i] - b * sin[i];
        dst[2 * i + 1] = b * cos[i] + a * sin[i];
      }
    else
      for (int64_t i = 0; i < pairs; i++) {
        float a = src[i], b = src[pairs + i];
        dst[i] = a * cos[i] - b * sin[i];
        dst[pairs + i] = b * cos[i] + a * sin[i];
      }
    for (int64_t i = 2 * pairs; i < width; i++)
      dst[i] = src[i];
  }
}
