// Package limits measures what the hardware allows at best: multiply-adds of a core, matrix products of a device, copies between
// a GPU and pinned memory.
//
// Each is a ceiling for what the program does with it (a roofline: Williams, Waterman and Patterson 2009), measured for some
// hundredths of a second by a clock that the caller gives. On a machine that others use too it is what they leave.
package limits
