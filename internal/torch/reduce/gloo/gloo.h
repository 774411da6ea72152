// gloo.h declares what libgroup.so has: sums over processes by c10d's Gloo. Every function that can fail returns NULL
// when it worked, else a message that the caller frees.
#ifndef ACTFLEET_GLOO_H
#define ACTFLEET_GLOO_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// af_group_begin opens this rank's side of a group of world ranks, on the address host, and begins to connect.
char *af_group_begin(void **group, int rank, int world, const char *host, int64_t timeout_ms);
// af_group_card waits for what the others must know of this rank next: *card, *len bytes that live until the next call
// or the end of the group; none are left when *len is 0.
void af_group_card(void *group, const char **card, int64_t *len);
// af_group_meet takes a card of another rank.
char *af_group_meet(void *group, const char *card, int64_t len);
// af_group_connect waits until all are connected.
char *af_group_connect(void *group);
// af_group_sum replaces n floats, or doubles if wide, by their sums over the ranks: the same bits on every rank.
char *af_group_sum(void *group, void *data, int64_t n, int wide);
// af_group_share replaces n bytes by those of rank 0.
char *af_group_share(void *group, void *data, int64_t n);
// af_group_end ends it; a nil one is none.
void af_group_end(void *group);

#ifdef __cplusplus
}
#endif
#endif
