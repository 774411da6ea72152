package vq

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"actfleet/internal/safetensors"
	"actfleet/trainer/state"
)

// Coders and checkpoints that are out there have the arrays that testdata lists: with other names or shapes they
// would not load.
func TestNamesOfArrays(t *testing.T) {
	var got strings.Builder
	for _, a := range Archs {
		l := begun(t, small(a))
		list(t, &got, string(a)+" coder", l.Export().(loadable).files())
		list(t, &got, string(a)+" state", l.State())
	}
	want, err := os.ReadFile("testdata/arrays.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the arrays are\n%s", got.String())
	}
}

func list(t *testing.T, to *strings.Builder, what string, s *state.Set) {
	t.Helper()
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Parse(what, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range f.Tensors() {
		fmt.Fprintln(to, what, a.Name, a.Dtype, a.Shape)
	}
}
