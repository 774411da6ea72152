package layer

import "actfleet/internal/torch"

// Target says where a model's weights go and in what precision its linear maps are computed. The zero
// value is the CPU and fp32.
type Target struct {
	// Compute is the type of a block's linear maps and of what goes into their products; 0 is fp32.
	// Everything else is fp32 always: states, norms, attention, the embedding and the head.
	Compute torch.Dtype
	// Devices share the blocks, the first ones going to the first device, so that each holds about as many bytes (Cut); the
	// embedding and the head are on the first. None is the CPU.
	Devices []torch.Device

	cut []int // which of Devices each block is on
}

// First is the device of the embedding and the head.
func (t Target) First() torch.Device {
	if len(t.Devices) == 0 {
		return torch.CPU
	}
	return t.Devices[0]
}

// Cut is t for a network with so many bytes in each of its blocks, and first in its embedding and its head: all bytes, in
// the network's order, are shared out evenly, and a block goes to the device on which its middle byte falls.
func (t Target) Cut(first int64, blocks []int64) Target {
	all := first
	for _, n := range blocks {
		all += n
	}
	t.cut = make([]int, len(blocks))
	for i, n := range blocks {
		if all > 0 {
			t.cut[i] = min(int((2*first+n)*int64(len(t.Devices))/(2*all)), max(0, len(t.Devices)-1))
		}
		first += n
	}
	return t
}

// Block is the device of block i of the network that t was cut for.
func (t Target) Block(i int) torch.Device {
	if len(t.Devices) == 0 {
		return torch.CPU
	}
	return t.Devices[t.cut[i]]
}

// dtype is Compute with its default.
func (t Target) dtype() torch.Dtype {
	if t.Compute == 0 {
		return torch.F32
	}
	return t.Compute
}
