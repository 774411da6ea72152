package trainer

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"actfleet/trainer/optim"
	"actfleet/trainer/state"
	"actfleet/trainer/stream"
)

// explainNonFinite names the rows of a batch because of which a value is not finite.
func explainNonFinite(err error, b *stream.Batch) string {
	if !errors.Is(err, optim.ErrNonFinite) {
		return ""
	}
	var bad []string
	for i, k := range b.Keys[b.From : b.From+b.N] {
		for _, v := range b.X[i*b.D : (i+1)*b.D] {
			if v-v != 0 && len(bad) < 4 {
				bad = append(bad, fmt.Sprintf("row %d pos %d of unit %d", k.Prompt, k.Pos, k.Unit))
				break
			}
		}
	}
	if len(bad) == 0 {
		return "; its rows are finite, so the training diverged: try a lower lr"
	}
	return "; the data are not finite at " + strings.Join(bad, ", ")
}

// keepBatch writes a batch in which a value was not finite to the coder's folder, x [N, D] with the
// run, unit, row and pos of each, and says where.
func keepBatch(dir string, step int, err error, b *stream.Batch) string {
	if !errors.Is(err, optim.ErrNonFinite) {
		return ""
	}
	where := make([][]int64, 4)
	for _, k := range b.Keys[b.From : b.From+b.N] {
		for i, v := range []int64{int64(k.Run), int64(k.Unit), k.Prompt, int64(k.Pos)} {
			where[i] = append(where[i], v)
		}
	}
	s := &state.Set{}
	state.Add(s, "x", b.X[:b.N*b.D], b.N, b.D)
	for i, name := range []string{"run", "unit", "row", "pos"} {
		state.Add(s, name, where[i])
	}
	path := filepath.Join(dir, fmt.Sprintf("nonfinite-step-%d.safetensors", step))
	if err := s.Save(path, nil); err != nil {
		return fmt.Sprintf("; the batch could not be kept: %v", err)
	}
	return "; the batch is in " + path
}
