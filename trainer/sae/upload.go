package sae

import "actfleet/internal/torch"

// uploads brings what the host has to a device without waiting, through pinned memory that is used again once the
// host has waited for a later copy back.
type uploads struct {
	at     torch.Device
	pinned []*torch.Tensor // [n, Row], one of every micro-batch of a batch
	used   int
	alive  *torch.Tensor // [M] Bool
	sent   torch.Event
}

func newUploads(at torch.Device) *uploads { return &uploads{at: at} }

// arrived says that all copies so far have ended.
func (u *uploads) arrived() { u.used = 0 }

// rows are n rows x on the device.
func (u *uploads) rows(s *torch.Scope, x []float32, n, row int) *torch.Tensor {
	if !u.at.IsCUDA() {
		return torch.FromFloat32(s, x[:n*row], int64(n), int64(row))
	}
	shape := []int64{int64(n), int64(row)}
	if u.used == len(u.pinned) {
		u.pinned = append(u.pinned, s.Keep(s.Pinned(torch.F32, shape...)))
	}
	if old := u.pinned[u.used]; old.Shape()[0] < int64(n) {
		u.pinned[u.used] = s.Keep(s.Pinned(torch.F32, shape...))
		old.Free()
	}
	from := s.Narrow(u.pinned[u.used], 0, 0, int64(n))
	u.used++
	copy(from.Float32s(), x)
	to := s.Zeros(torch.F32, u.at, shape...)
	s.Upload(to, from, &u.sent)
	return to
}

// mask lets fill write a mask, and copies it to dst.
func (u *uploads) mask(s *torch.Scope, dst *torch.Tensor, fill func([]bool)) {
	if !u.at.IsCUDA() {
		fill(dst.Bools())
		return
	}
	if u.alive == nil {
		u.alive = s.Keep(s.Pinned(torch.Bool, dst.Shape()...))
	}
	fill(u.alive.Bools())
	s.Upload(dst, u.alive, &u.sent)
}

func (u *uploads) free() {
	u.sent.Free()
	u.alive.Free()
	for _, t := range u.pinned {
		t.Free()
	}
}
