// load.c opens libgroup.so at the first use, so that the program runs where there is none.
#include "load.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
  char *(*begin)(void **, int, int, const char *, int64_t);
  void (*card)(void *, const char **, int64_t *);
  char *(*meet)(void *, const char *, int64_t);
  char *(*connect)(void *);
  char *(*sum)(void *, void *, int64_t, int);
  char *(*share)(void *, void *, int64_t);
  void (*end)(void *);
} in;

char *af_group_open(const char *path) {
  static const char *const names[] = {"af_group_begin", "af_group_card", "af_group_meet", "af_group_connect", "af_group_sum", "af_group_share", "af_group_end"};
  void **to[] = {(void **)&in.begin, (void **)&in.card, (void **)&in.meet, (void **)&in.connect, (void **)&in.sum, (void **)&in.share, (void **)&in.end};
  void *lib = dlopen(path, RTLD_NOW);
  if (lib == NULL)
    return strdup(dlerror());
  for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
    *to[i] = dlsym(lib, names[i]);
    if (*to[i] == NULL) {
      char why[512];
      snprintf(why, sizeof why, "%s has no %s: it was built for another version of this program", path, names[i]);
      return strdup(why);
    }
  }
  return NULL;
}

char *af_group_begin(void **group, int rank, int world, const char *host, int64_t timeout_ms) {
  return in.begin(group, rank, world, host, timeout_ms);
}

void af_group_card(void *group, const char **card, int64_t *len) { in.card(group, card, len); }

char *af_group_meet(void *group, const char *card, int64_t len) { return in.meet(group, card, len); }

char *af_group_connect(void *group) { return in.connect(group); }

char *af_group_sum(void *group, void *data, int64_t n, int wide) { return in.sum(group, data, n, wide); }

char *af_group_share(void *group, void *data, int64_t n) { return in.share(group, data, n); }

void af_group_end(void *group) { in.end(group); }
