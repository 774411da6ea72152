// pack.c: see pack.h. The fast path and the plain one give the same bytes and the same statistics: the square of
// an fp16 or fp32 value is exact in double, and both add it to the same one of eight sums.
#include "pack.h"
#include <math.h>
#include <string.h>

static uint32_t bits_of(float x) {
  uint32_t b;
  memcpy(&b, &x, 4);
  return b;
}

static float float_of(uint32_t b) {
  float x;
  memcpy(&x, &b, 4);
  return x;
}

// half rounds to the nearest fp16, ties to even; NaN keeps its upper payload bits and becomes quiet (as VCVTPS2PH).
static uint16_t half(float x) {
  uint32_t b = bits_of(x), sign = b >> 16 & 0x8000;
  b &= 0x7fffffff;
  if (b > 0x7f800000)
    return sign | 0x7e00 | (b >> 13 & 0x3ff);
  if (b >= 0x477ff000) // 65520 and more
    return sign | 0x7c00;
  if (b < 0x38800000) // below 2^-14: adding 0.5 lets the FPU round at fp16's last subnormal bit, 2^-24
    return sign | (bits_of(float_of(b) + 0.5f) - 0x3f000000);
  return sign | ((b + 0xfff + (b >> 13 & 1) - 0x38000000) >> 13);
}

// single is the value of a finite fp16.
static float single(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
  if (e == 0)
    return float_of(sign | bits_of((float)m * 0x1p-24f));
  return float_of(sign | (e + 112) << 23 | m << 13);
}

static float larger(float a, float b) { return a > b ? a : b; }

static void measure(af_pack *p, float x, float stored, int stored_finite) {
  int lane = p->count++ & 7;
  if (!isfinite(x)) {
    p->nonfinite++;
    return;
  }
  p->maxabs = larger(p->maxabs, fabsf(x));
  if (stored_finite)
    p->sumsq[lane] += (double)stored * (double)stored;
  else
    p->overflow++;
}

static void one_f16(af_pack *p, uint16_t *dst, float x) {
  uint16_t h = half(x);
  memcpy(dst, &h, 2);
  int finite = (h & 0x7c00) != 0x7c00;
  measure(p, x, finite ? single(h) : 0, finite);
}

#if defined(__x86_64__)
#include <immintrin.h>

int af_pack_fast(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c"); }

// eights packs n values, n and p->count multiples of 8.
__attribute__((target("avx2,f16c"))) static void eights(af_pack *p, uint16_t *dst, const float *src, int64_t n) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  const __m256 infinity = _mm256_set1_ps(INFINITY);
  __m256d low = _mm256_loadu_pd(p->sumsq), high = _mm256_loadu_pd(p->sumsq + 4);
  __m256 most = _mm256_setzero_ps();
  for (int64_t i = 0; i < n; i += 8) {
    __m256 x = _mm256_loadu_ps(src + i);
    __m128i h = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128((__m128i *)(dst + i), h);
    __m256 y = _mm256_cvtph_ps(h);
    __m256 finite = _mm256_cmp_ps(_mm256_and_ps(y, magnitude), infinity, _CMP_LT_OQ);
    if (__builtin_expect(_mm256_movemask_ps(finite) != 0xff, 0)) {
      _mm256_storeu_pd(p->sumsq, low);
      _mm256_storeu_pd(p->sumsq + 4, high);
      for (int j = 0; j < 8; j++)
        one_f16(p, dst + i + j, src[i + j]);
      low = _mm256_loadu_pd(p->sumsq), high = _mm256_loadu_pd(p->sumsq + 4);
      continue;
    }
    most = _mm256_max_ps(most, _mm256_and_ps(x, magnitude));
    __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(y)), b = _mm256_cvtps_pd(_mm256_extractf128_ps(y, 1));
    low = _mm256_add_pd(low, _mm256_mul_pd(a, a));
    high = _mm256_add_pd(high, _mm256_mul_pd(b, b));
    p->count += 8;
  }
  _mm256_storeu_pd(p->sumsq, low);
  _mm256_storeu_pd(p->sumsq + 4, high);
  float m[8];
  _mm256_storeu_ps(m, most);
  for (int j = 0; j < 8; j++)
    p->maxabs = larger(p->maxabs, m[j]);
}
#else
int af_pack_fast(void) { return 0; }

static void eights(af_pack *p, uint16_t *dst, const float *src, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    one_f16(p, dst + i, src[i]);
}
#endif

void af_pack_f16(af_pack *p, uint16_t *dst, const float *src, int64_t n, int fast) {
  int64_t i = 0;
  if (fast) {
    for (; i < n && (p->count & 7) != 0; i++)
      one_f16(p, dst + i, src[i]);
    int64_t body = (n - i) & ~(int64_t)7;
    eights(p, dst + i, src + i, body);
    i += body;
  }
  for (; i < n; i++)
    one_f16(p, dst + i, src[i]);
}

void af_pack_f32(af_pack *p, float *dst, const float *src, int64_t n) {
  memcpy(dst, src, n * sizeof *src);
  for (int64_t i = 0; i < n; i++)
    measure(p, src[i], src[i], 1);
}

void af_pack_rows_f16(af_pack *p, uint16_t *dst, const float *src, int64_t stride, int64_t width, const int32_t *index,
                      int64_t rows, int fast) {
  for (int64_t r = 0; r < rows; r++)
    af_pack_f16(p, dst + r * width, src + index[r] * stride, width, fast);
}

void af_pack_rows_f32(af_pack *p, float *dst, const float *src, int64_t stride, int64_t width, const int32_t *index,
                      int64_t rows) {
  for (int64_t r = 0; r < rows; r++)
    af_pack_f32(p, dst + r * width, src + index[r] * stride, width);
}
