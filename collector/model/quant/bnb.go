package quant

import (
	"encoding/json"
	"fmt"
	"strings"

	"actfleet/internal/safetensors"
)

// bitsandbytes reads int8 rows with a scale, and blocks of four bits.
func (c *Checkpoint) bitsandbytes(config map[string]json.RawMessage) error {
	const harmless = `load_in_8bit load_in_4bit _load_in_8bit _load_in_4bit llm_int8_threshold llm_int8_skip_modules
		llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight bnb_4bit_quant_type bnb_4bit_use_double_quant bnb_4bit_compute_dtype bnb_4bit_quant_storage`
	if err := know(config, &struct{}{}, harmless); err != nil {
		return err
	}
	for _, stem := range c.named(".SCB") {
		if err := c.int8Weight(stem); err != nil {
			return err
		}
	}
	for _, kind := range []string{"nf4", "fp4"} {
		for _, name := range c.named(".quant_state.bitsandbytes__" + kind) {
			if err := c.fourBit(name, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// int8Weight is a matrix of bytes with the greatest value of each row, which stands for 127.
func (c *Checkpoint) int8Weight(stem string) error {
	name := stem + ".weight"
	w, err := c.take(name, []safetensors.Dtype{safetensors.I8}, -1, -1)
	if err != nil {
		return err
	}
	rows, cols := w.Shape[0], w.Shape[1]
	most, err := c.take(stem+".SCB", floats, rows)
	if err != nil {
		return err
	}
	if err := c.inRows(stem + ".weight_format"); err != nil {
		return err
	}
	c.put(name, func() ([]float32, error) {
		raw, err := c.Weights.Bytes(name)
		if err != nil {
			return nil, err
		}
		scale, err := c.float32s(most)
		if err != nil {
			return nil, err
		}
		out := make([]float32, len(raw))
		for i, b := range raw {
			out[i] = float32(float32(int8(b))*scale[int64(i)/cols]) * 7.874015718698502e-3
		}
		return out, nil
	}, rows, cols)
	return nil
}

// inRows refuses the orders that old kernels kept weights in; 0 is row by row.
func (c *Checkpoint) inRows(name string) error {
	if _, there := c.infos[name]; !there {
		return nil
	}
	raw, err := c.Weights.Bytes(name)
	if err != nil {
		return err
	}
	if len(raw) != 1 || raw[0] != 0 {
		return fmt.Errorf("%w: %s is %d, and only row by row (0) is read", ErrUnsupported, name, raw)
	}
	delete(c.infos, name)
	return nil
}

// state is the description of a weight of four bits.
type state struct {
	Kind   string  `json:"quant_type"`
	Block  int64   `json:"blocksize"`
	Dtype  string  `json:"dtype"`
	Shape  []int64 `json:"shape"`
	Nested int64   `json:"nested_blocksize"`
	Type   string  `json:"nested_dtype"`
	Offset float32 `json:"nested_offset"`
}

var torchTypes = map[string]safetensors.Dtype{"float16": safetensors.F16, "bfloat16": safetensors.BF16, "float32": safetensors.F32}

// fourBit is a weight of two values to a byte, the first in the upper half, with a scale for each block of values.
func (c *Checkpoint) fourBit(name, kind string) error {
	s, n, err := c.state(name, kind)
	if err != nil {
		return err
	}
	if info, ok := c.infos[name]; !ok || info.Size != (n+1)/2 {
		return fmt.Errorf("%w: %s has %d bytes for %d values of four bits", ErrCorrupt, name, info.Size, n)
	}
	delete(c.infos, name)
	levels, err := c.take(name+".quant_map", []safetensors.Dtype{safetensors.F32}, 16)
	if err != nil {
		return err
	}
	scales, err := c.blockScales(name, s, (n+s.Block-1)/s.Block)
	if err != nil {
		return err
	}
	round := rounder(torchTypes[s.Dtype])
	c.put(name, func() ([]float32, error) {
		raw, err := c.Weights.Bytes(name)
		if err != nil {
			return nil, err
		}
		level, err := c.float32s(levels)
		if err != nil {
			return nil, err
		}
		scale, err := scales()
		if err != nil {
			return nil, err
		}
		out := make([]float32, n)
		for i := range out {
			q := raw[i/2] >> (4 * (1 - i%2)) & 15
			out[i] = round(level[q] * scale[int64(i)/s.Block])
		}
		return out, nil
	}, s.Shape...)
	return nil
}

// state reads the description of a weight and says how many values it has.
func (c *Checkpoint) state(name, kind string) (s state, n int64, err error) {
	info, err := c.take(name+".quant_state.bitsandbytes__"+kind, []safetensors.Dtype{safetensors.U8}, -1)
	if err != nil {
		return s, 0, err
	}
	text, err := c.Weights.Bytes(info.Name)
	if err != nil {
		return s, 0, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, 0, fmt.Errorf("%w: %s is not JSON of the kind it must be", ErrCorrupt, info.Name)
	}
	n = 1
	for _, d := range s.Shape {
		if d < 1 || d > 1<<24 || n > 1<<36 {
			return s, 0, fmt.Errorf("%w: %s has the shape %v", ErrCorrupt, name, s.Shape)
		}
		n *= d
	}
	_, ok := torchTypes[s.Dtype]
	ok = ok && s.Kind == kind && s.Block >= 1 && s.Nested >= 0 && len(s.Shape) > 0
	if !ok || s.Type != "" && s.Type != "float32" {
		return s, 0, fmt.Errorf("%w: %s: %.200s", ErrUnsupported, info.Name, strings.ToValidUTF8(string(text), "?"))
	}
	return s, n, nil
}

// blockScales are the scales of a weight's blocks: floats, or bytes that stand for levels with scales of their own.
func (c *Checkpoint) blockScales(name string, s state, blocks int64) (func() ([]float32, error), error) {
	if s.Nested == 0 {
		info, err := c.take(name+".absmax", []safetensors.Dtype{safetensors.F32}, blocks)
		return func() ([]float32, error) { return c.float32s(info) }, err
	}
	own, err := c.take(name+".absmax", []safetensors.Dtype{safetensors.U8}, blocks)
	if err != nil {
		return nil, err
	}
	levels, err := c.take(name+".nested_quant_map", []safetensors.Dtype{safetensors.F32}, 256)
	if err != nil {
		return nil, err
	}
	outer, err := c.take(name+".nested_absmax", []safetensors.Dtype{safetensors.F32}, (blocks+s.Nested-1)/s.Nested)
	if err != nil {
		return nil, err
	}
	return func() ([]float32, error) {
		raw, err := c.Weights.Bytes(own.Name)
		if err != nil {
			return nil, err
		}
		level, err := c.float32s(levels)
		if err != nil {
			return nil, err
		}
		scale, err := c.float32s(outer)
		out := make([]float32, len(raw))
		for i, b := range raw {
			out[i] = float32(level[b]*scale[int64(i)/s.Nested]) + s.Offset
		}
		return out, err
	}, nil
}
