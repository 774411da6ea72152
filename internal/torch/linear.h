// linear.h: products of states and weights, faster than the BLAS of a common set-up, most of all for few rows.
#ifndef ACTFLEET_LINEAR_H
#define ACTFLEET_LINEAR_H
#include <stdint.h>

int af_linear_fast(void); // whether this CPU has AVX-512

// y[i][o] = b[o] + sum over k of x[i][k] w[o][k], for x [n, in], w [out, in], b [out] or NULL (zeros) and y [n, out]. The
// sum is taken in the order of k, 256 terms at a time, and the parts are added to b one after the other: fewer roundings of
// large sums, and a row of y has the same bits whatever rows are computed with it.
void af_linear(float *y, const float *x, const float *w, const float *b, int64_t n, int64_t in, int64_t out);

#endif
