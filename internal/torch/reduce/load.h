// load.h declares the functions of libgroup.so, which load.c opens.
#ifndef ACTFLEET_LOAD_H
#define ACTFLEET_LOAD_H
#include "gloo/gloo.h"

// af_group_open opens the libgroup.so at path; NULL when it worked, else why not, to be freed by the caller. It must
// have worked before any other function is called.
char *af_group_open(const char *path);

#endif
