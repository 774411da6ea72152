// pack.h: fp32 to fp16 with statistics, compiled into the program (it needs no libtorch).
#ifndef ACTFLEET_PACK_H
#define ACTFLEET_PACK_H
#include <stdint.h>

// What is measured. Lane i of sumsq has the values of the row at hand whose index is i modulo 8.
typedef struct {
  double sumsq[8];
  int64_t count; // values of the row so far
  int64_t nonfinite, overflow;
  float maxabs;
} af_pack;

// rows: src has rows of stride floats; those in index, width floats each, go to dst one after the other. sums[r] is
// the sum of row r's lanes in order.
void af_pack_rows_f16(af_pack *p, uint16_t *dst, const float *src, int64_t stride, int64_t width, const int32_t *index,
                      int64_t rows, double *sums, int fast);
void af_pack_rows_f32(af_pack *p, float *dst, const float *src, int64_t stride, int64_t width, const int32_t *index,
                      int64_t rows, double *sums, int fast);
// halves: rows of width fp16 values that lie one after the other go to dst as they are.
void af_pack_halves(af_pack *p, uint16_t *dst, const uint16_t *src, int64_t width, int64_t rows, double *sums, int fast);
int af_pack_fast(void); // whether this CPU has AVX2, F16C and FMA

#endif
