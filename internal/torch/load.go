package torch

/*
#include <stdlib.h>
extern char *af_open(const char *path);
extern const char *af_built(void);
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"
)

var load = sync.OnceValue(open)

var openedAt string // the libtch.so in use

// Dir is where the libtch.so in use lies, or why none could be opened.
func Dir() (string, error) {
	err := load()
	return filepath.Dir(openedAt), err
}

// Load opens libtorch, if that has not happened yet. [Do] does it too; a command that wants to report a missing
// libtorch before anything else calls it first.
func Load() error { return load() }

// open tries the places where libtch.so may lie: beside the program or in ../lib for a pair that was shipped,
// where setup.sh built it, and in ../build/lib for a pair that was copied with its tree.
func open() error {
	var missing []string
	for _, path := range places() {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, path)
			continue
		}
		name := C.CString(path)
		defer C.free(unsafe.Pointer(name))
		if msg := C.af_open(name); msg != nil {
			return fmt.Errorf("open libtorch: %s; run scripts/setup.sh (scripts/setup.sh --shim-only on a machine without Go)", take(msg))
		}
		openedAt = path
		return nil
	}
	return fmt.Errorf("open libtorch: no libtch.so at %s; run scripts/setup.sh (scripts/setup.sh --shim-only on a machine without Go)", strings.Join(missing, ", "))
}

func places() []string {
	built := C.GoString(C.af_built())
	exe, err := os.Executable()
	if err != nil {
		return []string{built}
	}
	dir := filepath.Dir(exe)
	return []string{
		filepath.Join(dir, "libtch.so"),
		filepath.Join(dir, "..", "lib", "libtch.so"),
		built,
		filepath.Join(dir, "..", "build", "lib", "libtch.so"),
	}
}
