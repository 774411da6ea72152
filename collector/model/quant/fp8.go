package quant

import (
	"encoding/json"
	"fmt"
	"math"

	"actfleet/internal/safetensors"
)

// fp8 reads eight-bit floats with a scale for each block of rows and columns, or one for all.
func (c *Checkpoint) fp8(config map[string]json.RawMessage) error {
	var k struct {
		Block  []int64 `json:"weight_block_size"`
		Acts   string  `json:"activation_scheme"`
		Format string  `json:"fmt"`
		Scale  string  `json:"scale_fmt"`
	}
	if err := know(config, &k, "modules_to_not_convert ignored_layers dequantize use_cuda_graph modules_to_convert expert_dtype"); err != nil {
		return err
	}
	switch {
	case k.Format != "" && k.Format != "e4m3":
		return fmt.Errorf("%w: fmt %q", ErrUnsupported, k.Format)
	case k.Acts != "" && k.Acts != "dynamic":
		return fmt.Errorf("%w: activation_scheme %q", ErrUnsupported, k.Acts)
	case k.Block != nil && (len(k.Block) != 2 || k.Block[0] < 1 || k.Block[1] < 1):
		return fmt.Errorf("%w: weight_block_size %v", ErrCorrupt, k.Block)
	}
	for _, stem := range c.named(".weight_scale_inv") {
		if err := c.fp8Weight(stem+".weight", stem+".weight_scale_inv", k.Block); err != nil {
			return err
		}
	}
	return nil
}

func (c *Checkpoint) fp8Weight(name, scaleName string, block []int64) error {
	w, err := c.take(name, []safetensors.Dtype{safetensors.F8E4M3}, -1, -1)
	if err != nil {
		return err
	}
	scales := c.infos[scaleName]
	rows, cols := w.Shape[0], w.Shape[1]
	tall, wide := rows, cols // of a block
	down, across := int64(1), int64(1)
	if block != nil {
		tall, wide = block[0], block[1]
		down, across = (rows+tall-1)/tall, (cols+wide-1)/wide
	}
	shape := []int64{down, across}
	if scales.Elements() == 1 { // one for all, however it is shaped
		shape, tall, wide, across = scales.Shape, max(rows, 1), max(cols, 1), 1
	}
	types := append([]safetensors.Dtype{safetensors.U8, safetensors.F8E8M0}, floats...)
	if scales, err = c.take(scaleName, types, shape...); err != nil {
		return err
	}
	c.put(name, func() ([]float32, error) {
		raw, err := c.Weights.Bytes(name)
		if err != nil {
			return nil, err
		}
		s, err := c.scales(scales)
		if err != nil {
			return nil, err
		}
		out := make([]float32, len(raw))
		for i, b := range raw {
			r, col := int64(i)/cols, int64(i)%cols
			out[i] = e4m3[b] * s[r/tall*across+col/wide]
		}
		return out, nil
	}, rows, cols)
	return nil
}

// scales reads scales; bytes are exponents of two.
func (c *Checkpoint) scales(info safetensors.Info) ([]float32, error) {
	if info.Dtype != safetensors.U8 && info.Dtype != safetensors.F8E8M0 {
		return c.float32s(info)
	}
	raw, err := c.Weights.Bytes(info.Name)
	out := make([]float32, len(raw))
	for i, b := range raw {
		out[i] = float32(math.Ldexp(1, int(b)-127))
	}
	return out, err
}
