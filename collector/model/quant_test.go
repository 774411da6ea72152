package model_test

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/quant"
	"actfleet/internal/safetensors"
)

// toInt8 stores the matrices of a fixture's blocks as bitsandbytes does in eight bits, and once more as the floats that
// those stand for.
func toInt8(t *testing.T, dir, plain string) {
	t.Helper()
	ckpt, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ckpt.Close()
	var packed, floats []safetensors.Tensor
	for _, info := range ckpt.Tensors() {
		values, err := ckpt.Float32s(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		stem, matrix := strings.CutSuffix(info.Name, "_proj.weight")
		if !matrix {
			one := safetensors.Tensor{Name: info.Name, Dtype: safetensors.F32, Shape: info.Shape, Data: floatBytes(values)}
			packed, floats = append(packed, one), append(floats, one)
			continue
		}
		stem += "_proj"
		rows, cols := int(info.Shape[0]), int(info.Shape[1])
		most, bytes, back := make([]float32, rows), make([]byte, len(values)), make([]float32, len(values))
		for i, v := range values {
			most[i/cols] = max(most[i/cols], float32(math.Abs(float64(v))))
		}
		for i, v := range values {
			q := int8(math.RoundToEven(float64(v / most[i/cols] * 127)))
			bytes[i], back[i] = byte(q), float32(float32(q)*most[i/cols])*7.874015718698502e-3
		}
		packed = append(packed, safetensors.Tensor{Name: stem + ".weight", Dtype: safetensors.I8, Shape: info.Shape, Data: bytes},
			safetensors.Tensor{Name: stem + ".SCB", Dtype: safetensors.F32, Shape: []int64{int64(rows)}, Data: floatBytes(most)},
			safetensors.Tensor{Name: stem + ".weight_format", Dtype: safetensors.U8, Shape: []int64{}, Data: []byte{0}})
		floats = append(floats, safetensors.Tensor{Name: stem + ".weight", Dtype: safetensors.F32, Shape: info.Shape, Data: floatBytes(back)})
	}
	replace(t, dir, packed)
	replace(t, plain, floats)
}

func TestAQuantisedCheckpointComputesAsTheFloatsItStandsFor(t *testing.T) {
	packed, plain := copyModel(t, "llama-3"), copyModel(t, "llama-3")
	toInt8(t, packed, plain)
	setConfig(t, packed, "quantization_config", map[string]any{"quant_method": "bitsandbytes", "load_in_8bit": true})
	sameBits(t, "int8", taps(t, packed), taps(t, plain))
	m, err := model.Load(packed)
	if err != nil || len(m.Info().Notes) != 1 || !strings.Contains(m.Info().Notes[0], "bitsandbytes") {
		t.Errorf("notes %q, %v", m.Info().Notes, err)
	}
	dir := copyModel(t, "gpt2")
	setConfig(t, dir, "quantization_config", map[string]any{"quant_method": "gptq", "bits": 4})
	if _, err := model.Load(dir); !errors.Is(err, quant.ErrUnsupported) || !strings.Contains(err.Error(), "quantization_config") {
		t.Errorf("gpt2: %v", err)
	}
}

func floatBytes(values []float32) []byte {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		bits := math.Float32bits(v)
		raw = append(raw, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	}
	return raw
}

// replace puts tensors in the place of a folder's.
func replace(t *testing.T, dir string, tensors []safetensors.Tensor) {
	t.Helper()
	removeAll(t, dir, "*.safetensors*")
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
}
