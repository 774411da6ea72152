// load.c opens libtch.so at the program's first tensor operation, so that commands without tensors start in
// milliseconds and run where no libtorch is installed.
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

extern void *af_jumps[];
extern const char af_built_path[]; // of the libtch.so that setup.sh made
extern const char af_jump_names[]; // names, each ended by a zero byte; an empty one ends the list

// Read once by libgomp and OpenBLAS when they are loaded, which is why they are set here. A thread that
// waits for work otherwise spins for milliseconds: two processes with two threads each on two cores then
// take each other's time and run ten times slower. What the user has set stays.
static void wait_passively(void) {
  setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("OPENBLAS_THREAD_TIMEOUT", "4", 0);
}

// By default glibc takes every tensor above 32 MB from the kernel and gives it back when it is freed: each one is then
// zeroed page by page, at 0.6 GB/s instead of 5 (measured, 100 MB tensors in a chain of relu). Keeping the memory costs
// what the largest moment of the program needed. One arena: the others cannot grow beyond 64 MB a piece.
static void keep_memory(void) {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

// af_open opens the libtch.so at path and fills the jump table; NULL when it worked, else why not, to be
// freed by the caller.
char *af_open(const char *path) {
  wait_passively();
  keep_memory();
  void *lib = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (lib == NULL)
    return strdup(dlerror());
  const char *name = af_jump_names;
  for (int i = 0; *name != 0; i++, name += strlen(name) + 1) {
    af_jumps[i] = dlsym(lib, name);
    if (af_jumps[i] == NULL) {
      char why[512];
      snprintf(why, sizeof why, "%s has no %s: it was built for another version of this program", path, name);
      return strdup(why);
    }
  }
  return NULL;
}

const char *af_built(void) { return af_built_path; }
