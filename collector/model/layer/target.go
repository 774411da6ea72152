package layer

import "actfleet/internal/torch"

// Target says where a model's weights go and in what precision its linear maps are computed. The zero
// value is the CPU and fp32.
type Target struct {
	// Compute is the type of a block's linear maps and of what goes into their products; 0 is fp32.
	// Everything else is fp32 always: states, norms, attention, the embedding and the head.
	Compute torch.Dtype
	// Devices share the blocks evenly, the first ones going to the first device; the embedding and the
	// head are on the first. None is the CPU.
	Devices []torch.Device
}

// First is the device of the embedding and the head.
func (t Target) First() torch.Device { return t.Block(0, 1) }

// Block is the device of block i of n.
func (t Target) Block(i, n int) torch.Device {
	if len(t.Devices) == 0 {
		return torch.CPU
	}
	return t.Devices[i*len(t.Devices)/n]
}

// dtype is Compute with its default.
func (t Target) dtype() torch.Dtype {
	if t.Compute == 0 {
		return torch.F32
	}
	return t.Compute
}
