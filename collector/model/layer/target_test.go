package layer

import (
	"slices"
	"testing"

	"actfleet/internal/torch"
)

// Blocks are shared out by bytes, those of the embedding and the head counting for the first device.
func TestTargetCut(t *testing.T) {
	for name, c := range map[string]struct {
		devices int
		first   int64
		blocks  []int64
		want    []torch.Device
	}{
		"alike":                  {2, 0, []int64{5, 5, 5, 5}, []torch.Device{0, 0, 1, 1}},
		"one has the embedding":  {2, 10, []int64{5, 5, 5, 5}, []torch.Device{0, 1, 1, 1}},
		"nothing but embedding":  {2, 100, []int64{1, 1}, []torch.Device{1, 1}},
		"a wide one":             {2, 0, []int64{1, 1, 1, 9}, []torch.Device{0, 0, 0, 1}},
		"more devices":           {4, 0, []int64{5, 5}, []torch.Device{1, 3}},
		"the CPU":                {0, 5, []int64{5, 5}, []torch.Device{torch.CPU, torch.CPU}},
		"nothing has any weight": {2, 0, []int64{0, 0}, []torch.Device{0, 0}},
	} {
		var to Target
		for i := range c.devices {
			to.Devices = append(to.Devices, torch.CUDADevice(i))
		}
		to = to.Cut(c.first, c.blocks)
		var got []torch.Device
		for i := range c.blocks {
			got = append(got, to.Block(i))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
