// sparse.h: sums over few rows of a matrix, and Adam in one pass; what a sparse autoencoder's step does beside its
// one dense product. Rows are d values long, x holds them one after the other.
#ifndef ACTFLEET_SPARSE_H
#define ACTFLEET_SPARSE_H
#include <stdint.h>

// y += sum over k < n of a[k] x[rows[k]], in the order of k.
void af_combine(float *y, int64_t d, const float *x, const int32_t *rows, const float *a, int64_t n);

// out[k] = scale <y, x[rows[k]]>.
void af_dots(float *out, const float *y, int64_t d, const float *x, const int32_t *rows, float scale, int64_t n);

// af_adam_constants are those of one step.
typedef struct {
  float b1, b2, scale, lr, root, eps, keep;
} af_adam_constants;

// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w = keep w - lr m/(sqrt(v root) + eps) with g = scale grad.
void af_adam(float *w, const float *grad, float *m, float *v, int64_t n, const af_adam_constants *k);

#endif
