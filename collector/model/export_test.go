package model

import "actfleet/internal/torch"

// Stage makes m move its taps through a buffer that pin makes, as if it were on another device.
func (m *Model) Stage(pin func(s *torch.Scope, x *torch.Tensor) *torch.Tensor) { m.pin = pin }
