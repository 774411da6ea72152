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

static void one_f32(af_pack *p, float *dst, float x) {
  memcpy(dst, &x, 4);
  measure(p, x, x, 1);
}

static void one_half(af_pack *p, uint16_t *dst, uint16_t h) {
  memcpy(dst, &h, 2);
  int finite = (h & 0x7c00) != 0x7c00;
  measure(p, finite ? single(h) : INFINITY, finite ? single(h) : 0, finite);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,f16c,fma")))

int af_pack_fast(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c") && __builtin_cpu_supports("fma");
}

// What eights measure: the sums of af_pack and the largest magnitude as bits, which order as the numbers do, with
// infinities and NaNs above them all.
typedef struct {
  __m256d low, high;
  __m256i most;
} lanes;

// add measures eight values x that are stored as y. A square is exact in double, so one rounding is all there is.
AVX2 static inline void add(lanes *l, __m256 x, __m256 y) {
  __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(y)), b = _mm256_cvtps_pd(_mm256_extractf128_ps(y, 1));
  l->most = _mm256_max_epu32(l->most, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)));
  l->low = _mm256_fmadd_pd(a, a, l->low);
  l->high = _mm256_fmadd_pd(b, b, l->high);
}

AVX2 static inline uint32_t finish(const lanes *l, double *sums) {
  _mm256_storeu_pd(sums, l->low);
  _mm256_storeu_pd(sums + 4, l->high);
  uint32_t m[8], most = 0;
  _mm256_storeu_si256((__m256i *)m, l->most);
  for (int j = 0; j < 8; j++)
    most = m[j] > most ? m[j] : most;
  return most;
}

// eights_f16 packs n values, a multiple of 8, writes their eight sums and returns the bits of the largest magnitude.
AVX2 static uint32_t eights_f16(double *sums, uint16_t *dst, const float *src, int64_t n) {
  lanes l = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_si256()};
  for (int64_t i = 0; i < n; i += 8) {
    __m256 x = _mm256_loadu_ps(src + i);
    __m128i h = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128((__m128i *)(dst + i), h);
    add(&l, x, _mm256_cvtph_ps(h));
  }
  return finish(&l, sums);
}

AVX2 static uint32_t eights_half(double *sums, uint16_t *dst, const uint16_t *src, int64_t n) {
  lanes l = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_si256()};
  for (int64_t i = 0; i < n; i += 8) {
    __m128i h = _mm_loadu_si128((const __m128i *)(src + i));
    _mm_storeu_si128((__m128i *)(dst + i), h);
    __m256 x = _mm256_cvtph_ps(h);
    add(&l, x, x);
  }
  return finish(&l, sums);
}

AVX2 static uint32_t eights_f32(double *sums, float *dst, const float *src, int64_t n) {
  lanes l = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_si256()};
  for (int64_t i = 0; i < n; i += 8) {
    __m256 x = _mm256_loadu_ps(src + i);
    _mm256_storeu_ps(dst + i, x);
    add(&l, x, x);
  }
  return finish(&l, sums);
}
#else
int af_pack_fast(void) { return 0; }

static uint32_t eights_f16(double *sums, uint16_t *dst, const float *src, int64_t n) { return 0; }
static uint32_t eights_half(double *sums, uint16_t *dst, const uint16_t *src, int64_t n) { return 0; }
static uint32_t eights_f32(double *sums, float *dst, const float *src, int64_t n) { return 0; }
#endif

// PACK is one row: eights as far as they go, then the plain path, which takes the whole row where the eights met a
// magnitude of limit (as bits) or more: what is not finite is counted value by value. The lanes start anew with each row.
#define PACK(one, eights, limit)                                                                                       \
  int64_t i = fast ? n & ~(int64_t)7 : 0;                                                                              \
  uint32_t most = i > 0 ? eights(p->sumsq, dst, src, i) : limit;                                                       \
  if (most < limit) {                                                                                                  \
    p->maxabs = larger(p->maxabs, float_of(most));                                                                     \
  } else {                                                                                                             \
    memset(p->sumsq, 0, sizeof p->sumsq);                                                                              \
    i = 0;                                                                                                             \
  }                                                                                                                    \
  p->count = i;                                                                                                        \
  for (; i < n; i++)                                                                                                   \
    one(p, dst + i, src[i]);                                                                                           \
  double row = 0;                                                                                                      \
  for (int lane = 0; lane < 8; lane++)                                                                                 \
    row += p->sumsq[lane];                                                                                             \
  return row;

static double pack_f16(af_pack *p, uint16_t *dst, const float *src, int64_t n, int fast) { PACK(one_f16, eights_f16, 0x477ff000) } // 65520

static double pack_f32(af_pack *p, float *dst, const float *src, int64_t n, int fast) { PACK(one_f32, eights_f32, 0x7f800000) } // infinity

static double pack_half(af_pack *p, uint16_t *dst, const uint16_t *src, int64_t n, int fast) { PACK(one_half, eights_half, 0x7f800000) }

void af_pack_halves(af_pack *p, uint16_t *dst, const uint16_t *src, int64_t width, int64_t rows, double *sums, int fast) {
  for (int64_t r = 0; r < rows; r++)
    sums[r] = pack_half(p, dst + r * width, src + r * width, width, fast);
}

void af_pack_rows_f16(af_pack *p, uint16_t *dst, const float *src, int64_t stride, int64_t width, const int32_t *index,
                      int64_t rows, double *sums, int fast) {
  for (int64_t r = 0; r < rows; r++)
    sums[r] = pack_f16(p, dst + r * width, src + index[r] * stride, width, fast);
}

void af_pack_rows_f32(af_pack *p, float *dst, const float *src, int64_t stride, int64_t width, const int32_t *index,
                      int64_t rows, double *sums, int fast) {
  for (int64_t r = 0; r < rows; r++)
    sums[r] = pack_f32(p, dst + r * width, src + index[r] * stride, width, fast);
}
