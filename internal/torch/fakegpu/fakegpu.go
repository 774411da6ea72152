package fakegpu

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

static void *named(const char *name) { return dlsym(RTLD_DEFAULT, name); }
static int is_there(void) { return named("fakegpu_reset") != NULL; }
static void reset(void) { ((void (*)(void))named("fakegpu_reset"))(); }
static void count(const char *what, int64_t *out) { ((void (*)(const char *, int64_t *))named("fakegpu_count"))(what, out); }
static char *counts(void) { return ((char *(*)(void))named("fakegpu_counts"))(); }
static char *faults(void) { return ((char *(*)(void))named("fakegpu_faults"))(); }
static void limit(int64_t bytes) { ((void (*)(int64_t))named("fakegpu_limit"))(bytes); }
static int64_t peak(int device) { return ((int64_t (*)(int))named("fakegpu_peak"))(device); }
*/
import "C"

import (
	"os"
	"strings"
	"testing"
	"unsafe"

	"actfleet/internal/torch"
)

// Open skips t unless the GPU for tests was asked for (ACTFLEET_FAKEGPU); then it must be there. It begins counting
// anew, and when t ends, checks that the GPU found no fault.
func Open(t testing.TB) {
	t.Helper()
	if os.Getenv("ACTFLEET_FAKEGPU") == "" {
		t.Skip("make test-fakegpu runs it")
	}
	if torch.CUDA() == 0 || C.is_there() == 0 {
		t.Fatalf("the GPU for tests is not there (%d CUDA devices, %v); make test-fakegpu builds it", torch.CUDA(), torch.NoCUDA())
	}
	Reset()
	t.Cleanup(func() {
		Limit(0)
		if wrong := Faults(); len(wrong) > 0 {
			t.Errorf("fakegpu: %s", strings.Join(wrong, "; "))
		}
	})
}

// Reset begins counting anew.
func Reset() { C.reset() }

// Count is how often something happened since Reset, and the bytes of it all.
func Count(what string) (calls, bytes int64) {
	name := C.CString(what)
	defer C.free(unsafe.Pointer(name))
	var out [2]C.int64_t
	C.count(name, &out[0])
	return int64(out[0]), int64(out[1])
}

// Counts is all that was counted, a line each: how often, bytes, what.
func Counts() string { return take(C.counts()) }

// Faults are what was done wrong since it was last asked or reset.
func Faults() []string {
	return strings.FieldsFunc(take(C.faults()), func(r rune) bool { return r == '\n' })
}

// Limit sets the memory of each device; 0 is 8 GB.
func Limit(bytes int64) { C.limit(C.int64_t(bytes)) }

// Peak is the most memory that was in use on a device since Reset.
func Peak(device int) int64 { return int64(C.peak(C.int(device))) }

func take(s *C.char) string {
	defer C.free(unsafe.Pointer(s))
	return C.GoString(s)
}
