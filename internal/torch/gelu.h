// gelu.h: the tanh form of GELU, faster than libtorch's: that one's tanh costs as much as a tenth of a whole
// forward pass on one thread.
#ifndef ACTFLEET_GELU_H
#define ACTFLEET_GELU_H
#include <stdint.h>

// dst = src/(1 + exp(-2u)) with u = sqrt(2/pi)(src + 0.044715 src^3), which is 0.5 src (1 + tanh u).
void af_gelu_tanh(float *dst, const float *src, int64_t n);

#endif
