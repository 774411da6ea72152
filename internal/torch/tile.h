// tile.h: what the kernels of linear.c and attention.c compute with, on CPUs with AVX-512: sums of products, each in a place
// of its own in a register.
#ifndef ACTFLEET_TILE_H
#define ACTFLEET_TILE_H
#include <immintrin.h>
#include <stdint.h>

enum {
  ROWS = 14,           // 28 of the 32 registers hold sums
  LANES = 16,          // floats in a register
  WIDE = 2 * LANES,    // columns of a panel
  DEPTH = 512,         // rows of a panel, unless it is higher
  STRIDE = DEPTH + 16, // between rows of what is multiplied by panels, so that they lie in different sets of the first cache
};

#define AVX512 __attribute__((target("avx512f")))

AVX512 static inline __mmask16 first(int64_t n) { return n >= LANES ? 0xffff : n <= 0 ? 0 : (1 << n) - 1; }

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// copy copies n floats of each of so many rows to rows STRIDE apart. (What GCC makes of memcpy here took a twentieth of the
// whole product.)
AVX512 static inline void copy(float *dst, const float *src, int64_t stride, int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = 0; k < n; k += LANES)
      _mm512_storeu_ps(dst + i * STRIDE + k, _mm512_maskz_loadu_ps(first(n - k), src + i * stride + k));
}

// tile adds the products of m rows of x, STRIDE apart, with a panel [depth, WIDE] to rows that begin at start, step apart (0:
// the same for all; NULL: zeros), and writes the sums to rows of y, out apart. Of a panel's columns the first n are there.
// m is a constant where it is called. Meanwhile it fetches what is needed next, WIDE rows from ahead on, ahead_step apart, into
// the second cache, unless ahead is NULL.
AVX512 __attribute__((always_inline)) static inline void tile(const int m, float *y, int64_t out, const float *start,
                                                              int64_t step, const float *x, const float *panel, int64_t depth,
                                                              int64_t n, const float *ahead, int64_t ahead_step) {
  __mmask16 lo = first(n), hi = first(n - LANES);
  __m512 sum[ROWS][2];
#pragma GCC unroll 14
  for (int i = 0; i < m; i++) {
    sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < depth; k++) {
    if (ahead) { // two lines of memory a step make a row in 16 steps, and WIDE rows in DEPTH
      const float *line = ahead + k / LANES * ahead_step + k % LANES * WIDE;
      _mm_prefetch((const char *)line, _MM_HINT_T1);
      _mm_prefetch((const char *)(line + LANES), _MM_HINT_T1);
    }
    __m512 w0 = _mm512_load_ps(panel + k * WIDE), w1 = _mm512_load_ps(panel + k * WIDE + LANES);
#pragma GCC unroll 14
    for (int i = 0; i < m; i++) {
      __m512 v = _mm512_set1_ps(x[i * STRIDE + k]);
      sum[i][0] = _mm512_fmadd_ps(v, w0, sum[i][0]);
      sum[i][1] = _mm512_fmadd_ps(v, w1, sum[i][1]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < m; i++) {
    if (start) {
      sum[i][0] = _mm512_add_ps(sum[i][0], _mm512_maskz_loadu_ps(lo, start + i * step));
      sum[i][1] = _mm512_add_ps(sum[i][1], _mm512_maskz_loadu_ps(hi, start + i * step + LANES));
    }
    _mm512_mask_storeu_ps(y + i * out, lo, sum[i][0]);
    _mm512_mask_storeu_ps(y + i * out + LANES, hi, sum[i][1]);
  }
}

// tiles is tile for any m of 1 to ROWS.
AVX512 static inline void tiles(int m, float *y, int64_t out, const float *start, int64_t step, const float *x, const float *panel,
                                int64_t depth, int64_t n, const float *ahead, int64_t ahead_step) {
#define TILE(m)                                                                                                        \
  case m:                                                                                                              \
    tile(m, y, out, start, step, x, panel, depth, n, ahead, ahead_step);                                               \
    break;
  switch (m) {
    TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
  }
#undef TILE
}

#endif
