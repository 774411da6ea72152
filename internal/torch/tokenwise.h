// tokenwise.h: what is computed of each token by itself, in one pass over memory. libtorch's tanh alone costs as much as a
// tenth of a whole forward pass on one thread.
#ifndef ACTFLEET_TOKENWISE_H
#define ACTFLEET_TOKENWISE_H
#include <stdint.h>

// dst = src/(1 + exp(-2u)) with u = sqrt(2/pi)(src + 0.044715 src^3), which is 0.5 src (1 + tanh u).
void af_gelu_tanh(float *dst, const float *src, int64_t n);

// dst [rows, width] = act(gate) up, of src [rows, 2 width], each row of which is [gate|up].
void af_gelu_tanh_mul(float *dst, const float *src, int64_t rows, int64_t width);
void af_silu_mul(float *dst, const float *src, int64_t rows, int64_t width);

// dst [rows, width] = src/sqrt(mean src^2 + eps) w, of rows of src that are stride apart.
void af_rms_norm(float *dst, const float *src, const float *w, int64_t rows, int64_t stride, int64_t width, float eps);

// turn rotates pairs of channels of the tokens of one head, which are stride apart in src and width apart in dst, by the
// angles whose cosines and sines are cos and sin [tokens, pairs]: channel i with i + pairs, or 2i with 2i + 1.
void af_turn(float *dst, const float *src, const float *cos, const float *sin, int64_t tokens, int64_t stride, int64_t width,
             int64_t pairs, int adjacent);

#endif
