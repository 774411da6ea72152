// attention.c: see attention.h. For each prompt and key head, keys are turned and values cut into panels of tile.h; ROWS
// queries at a time, the scores lie in a strip that is a few kilobytes wide, and become weights there.
#include "attention.h"
#if defined(__x86_64__)
#include "tile.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// A strip is ROWS rows, cut into pieces of DEPTH columns: column j of row i is at piece(j) + i STRIDE + j mod DEPTH.
static inline int64_t piece(int64_t j) { return j / DEPTH * ROWS * STRIDE; }
static inline int64_t strip_size(int64_t columns) { return piece(columns + DEPTH - 1); }

static inline int64_t round_up(int64_t n) { return (n + WIDE - 1) / WIDE * WIDE; }

typedef struct {
  float *keys;   // panels [width, WIDE] of WIDE positions each
  float *values; // panels [positions, WIDE] of WIDE channels each
  float *query, *scores; // strips
} memory;

// exponential is e^x for x <= 0 to 2 units in the last place: 2^n e^r with |r| <= ln(2)/2, and Taylor's polynomial of degree
// 7 for e^r. A NaN stays one.
AVX512 static inline __m512 exponential(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-104), x);
  __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x));
  static const float terms[] = {1 / 720.f, 1 / 120.f, 1 / 24.f, 1 / 6.f, 1 / 2.f, 1, 1};
  __m512 e = _mm512_set1_ps(1 / 5040.f);
  for (int i = 0; i < 7; i++)
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(terms[i]));
  return _mm512_scalef_ps(e, n);
}

// capped is cap·tanh(x/cap).
AVX512 static inline __m512 capped(__m512 x, float cap) {
  __m512 size = _mm512_abs_ps(x);
  __m512 e = exponential(_mm512_mul_ps(size, _mm512_set1_ps(-2 / cap)));
  __m512 one = _mm512_set1_ps(1), tanh = _mm512_div_ps(_mm512_sub_ps(one, e), _mm512_add_ps(one, e));
  __m512 out = _mm512_mul_ps(tanh, _mm512_set1_ps(cap));
  return _mm512_mask_sub_ps(out, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), _mm512_setzero_ps(), out);
}

// load lays out the keys and values of one key head: those of the past, then n of a prompt.
static void load(const memory *m, const af_attention *a, int64_t group, int64_t from, int64_t n) {
  int64_t all = a->past + n, columns = round_up(a->values);
  const float *k = a->k.at + group * a->k.head, *v = a->v.at + group * a->v.head;
  memset(m->keys, 0, round_up(all) * a->width * sizeof(float));
  for (int64_t j = 0; j < all; j++) {
    int64_t past = j < a->past;
    const float *key = past ? a->past_keys + group * a->width * a->past + j : k + (from + j - a->past) * a->k.token;
    const float *value = past ? a->past_values + (group * a->past + j) * a->values : v + (from + j - a->past) * a->v.token;
    float *turned = m->keys + j / WIDE * WIDE * a->width + j % WIDE;
    for (int64_t c = 0, step = past ? a->past : 1; c < a->width; c++)
      turned[c * WIDE] = key[c * step];
    for (int64_t c = 0; c < columns; c += WIDE) {
      int64_t there = least(WIDE, a->values - c);
      memcpy(m->values + c * all + j * WIDE, value + c, there * sizeof(float));
      memset(m->values + c * all + j * WIDE + there, 0, (WIDE - there) * sizeof(float));
    }
  }
}

// score fills columns from..to-1 (a multiple of WIDE each) of the strip of scores of n queries.
AVX512 static void score(const memory *m, const af_attention *a, int64_t head, int64_t token, int n, int64_t from, int64_t to) {
  for (int64_t c = 0; c < a->width; c += DEPTH)
    copy(m->query + piece(c), a->q.at + token * a->q.token + head * a->q.head + c, a->q.token, n, least(DEPTH, a->width - c));
  for (int64_t j = from; j < to; j += WIDE) {
    float *scores = m->scores + piece(j) + j % DEPTH;
    for (int64_t c = 0; c < a->width; c += DEPTH)
      tiles(n, scores, STRIDE, c > 0 ? scores : 0, STRIDE, m->query + piece(c), m->keys + j * a->width + c * WIDE, least(DEPTH, a->width - c), WIDE, 0, 0);
  }
}

