// attention.h: causal attention of prompts that lie one after the other, without padding and without a matrix of scores.
#ifndef ACTFLEET_ATTENTION_H
#define ACTFLEET_ATTENTION_H
#include <stdint.h>

// Queries, keys and values are those of n tokens; a token's heads, and a head's tokens, are so many floats apart.
typedef struct {
  const float *at;
  int64_t token, head;
} af_states;

typedef struct {
  af_states q, k, v;
  int64_t heads, groups;  // query heads; key heads, each shared by heads/groups query heads
  int64_t width, values;  // channels of a head's queries and keys, and of its values
  const float *past_keys; // [groups, width, past]: keys of positions before each prompt
  const float *past_values; // [groups, past, values]
  int64_t past;
  double scale, cap;  // scores are q·k scale; with a cap, cap·tanh(score/cap)
  int64_t window;     // a position sees itself and the window-1 before it; 0: all before it
  const float *bias;  // [heads, biases] is added to the scores of position j; NULL: nothing is
  int64_t biases;
  const float *sinks; // [heads]: the score of one more key, without a value; NULL: there is none
} af_attention;

// z [n, heads, values]: token i of a prompt sees the past and the prompt's tokens 0..i. Prompt p is the tokens from
// starts[p] to starts[p+1]-1, of those from starts[0] on. Returns 0 when there is no memory for the longest prompt's keys and
// values of one head.
int af_attention_causal(float *z, const af_attention *a, const int32_t *starts, int64_t prompts);

#endif
