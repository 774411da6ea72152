// linear.c: see linear.h. A tile of ROWS rows and WIDE outputs is computed at once, from weights turned so that WIDE outputs
// lie side by side. What is read again and again stays in the caches: PANELS panels of turned weights in the second, ROWS
// rows of x in the first.
#include "linear.h"
#if defined(__x86_64__)
#include "tile.h"

enum {
  PANELS = 4,  // 256 kB
  TERMS = 256, // of a sum that are added up by themselves
};

int af_linear_fast(void) { return __builtin_cpu_supports("avx512f"); }

// turn writes rows of up to 16 values each to columns of dst, WIDE apart; values there are none of become zeros.
AVX512 static void turn(float *dst, const float *src, int64_t stride, int64_t rows, __mmask16 values) {
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++)
    a[i] = i < rows ? _mm512_maskz_loadu_ps(values, src + i * stride) : _mm512_setzero_ps();
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) { // pairs of rows
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) { // fours: register 4r + c has columns c, c+4, c+8, c+12 of rows 4r to 4r+3
    int j = (i & ~3) + (i >> 1 & 1);
    __m512d x = _mm512_castps_pd(b[j]), y = _mm512_castps_pd(b[j + 2]);
    a[i] = _mm512_castpd_ps(i & 1 ? _mm512_unpackhi_pd(x, y) : _mm512_unpacklo_pd(x, y));
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) { // eights: columns c and c+8 where bit 2 of i is clear, c+4 and c+12 where it is set
    int j = i & ~4;
    b[i] = i & 4 ? _mm512_shuffle_f32x4(a[j], a[j + 4], 0xdd) : _mm512_shuffle_f32x4(a[j], a[j + 4], 0x88);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    _mm512_store_ps(dst + i * WIDE, _mm512_shuffle_f32x4(b[i], b[i + 8], 0x88));
    _mm512_store_ps(dst + (i + 8) * WIDE, _mm512_shuffle_f32x4(b[i], b[i + 8], 0xdd));
  }
}

// panel turns weights [rows, depth] into [depth, WIDE].
AVX512 static void panel(float *dst, const float *w, int64_t stride, int64_t rows, int64_t depth) {
  for (int64_t k = 0; k < depth; k += 16)
    for (int half = 0; half < WIDE; half += 16)
      turn(dst + k * WIDE + half, w + half * stride + k, stride, rows - half, first(depth - k));
}

AVX512 void af_linear(float *y, const float *x, const float *w, const float *b, int64_t n, int64_t in, int64_t out) {
  float panels[PANELS * DEPTH * WIDE] __attribute__((aligned(64)));
  float rows[ROWS * STRIDE] __attribute__((aligned(64)));
  int64_t blocks = (n + ROWS - 1) / ROWS; // of rows, as equal as they can be
  for (int64_t k = 0; k < in; k += DEPTH) {
    int64_t depth = least(DEPTH, in - k);
    for (int64_t o = 0; o < out; o += PANELS * WIDE) {
      int64_t end = least(out, o + PANELS * WIDE);
      for (int64_t p = o; p < end; p += WIDE)
        panel(panels + (p - o) * DEPTH, w + p * in + k, in, end - p, depth);
      for (int64_t block = 0; block < blocks; block++) {
        int64_t from = block * n / blocks, m = (block + 1) * n / blocks - from;
        copy(rows, x + from * in + k, in, m, depth);
        for (int64_t p = o; p < end; p += WIDE) {
          float *to = y + from * out + p;
          const float *ahead = block == 0 && end < out ? w + (p + PANELS * WIDE) * in + k : 0;
          for (int64_t d = 0; d < depth; d += TERMS) {
            const float *start = k + d > 0 ? to : b ? b + p : 0;
            tiles(m, to, out, start, k + d > 0 ? out : 0, rows + d, panels + (p - o) * DEPTH + d * WIDE, least(TERMS, depth - d), out - p,
                  ahead ? ahead + d / LANES * in : 0, in);
          }
        }
      }
    }
  }
}
#else
int af_linear_fast(void) { return 0; }
void af_linear(float *y, const float *x, const float *w, const float *b, int64_t n, int64_t in, int64_t out) {}
#endif
