package modeltest

import (
	"encoding/binary"
	"fmt"
	"math"

	"actfleet/internal/safetensors"
	"actfleet/shard/tap"
)

// Reference is what another implementation computed for some prompts with one
// checkpoint: a ref.safetensors made by a script of scripts/ref.
type Reference struct {
	Prompts [][]int32 // token ids

	path string
	file *safetensors.File
}

// OpenReference opens a reference; Close it when done.
func OpenReference(path string) (*Reference, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Reference{path: path, file: f}
	for {
		name := fmt.Sprintf("p%d/ids", len(r.Prompts))
		info, ok := f.Info(name)
		if !ok {
			return r, nil
		}
		raw, err := f.Bytes(name)
		if err != nil || info.Dtype != safetensors.I32 {
			_ = f.Close() // the first error says more
			return nil, fmt.Errorf("%s: %s is %s, want I32: %w", path, name, info.Dtype, safetensors.ErrCorrupt)
		}
		ids := make([]int32, info.Elements())
		for i := range ids {
			ids[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		r.Prompts = append(r.Prompts, ids)
	}
}

// Close releases the file; slices already taken stay.
func (r *Reference) Close() error { return r.file.Close() }

// Activation is the reference at a tap for one prompt: T × width values, position
// after position.
func (r *Reference) Activation(prompt int, t tap.Tap) (values []float32, width int, err error) {
	name := fmt.Sprintf("p%d/%s", prompt, t)
	values, err = r.file.Float32s(name)
	if err != nil {
		return nil, 0, err
	}
	info, _ := r.file.Info(name)
	if len(info.Shape) != 2 || prompt >= len(r.Prompts) || info.Shape[0] != int64(len(r.Prompts[prompt])) {
		return nil, 0, fmt.Errorf("%s: %s has shape %v, want [T, D]: %w", r.path, name, info.Shape, safetensors.ErrCorrupt)
	}
	return values, int(info.Shape[1]), nil
}

// Logits are the reference's next-token scores after one prompt, [V].
func (r *Reference) Logits(prompt int) ([]float32, error) {
	return r.file.Float32s(fmt.Sprintf("p%d/logits", prompt))
}

// MaxRelRMS is the measure of parity: max|got − want| / RMS(want). It is +Inf when
// the lengths differ or anything in got is not finite, and 0 for two empty slices.
func MaxRelRMS(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var worst, squares float64
	for i, w := range want {
		diff := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(diff) {
			return math.Inf(1)
		}
		worst = max(worst, diff)
		squares += float64(w) * float64(w)
	}
	if worst == 0 {
		return 0
	}
	return worst / math.Sqrt(squares/float64(len(want)))
}
