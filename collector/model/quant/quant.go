package quant

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"actfleet/internal/safetensors"
)

// What is wrong with a quantised checkpoint.
var (
	// ErrUnsupported says that it is quantised in a way that is not read here; the message names it.
	ErrUnsupported = errors.New("unsupported quantisation")
	// ErrCorrupt says that its tensors contradict each other or its quantization_config.
	ErrCorrupt = errors.New("corrupt quantised checkpoint")
)

// Weights is an open checkpoint as it lies in its files.
type Weights interface {
	Tensors() []safetensors.Info
	// Bytes is the data of a tensor, little-endian, row-major.
	Bytes(name string) ([]byte, error)
}

// Checkpoint is the plain weights of a quantised checkpoint.
type Checkpoint struct {
	Weights
	infos   map[string]safetensors.Info // of what has not been taken for part of a quantised weight
	tensors []safetensors.Info
	made    map[string]func() ([]float32, error) // the quantised weights
}

// methods by quant_method. Each takes the tensors that it knows out of infos and adds the weights that they stand for.
var methods = map[string]func(c *Checkpoint, config map[string]json.RawMessage) error{
	"fp8": (*Checkpoint).fp8, "bitsandbytes": (*Checkpoint).bitsandbytes, "gptq": (*Checkpoint).gptq, "awq": (*Checkpoint).awq,
	"mxfp4": (*Checkpoint).mxfp4,
}

// Method is quant_method of a quantization_config, and whether it is read here.
func Method(config []byte) (name string, known bool) {
	var head struct {
		Method string `json:"quant_method"`
	}
	_ = json.Unmarshal(config, &head) // what is no object has no method
	return head.Method, methods[head.Method] != nil
}

// Open reads a quantization_config and shows the weights; they must stay open as long as the Checkpoint is used. It
// fails where no weight is quantised as the configuration says.
func Open(config []byte, w Weights) (*Checkpoint, error) {
	name, known := Method(config)
	if !known {
		all := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		return nil, fmt.Errorf("%w: quantization_config: quant_method %q (read are %s)", ErrUnsupported, name, all)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(config, &keys); err != nil {
		return nil, fmt.Errorf("%w: quantization_config is no object", ErrCorrupt)
	}
	c := &Checkpoint{Weights: w, infos: map[string]safetensors.Info{}, made: map[string]func() ([]float32, error){}}
	for _, info := range w.Tensors() {
		c.infos[info.Name] = info
	}
	if err := methods[name](c, keys); err != nil {
		return nil, fmt.Errorf("quantization_config (%s): %w", name, err)
	}
	if len(c.made) == 0 {
		return nil, fmt.Errorf("%w: quantization_config says %s, and no weight is stored so", ErrUnsupported, name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.infos)) {
		c.tensors = append(c.tensors, c.infos[name])
	}
	return c, nil
}

// Tensors lists the plain weights. The caller must not change what it gets.
func (c *Checkpoint) Tensors() []safetensors.Info { return c.tensors }

// Bytes is the data of a weight: of one that was quantised, as 32-bit floats.
func (c *Checkpoint) Bytes(name string) ([]byte, error) {
	make, ok := c.made[name]
	if !ok {
		return c.Weights.Bytes(name)
	}
	values, err := make()
	if err != nil {
		return nil, fmt.Errorf("weight %s: %w", name, err)
	}
	raw := bytesOf(values)
	return raw, nil
}

func bytesOf(values []float32) []byte {
	raw := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return raw
}

// put adds a weight of rows × columns, or of any shape.
func (c *Checkpoint) put(name string, read func() ([]float32, error), shape ...int64) {
	n := int64(4)
	for _, d := range shape {
		n *= d
	}
	c.infos[name] = safetensors.Info{Name: name, Dtype: safetensors.F32, Shape: shape, Size: n}
	c.made[name] = read
}

// take takes a part of a quantised weight out of the tensors: of one of the types, with so many elements in every
// dimension (-1: any). An absent one is ErrCorrupt.
func (c *Checkpoint) take(name string, types []safetensors.Dtype, shape ...int64) (safetensors.Info, error) {
	info, ok := c.infos[name]
	if !ok {
		return info, fmt.Errorf("%w: there is no %s", ErrCorrupt, name)
	}
	fits := len(info.Shape) == len(shape)
	for i := range shape {
		fits = fits && (shape[i] < 0 || info.Shape[i] == shape[i])
	}
	if !fits || !slices.Contains(types, info.Dtype) {
		return info, fmt.Errorf("%w: %s is %s %v, and must be %v %v", ErrCorrupt, name, info.Dtype, info.Shape, types, shape)
	}
	delete(c.infos, name)
	return info, nil
}

// named lists the tensors whose names end so, without that end.
func (c *Checkpoint) named(end string) (stems []string) {
	for _, name := range slices.Sorted(maps.Keys(c.infos)) {
		if stem, ok := strings.CutSuffix(name, end); ok {
			stems = append(stems, stem)
		}
	}
	return stems
}

// know refuses keys of a configuration that are neither known nor null, and reads the known ones into a struct.
func know(config map[string]json.RawMessage, into any, harmless string) error {
	text, err := json.Marshal(config)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%w: a key has a value of another kind than it must have", ErrCorrupt)
	}
	var known map[string]json.RawMessage
	fields, _ := json.Marshal(into) // of our own types
	_ = json.Unmarshal(fields, &known)
	for _, key := range slices.Sorted(maps.Keys(config)) {
		_, ours := known[key]
		value := string(config[key])
		if !ours && value != "null" && value != "false" && !slices.Contains(strings.Fields(harmless+" quant_method"), key) {
			return fmt.Errorf("%w: key %q (%.40s) is not known", ErrUnsupported, key, value)
		}
	}
	return nil
}

// floats are the types that scales have.
var floats = []safetensors.Dtype{safetensors.F32, safetensors.F16, safetensors.BF16}

// float32s reads a whole tensor of floats.
func (c *Checkpoint) float32s(info safetensors.Info) ([]float32, error) {
	raw, err := c.Weights.Bytes(info.Name)
	if err != nil {
		return nil, err
	}
	return safetensors.ToFloat32(info.Dtype, raw)
}

// uint32s reads a whole tensor of 32-bit words.
func (c *Checkpoint) uint32s(name string) ([]uint32, error) {
	raw, err := c.Weights.Bytes(name)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, len(raw)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return out, nil
}

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
