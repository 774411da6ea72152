package state

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/internal/safetensors"
)

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.safetensors")
	a, b, c := []float32{1, -2, float32(math.Inf(1)), 4}, []float64{math.Pi}, []int64{-7, 1 << 60}
	declare := func(a []float32, b []float64, c []int64) *Set {
		s := &Set{}
		Add(s, "a", a, 2, 2)
		inner := &Set{}
		Add(inner, "b", b)
		Add(inner, "c", c)
		Add(inner, "empty", []float32{})
		s.Join("inner.", inner)
		return s
	}
	if err := declare(a, b, c).Save(path, nil); err != nil {
		t.Fatal(err)
	}
	a2, b2, c2 := make([]float32, 4), make([]float64, 1), make([]int64, 2)
	if err := declare(a2, b2, c2).Load(path); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a, a2) || !slices.Equal(b, b2) || !slices.Equal(c, c2) {
		t.Errorf("got %v %v %v", a2, b2, c2)
	}

	var text bytes.Buffer
	if err := declare(a, b, c).Encode(&text); err != nil {
		t.Fatal(err)
	}
	if file, err := os.ReadFile(path); err != nil || !bytes.Equal(file, text.Bytes()) {
		t.Errorf("Encode and Save differ: %v", err)
	}
	clear(a2)
	if err := declare(a2, b2, c2).Decode("memory", text.Bytes()); err != nil || !slices.Equal(a, a2) {
		t.Errorf("got %v: %v", a2, err)
	}
	if err := declare(a2, b2, c2).Decode("memory", text.Bytes()[:20]); !errors.Is(err, safetensors.ErrCorrupt) {
		t.Errorf("cut short: %v", err)
	}

	other := make([]float32, 4)
	for name, s := range map[string]*Set{
		"shape":   declare(other, b2, c2),
		"missing": {},
		"name":    {},
	} {
		switch name {
		case "shape":
			s.tensors[0].Shape = []int64{4}
		case "name":
			Add(s, "x", other)
		}
		if err := s.Load(path); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if other[0] != 0 {
		t.Error("a refused file changed the memory")
	}
}
