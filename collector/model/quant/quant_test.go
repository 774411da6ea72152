package quant_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model/quant"
	"actfleet/internal/safetensors"
)

// stored is one tensor of a case.
type stored struct {
	Dtype safetensors.Dtype
	Shape []int64
	Data  []byte
}

// files is a checkpoint in memory.
type files map[string]stored

func (f files) Tensors() (out []safetensors.Info) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		out = append(out, safetensors.Info{Name: name, Dtype: f[name].Dtype, Shape: f[name].Shape, Size: int64(len(f[name].Data))})
	}
	return out
}

func (f files) Bytes(name string) ([]byte, error) {
	t, ok := f[name]
	if !ok {
		return nil, safetensors.ErrNoTensor
	}
	return t.Data, nil
}

// layout is a small checkpoint of one method, and the weights that the method's definition gives, computed apart.
type layout struct {
	Name    string
	Config  json.RawMessage
	Tensors files
	Want    map[string]stored
}

func layouts(t *testing.T) (all []layout) {
	t.Helper()
	text, err := os.ReadFile("testdata/cases.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func find(t *testing.T, name string) layout {
	t.Helper()
	all := layouts(t)
	i := slices.IndexFunc(all, func(l layout) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("no case %q", name)
	}
	return all[i]
}

func TestEveryMethodGivesThePlainWeights(t *testing.T) {
	for _, l := range layouts(t) {
		c, err := quant.Open(l.Config, l.Tensors)
		if err != nil {
			t.Errorf("%s: %v", l.Name, err)
			continue
		}
		if len(c.Tensors()) != len(l.Want) {
			t.Errorf("%s: tensors %v", l.Name, c.Tensors())
		}
		for _, info := range c.Tensors() {
			raw, err := c.Bytes(info.Name)
			want := l.Want[info.Name]
			if err != nil || !slices.Equal(info.Shape, want.Shape) {
				t.Errorf("%s: %s is %v, want %v (%v)", l.Name, info.Name, info.Shape, want.Shape, err)
				continue
			}
			got, err := safetensors.ToFloat32(info.Dtype, raw)
			if err != nil {
				t.Fatal(err)
			}
			values, _ := safetensors.ToFloat32(safetensors.F32, want.Data)
			if !slices.Equal(got, values) {
				t.Errorf("%s: %s is %v, want %v", l.Name, info.Name, got, values)
			}
		}
	}
}

func TestWhatIsNotUnderstoodIsRefusedByName(t *testing.T) {
	for says, c := range map[string]struct {
		name, key string
		value     any
	}{
		`quant_method "aqlm"`: {"awq", "quant_method", "aqlm"}, `"dynamic"`: {"gptq 4", "dynamic", map[string]any{"x": 1}}, "3 bits": {"gptq 4", "bits", 3},
		`"marlin"`: {"gptq 4", "checkpoint_format", "marlin"}, `pack_dtype "int16"`: {"gptq 4", "pack_dtype", "int16"}, `version "gemv"`: {"awq", "version", "gemv"}, `"static"`: {"fp8 blocks", "activation_scheme", "static"},
		`fmt "e5m2"`: {"fp8 blocks", "fmt", "e5m2"}, `"twist"`: {"nf4 f16", "twist", 3}, `"quant_kind" (7)`: {"mxfp4", "quant_kind", 7}, "another kind": {"gptq 4", "bits", "four"}, "weight_block_size [0 3]": {"fp8 blocks", "weight_block_size", []int{0, 3}},
	} {
		l := find(t, c.name)
		var config map[string]any
		if err := json.Unmarshal(l.Config, &config); err != nil {
			t.Fatal(err)
		}
		config[c.key] = c.value
		text, _ := json.Marshal(config)
		_, err := quant.Open(text, l.Tensors)
		if !errors.Is(err, quant.ErrUnsupported) && !errors.Is(err, quant.ErrCorrupt) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %s = %v: %v, want one that says %s", c.name, c.key, c.value, err, says)
		}
	}
	if _, err := quant.Open([]byte(`{"quant_method": "bitsandbytes", "load_in_4bit": true}`), files{}); !errors.Is(err, quant.ErrUnsupported) || !strings.Contains(err.Error(), "no weight is stored so") {
		t.Errorf("plain weights: %v", err)
	}
}

// Whatever one tensor is taken away, cut or bent, nothing but an error comes of it.
func TestTensorsThatContradictEachOther(t *testing.T) {
	for _, l := range layouts(t) {
		for name, was := range l.Tensors {
			for what, now := range map[string]*stored{"absent": nil, "shorter": {was.Dtype, slices.Concat(was.Shape[:max(0, len(was.Shape)-1)], []int64{0}), nil},
				"of another type": {safetensors.F64, was.Shape, bytes.Repeat(was.Data, 8/max(1, was.Dtype.Size()))}, "all ones": {was.Dtype, was.Shape, bytes.Repeat([]byte{0xff}, len(was.Data))}} {
				broken := maps.Clone(l.Tensors)
				delete(broken, name)
				if now != nil {
					broken[name] = *now
				}
				c, err := quant.Open(l.Config, broken)
				if err != nil {
					continue
				}
				for _, info := range c.Tensors() {
					if raw, err := c.Bytes(info.Name); err == nil && int64(len(raw)) != info.Size {
						t.Errorf("%s: %s %s: %s has %d bytes, not %d", l.Name, name, what, info.Name, len(raw), info.Size)
					}
				}
			}
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"quant_type": "nf4", "blocksize": 8, "dtype": "float16", "shape": [4, 8]}`))
	f.Add([]byte(`{"quant_type": "nf4", "blocksize": 1, "dtype": "float32", "shape": [16777216, 16777216, 16777216], "nested_blocksize": 3}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		four := files{"a.weight": {safetensors.U8, []int64{16, 1}, make([]byte, 16)}, "a.weight.quant_map": {safetensors.F32, []int64{16}, make([]byte, 64)},
			"a.weight.absmax":                        {safetensors.F32, []int64{4}, make([]byte, 16)},
			"a.weight.quant_state.bitsandbytes__nf4": {safetensors.U8, []int64{int64(len(state))}, state}}
		c, err := quant.Open([]byte(`{"quant_method": "bitsandbytes"}`), four)
		if err != nil {
			return
		}
		if raw, err := c.Bytes("a.weight"); err != nil || len(raw) != 4*32 && len(raw) != 4*31 {
			t.Errorf("%s: %d bytes, %v", state, len(raw), err)
		}
	})
}

func TestRoundingIsToTheNearestEven(t *testing.T) {
	l := find(t, "nf4 f16")
	// A scale of 2049/2048 on the level 1 lies between two halves; one of 3·2⁻²⁵ is the smallest but one, and one of
	// 65520 is none any more.
	for scale, want := range map[float32]float32{2049.0 / 2048: 1, 2051.0 / 2048: 2052.0 / 2048, 3.0 / (1 << 25): 2.0 / (1 << 24), 65519: 65504, 65520: float32(math.Inf(1))} {
		one := make([]byte, 0, 16)
		for range 4 {
			bits := math.Float32bits(scale)
			one = append(one, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
		}
		l.Tensors["a.weight.absmax"] = stored{safetensors.F32, []int64{4}, one}
		l.Tensors["a.weight"] = stored{safetensors.U8, []int64{16, 1}, bytes.Repeat([]byte{0xff}, 16)}
		c, err := quant.Open(l.Config, l.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := c.Bytes("a.weight")
		if got, _ := safetensors.ToFloat32(safetensors.F32, raw); got[0] != want {
			t.Errorf("%g became %g, want %g", scale, got[0], want)
		}
	}
}
