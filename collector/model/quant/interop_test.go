package quant_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"actfleet/collector/model/quant"
)

// TestPython compares fresh MXFP4 weights, of every scale, with what transformers makes of them, to the bit; it needs
// ACTFLEET_PYTHON, a Python that has transformers and torch.
func TestPython(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	seed := strconv.Itoa(1 + rand.IntN(1<<30))
	t.Logf("seed %s", seed)
	var said bytes.Buffer
	cmd := exec.Command(python, "testdata/mxfp4.py", seed)
	cmd.Stderr = &said
	text, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skipf("%s", text)
	}
	var all []layout
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("%v\n%s", err, said.Bytes())
	}
	for _, l := range all {
		c, err := quant.Open(l.Config, l.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range c.Tensors() {
			raw, err := c.Bytes(info.Name)
			want := l.Want[info.Name]
			if err != nil || !slices.Equal(info.Shape, want.Shape) || !bytes.Equal(raw, want.Data) {
				t.Errorf("%s: %s, %v instead of %v, has other values than transformers' (%v)", l.Name, info.Name, info.Shape, want.Shape, err)
			}
		}
	}
}