// weigh turns scores in columns from..to-1 of one row into weights, those of the positions first..last that are seen, and
// returns one over their sum.
AVX512 static float weigh(float *row, const af_attention *a, int64_t head, int64_t from, int64_t to, int64_t first_seen, int64_t last_seen) {
  __m512 most = _mm512_set1_ps(a->sinks ? a->sinks[head] : -INFINITY), sum = _mm512_setzero_ps();
  for (int64_t j = from; j < to; j += LANES) {
    float *at = row + piece(j) + j % DEPTH;
    __mmask16 seen = first(last_seen + 1 - j) & ~first(first_seen - j);
    __m512 x = _mm512_mul_ps(_mm512_loadu_ps(at), _mm512_set1_ps(a->scale));
    if (a->cap > 0)
      x = capped(x, a->cap);
    if (a->bias)
      x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(seen, a->bias + head * a->biases + j));
    x = _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), seen, x);
    most = _mm512_max_ps(most, x);
    _mm512_storeu_ps(at, x);
  }
  most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
  for (int64_t j = from; j < to; j += LANES) {
    float *at = row + piece(j) + j % DEPTH;
    __mmask16 seen = first(last_seen + 1 - j) & ~first(first_seen - j);
    __m512 e = _mm512_maskz_mov_ps(seen, exponential(_mm512_sub_ps(_mm512_loadu_ps(at), most)));
    sum = _mm512_add_ps(sum, e);
    _mm512_storeu_ps(at, e);
  }
  float all = _mm512_reduce_add_ps(sum);
  return 1 / (a->sinks ? all + expf(a->sinks[head] - most[0]) : all);
}

// mix writes the weighted sums of the values of n queries to z, each times its factor.
AVX512 static void mix(float *z, const memory *m, const af_attention *a, int64_t all, int n, const float *factors, int64_t from, int64_t to) {
  int64_t token = a->heads * a->values;
  for (int64_t c = 0; c < a->values; c += WIDE) {
    for (int64_t j = from, end; j < to; j = end) {
      end = least(to, (j / DEPTH + 1) * DEPTH);
      tiles(n, z + c, token, j > from ? z + c : 0, token, m->scores + piece(j) + j % DEPTH, m->values + c * all + j * WIDE, end - j, a->values - c, 0, 0);
    }
  }
  for (int i = 0; i < n; i++)
    for (int64_t c = 0; c < a->values; c++)
      z[i * token + c] *= factors[i];
}

// attend computes n queries of one head, those at position at of a prompt of so many positions and after it.
AVX512 static void attend(float *z, const memory *m, const af_attention *a, int64_t head, int64_t token, int64_t at, int n, int64_t all) {
  float factors[ROWS];
  int64_t seen = a->window > 0 && a->window < at + 1 ? at + 1 - a->window : 0; // the first position that any of them sees
  int64_t from = seen / WIDE * WIDE, to = at + n;
  score(m, a, head, token, n, from, round_up(to));
  for (int i = 0; i < n; i++) {
    int64_t first_seen = a->window > 0 && a->window < at + i + 1 ? at + i + 1 - a->window : 0;
    factors[i] = weigh(m->scores + i * STRIDE, a, head, from, round_up(to), first_seen, at + i);
  }
  mix(z + (token * a->heads + head) * a->values, m, a, all, n, factors, from, to);
}

int af_attention_causal(float *z, const af_attention *a, const int32_t *starts, int64_t prompts) {
  int64_t most = 0;
  for (int64_t p = 0; p < prompts; p++)
    most = starts[p + 1] - starts[p] > most ? starts[p + 1] - starts[p] : most;
  int64_t all = round_up(a->past + most), keys = all * a->width, values = all * round_up(a->values), query = strip_size(a->width);
  float *block = aligned_alloc(64, (keys + values + query + strip_size(all)) * sizeof(float));
  if (block == 0)
    return 0;
  memory m = {block, block + keys, block + keys + values, block + keys + values + query};
  for (int64_t p = 0; p < prompts; p++)
    for (int64_t group = 0; group < a->groups; group++) {
      int64_t n = starts[p + 1] - starts[p], shared = a->heads / a->groups;
      load(&m, a, group, starts[p], n);
      for (int64_t head = group * shared; head < (group + 1) * shared; head++)
        for (int64_t i = 0; i < n; i += ROWS)
          attend(z, &m, a, head, starts[p] + i, a->past + i, least(ROWS, n - i), a->past + n);
    }
  free(block);
  return 1;
}
#else
int af_attention_causal(float *z, const af_attention *a, const int32_t *starts, int64_t prompts) { return 0; }
#endif
