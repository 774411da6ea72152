// core.h declares loops of fused multiply-adds that stay in a core's registers.
#ifndef ACTFLEET_CORE_H
#define ACTFLEET_CORE_H
#include <stdint.h>

// af_core_unit names the widest vector unit that this processor has and af_core uses.
const char *af_core_unit(void);
// af_core does n rounds and returns how many floating-point operations they were, a multiply-add being two.
int64_t af_core(int64_t n);

#endif
