package trainer

import (
	"errors"
	"fmt"
	"path/filepath"

	"actfleet/trainer/optim"
	"actfleet/trainer/state"
	"actfleet/trainer/stream"
)

// keepBatch writes a batch in which a value was not finite to the coder's folder, x [N, D] with the
// run, unit, row and pos of each, and says where.
func (t *training) keepBatch(err error, b *stream.Batch) string {
	if !errors.Is(err, optim.ErrNonFinite) {
		return ""
	}
	where := make([][]int64, 4)
	for _, k := range b.Rows[b.From : b.From+b.N] {
		for i, v := range []int64{int64(k.Run), int64(k.Unit), k.Row, int64(k.Pos)} {
			where[i] = append(where[i], v)
		}
	}
	s := &state.Set{}
	state.Add(s, "x", b.X[:b.N*b.D], b.N, b.D)
	for i, name := range []string{"run", "unit", "row", "pos"} {
		state.Add(s, name, where[i])
	}
	path := filepath.Join(t.Dir, fmt.Sprintf("nonfinite-step-%d.safetensors", t.Step+1))
	if err := s.Save(path, nil); err != nil {
		return fmt.Sprintf("; the batch could not be kept: %v", err)
	}
	return "; the batch is in " + path
}
