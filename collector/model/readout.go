package model

import (
	"fmt"

	"actfleet/internal/torch"
)

// Readout computes the next-token logits [n, Vocab] of n outputs of the last block, x [n, Hidden]: what the tap
// resid of the last layer emits.
func (m *Model) Readout(x []float32, n int) (logits []float32, err error) {
	if n < 1 || len(x) != n*m.info.Hidden {
		return nil, fmt.Errorf("read out %d states of %d: got %d values", n, m.info.Hidden, len(x))
	}
	err = torch.Do(func(s *torch.Scope) error {
		states := s.ToDevice(torch.FromFloat32(s, x, int64(n), int64(m.info.Hidden)), m.target.First())
		out := s.ToDevice(m.net.Logits(s, m.net.Final(s, states)), torch.CPU)
		logits = append(logits, out.Float32s()...)
		return nil
	})
	return logits, err
}
