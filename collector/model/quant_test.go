package model_test

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/quant"
	"actfleet/internal/safetensors"
)

// quantise stores the matrices of a fixture's blocks as a method does, which gives a matrix's tensors and the floats
// that they stand for, in dir, and those floats in plain.
func quantise(t *testing.T, dir, plain string, method func(stem string, shape []int64, values []float32) ([]safetensors.Tensor, []float32)) {
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
		one := safetensors.Tensor{Name: info.Name, Dtype: safetensors.F32, Shape: info.Shape, Data: floatBytes(values)}
		if stem, ok := strings.CutSuffix(info.Name, ".weight"); ok && strings.Contains(stem, ".layers.") && len(info.Shape) == 2 {
			parts, back := method(stem, info.Shape, values)
			one.Data = floatBytes(back)
			packed, floats = append(packed, parts...), append(floats, one)
			continue
		}
		packed, floats = append(packed, one), append(floats, one)
	}
	replace(t, dir, packed)
	replace(t, plain, floats)
}

// int8s is bitsandbytes in eight bits.
func int8s(stem string, shape []int64, values []float32) ([]safetensors.Tensor, []float32) {
	rows, cols := int(shape[0]), int(shape[1])
	most, bytes, back := make([]float32, rows), make([]byte, len(values)), make([]float32, len(values))
	for i, v := range values {
		most[i/cols] = max(most[i/cols], float32(math.Abs(float64(v))))
	}
	for i, v := range values {
		q := int8(math.RoundToEven(float64(v / most[i/cols] * 127)))
		bytes[i], back[i] = byte(q), float32(float32(q)*most[i/cols])*7.874015718698502e-3
	}
	return []safetensors.Tensor{{Name: stem + ".weight", Dtype: safetensors.I8, Shape: shape, Data: bytes},
		{Name: stem + ".SCB", Dtype: safetensors.F32, Shape: shape[:1], Data: floatBytes(most)},
		{Name: stem + ".weight_format", Dtype: safetensors.U8, Shape: []int64{}, Data: []byte{0}}}, back
}

// mxfp4s is MXFP4 with the one scale 2⁻³ and the nearest of the values that are whole.
func mxfp4s(stem string, shape []int64, values []float32) ([]safetensors.Tensor, []float32) {
	const scale = 0.125
	nibbles, groups := [5]byte{0, 2, 4, 5, 6}, shape[1]/32
	bytes, back := make([]byte, len(values)/2), make([]float32, len(values))
	for i, v := range values {
		n := min(int(math.Round(math.Abs(float64(v))/scale)), 4)
		back[i] = float32(math.Copysign(float64(n)*scale, float64(v)))
		q := nibbles[n]
		if math.Signbit(float64(v)) {
			q |= 8
		}
		bytes[i/2] |= q << (4 * (i % 2))
	}
	return []safetensors.Tensor{{Name: stem + ".weight_blocks", Dtype: safetensors.U8, Shape: []int64{shape[0], groups, 16}, Data: bytes},
		{Name: stem + ".weight_scales", Dtype: safetensors.U8, Shape: []int64{shape[0], groups}, Data: slices.Repeat([]byte{124}, int(shape[0]*groups))}}, back
}

func TestAQuantisedCheckpointComputesAsTheFloatsItStandsFor(t *testing.T) {
	packed, plain := copyModel(t, "phi-c"), copyModel(t, "phi-c")
	quantise(t, packed, plain, mxfp4s)
	setConfig(t, packed, "quantization_config", map[string]any{"quant_method": "mxfp4", "modules_to_not_convert": []string{"lm_head"}})
	sameBits(t, "mxfp4", taps(t, packed), taps(t, plain))
	packed, plain = copyModel(t, "llama-3"), copyModel(t, "llama-3")
	quantise(t, packed, plain, int8s)
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
