package arrows

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	operatorCalled = regexp.MustCompile(`\blib\.(Atg\w+)`)
	operatorMade   = regexp.MustCompile(`(?m)^func (Atg\w+)\(`)
)

// The set-up compiles those of gotch's operators that internal/torch calls. One that was called since is no name the Go
// compiler knows; this says what to do about it.
func TestOperatorsAreCompiled(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sugarme/gotch").Output()
	if err != nil || len(strings.TrimSpace(string(dir))) == 0 {
		t.Skip("no set-up here (make setup)")
	}
	made := names(t, operatorMade, filepath.Join(strings.TrimSpace(string(dir)), "libtch", "c-generated.go"))
	sources, err := filepath.Glob("../torch/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		for name := range names(t, operatorCalled, source) {
			if !made[name] {
				t.Errorf("%s calls lib.%s, which is not compiled: make setup compiles what internal/torch calls; it says so if gotch has no such operator, which then is written in internal/torch/shim/ops.cpp",
					source, name)
			}
		}
	}
}

func names(t *testing.T, which *regexp.Regexp, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range which.FindAllStringSubmatch(string(text), -1) {
		found[m[1]] = true
	}
	return found
}
