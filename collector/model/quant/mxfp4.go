package quant

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"actfleet/internal/safetensors"
)

// mxfp4Block is how many values share a scale; they are half as many bytes.
const mxfp4Block = 32

// mxfp4 reads floats of four bits, E2M1, with a power of two for each block of inputs: NAME_blocks [..., G, 16] and
// NAME_scales [..., G] are NAME. A linear layer's are [outputs, G, 16]. Experts' are [E, outputs, G, 16], and they are
// the weight [E, inputs, outputs], the other way round, as the models that have them multiply from the left.
func (c *Checkpoint) mxfp4(config map[string]json.RawMessage) error {
	var k struct{}
	if err := know(config, &k, "modules_to_not_convert dequantize"); err != nil {
		return err
	}
	for _, name := range c.named("_blocks") {
		if err := c.mxfp4Weight(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *Checkpoint) mxfp4Weight(name string) error {
	shape := c.infos[name+"_blocks"].Shape
	last := len(shape) - 1
	if last != 2 && last != 3 || shape[last] != mxfp4Block/2 {
		return fmt.Errorf("%w: %s_blocks is %v, and must be [outputs, G, 16] or [experts, outputs, G, 16]", ErrUnsupported, name, shape)
	}
	blocks, err := c.take(name+"_blocks", []safetensors.Dtype{safetensors.U8}, shape...)
	if err != nil {
		return err
	}
	scales, err := c.take(name+"_scales", []safetensors.Dtype{safetensors.U8, safetensors.F8E8M0}, shape[:last]...)
	if err != nil {
		return err
	}
	rows, columns := shape[last-2], shape[last-1]*mxfp4Block
	if last == 2 {
		c.put(name, func() ([]float32, error) { return c.unpackMXFP4(blocks, scales) }, rows, columns)
		return nil
	}
	c.put(name, func() ([]float32, error) {
		values, err := c.unpackMXFP4(blocks, scales)
		return transposed(values, int(rows), int(columns)), err
	}, shape[0], columns, rows)
	return nil
}

// unpackMXFP4 is the values in the order of the file: of a byte, the lower half is the first. They are exact in
// bfloat16 too, to which the reference rounds them.
func (c *Checkpoint) unpackMXFP4(blocks, scales safetensors.Info) ([]float32, error) {
	raw, err := c.Weights.Bytes(blocks.Name)
	if err != nil {
		return nil, err
	}
	scale, err := c.scales(scales)
	if err != nil {
		return nil, err
	}
	out := make([]float32, 2*len(raw))
	for i, b := range raw {
		s := scale[2*i/mxfp4Block]
		out[2*i], out[2*i+1] = e2m1[b&15]*s, e2m1[b>>4]*s
	}
	return out, nil
}

// transposed swaps the rows and the columns of every matrix.
func transposed(values []float32, rows, columns int) []float32 {
	out := make([]float32, len(values))
	if len(values) == 0 {
		return out
	}
	at := 0
	for from := range slices.Chunk(values, rows*columns) {
		to := out[at : at+len(from)]
		for r := range rows {
			for col := range columns {
				to[col*rows+r] = from[r*columns+col]
			}
		}
		at += len(from)
	}
	return out
}

// e2m1 are the values of a float of four bits, two of them exponent.
var e2m1 = func() (t [16]float32) {
	for i, v := range [8]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6} {
		t[i], t[i+8] = v, float32(math.Copysign(float64(v), -1))
	}
	return t
}()
