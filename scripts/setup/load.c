// load.c opens libtch.so at the program's first tensor operation, so that commands without tensors start in
// milliseconds and run where no libtorch is installed.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

// af_open opens the libtch.so at path and fills the jump table; NULL when it worked, else why not, to be
// freed by the caller.
char *af_open(const char *path) {
  wait_passively();
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
