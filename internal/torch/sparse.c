// sparse.c: see sparse.h. Plain C that compilers turn into vector code, once for each kind of processor.
#include "sparse.h"
#include <math.h>

#if defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((optimize("O3")))
#else
#define FAST
#endif
#if defined(__x86_64__)
#define EACH_CPU __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define EACH_CPU
#endif

// eight values at any address.
typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef float values __attribute__((vector_size(32)));

#define LOAD(p, i) (*(const eight *)((p) + 8 * (i)))

// Blocks of 64 values stay in registers while the rows pass by.
FAST EACH_CPU void af_combine(float *y, int64_t d, const float *x, const int32_t *rows, const float *a, int64_t n) {
  int64_t j = 0;
  for (; j + 64 <= d; j += 64) {
    float *p = y + j;
    values s0 = LOAD(p, 0), s1 = LOAD(p, 1), s2 = LOAD(p, 2), s3 = LOAD(p, 3), s4 = LOAD(p, 4), s5 = LOAD(p, 5), s6 = LOAD(p, 6), s7 = LOAD(p, 7);
    for (int64_t k = 0; k < n; k++) {
      const float *q = x + rows[k] * d + j;
      float c = a[k];
      s0 += c * LOAD(q, 0), s1 += c * LOAD(q, 1), s2 += c * LOAD(q, 2), s3 += c * LOAD(q, 3);
      s4 += c * LOAD(q, 4), s5 += c * LOAD(q, 5), s6 += c * LOAD(q, 6), s7 += c * LOAD(q, 7);
    }
    eight *o = (eight *)p;
    o[0] = s0, o[1] = s1, o[2] = s2, o[3] = s3, o[4] = s4, o[5] = s5, o[6] = s6, o[7] = s7;
  }
  for (; j < d; j++)
    for (int64_t k = 0; k < n; k++)
      y[j] += a[k] * x[rows[k] * d + j];
}

FAST EACH_CPU void af_dots(float *out, const float *y, int64_t d, const float *x, const int32_t *rows, float scale, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    const float *q = x + rows[k] * d;
    values s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int64_t j = 0;
    for (; j + 32 <= d; j += 32) {
      s0 += LOAD(y + j, 0) * LOAD(q + j, 0), s1 += LOAD(y + j, 1) * LOAD(q + j, 1);
      s2 += LOAD(y + j, 2) * LOAD(q + j, 2), s3 += LOAD(y + j, 3) * LOAD(q + j, 3);
    }
    s0 = (s0 + s1) + (s2 + s3);
    float sum = ((s0[0] + s0[1]) + (s0[2] + s0[3])) + ((s0[4] + s0[5]) + (s0[6] + s0[7]));
    for (; j < d; j++)
      sum += y[j] * q[j];
    out[k] = scale * sum;
  }
}

static void adam(float *w, const float *grad, float *m, float *v, int64_t n, const af_adam_constants *c) {
  for (int64_t i = 0; i < n; i++) {
    float g = grad[i] * c->scale;
    m[i] = c->b1 * m[i] + (1 - c->b1) * g;
    v[i] = c->b2 * v[i] + (1 - c->b2) * g * g;
    w[i] = c->keep * w[i] - c->lr * m[i] / (sqrtf(v[i] * c->root) + c->eps);
  }
}

#if defined(__x86_64__)
#include <immintrin.h>

// The compiler leaves the root above a call for each value; here it is one instruction for eight. Without FMA
// every value gets the bits that the plain form gives, wherever a range begins and ends.
__attribute__((target("avx2"))) static void adam_eights(float *w, const float *grad, float *m, float *v, int64_t n, const af_adam_constants *c) {
  for (int64_t i = 0; i < n; i += 8) {
    values g = LOAD(grad + i, 0) * c->scale;
    values first = c->b1 * LOAD(m + i, 0) + (1 - c->b1) * g, second = c->b2 * LOAD(v + i, 0) + (1 - c->b2) * g * g;
    *(eight *)(m + i) = first;
    *(eight *)(v + i) = second;
    values root = (values)_mm256_sqrt_ps((__m256)(second * c->root));
    *(eight *)(w + i) = c->keep * LOAD(w + i, 0) - c->lr * first / (root + c->eps);
  }
}

void af_adam(float *w, const float *grad, float *m, float *v, int64_t n, const af_adam_constants *c) {
  int64_t whole = __builtin_cpu_supports("avx2") ? n / 8 * 8 : 0;
  adam_eights(w, grad, m, v, whole, c);
  adam(w + whole, grad + whole, m + whole, v + whole, n - whole, c);
}
#else
void af_adam(float *w, const float *grad, float *m, float *v, int64_t n, const af_adam_constants *c) { adam(w, grad, m, v, n, c); }
#endif
