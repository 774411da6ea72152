package gguf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// The values of random blocks are those of gguf-py 0.19, to the last bit (but that zero has no sign).
func TestEveryTypeOfBlock(t *testing.T) {
	text, err := os.ReadFile("testdata/blocks.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Type Dtype
		Raw  []byte
		SHA  string
		Head []float32
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	seen := map[Dtype]bool{F32: true, F16: true, BF16: true, 15: true} // Q8_K is below
	for name, c := range all {
		seen[c.Type] = true
		l := layouts[c.Type]
		if l.name != name {
			t.Errorf("type %d is %s, want %s", c.Type, l.name, name)
			continue
		}
		got := make([]float32, len(c.Raw)/l.bytes*l.values)
		if err := Dequantize(got, c.Raw, c.Type); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var raw []byte
		for _, v := range got {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v+0))
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != c.SHA {
			t.Errorf("%s: begins with %v, want %v", name, got[:3], c.Head)
		}
	}
	for d, l := range layouts {
		if !seen[d] {
			t.Errorf("%s is not tested", l.name)
		}
	}
}

func TestQ8K(t *testing.T) {
	raw := make([]byte, 292)
	binary.LittleEndian.PutUint32(raw, math.Float32bits(0.5))
	raw[4], raw[259] = 3, 0xff
	got := make([]float32, 256)
	if err := Dequantize(got, raw, 15); err != nil || got[0] != 1.5 || got[255] != -0.5 || got[1] != 0 {
		t.Errorf("%v, %v", got[:3], err)
	}
}
