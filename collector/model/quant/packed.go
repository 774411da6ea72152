package quant

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"actfleet/internal/safetensors"
)

// packed is a weight of whole numbers of a few bits in 32-bit words, with a scale and a zero for each group of inputs
// and each output.
type packed struct {
	stem      string
	bits      int64
	in, out   int64
	groups    int64
	scales    safetensors.Info
	index     []int64                                 // the group of each input
	number    func(words []uint32, in, out int64) int // of the weight
	zero      func(words []uint32, group, out int64) int
	indexName string // of the tensor that holds index; "" for none
}

// fields of the configurations of gptq and awq.
type packedConfig struct {
	Bits   int64  `json:"bits"`
	WBits  int64  `json:"w_bit"`
	Group  *int64 `json:"group_size"`
	QGroup *int64 `json:"q_group_size"`
	Format string `json:"checkpoint_format"`
	Other  string `json:"format"` // the same, in newer files
	Kind   string `json:"version"`
	Words  string `json:"pack_dtype"`
}

const packedHarmless = `desc_act sym true_sequential damp_percent model_name_or_path model_file_base_name static_groups quantizer
	modules_in_block_to_quantize dataset tokenizer batch_size pad_token_id use_cuda_fp16 model_seqlen block_name_to_quantize
	module_name_preceding_first_block use_exllama exllama_config cache_block_outputs max_input_length disable_exllama meta backend
	zero_point modules_to_not_convert do_fuse fuse_max_seq_len modules_to_fuse act_group_aware lm_head damp_auto_increment`

// groupOf is the size of a group of n inputs.
func (k packedConfig) groupOf(n int64) int64 {
	g := int64(128)
	for _, v := range []*int64{k.Group, k.QGroup} {
		if v != nil {
			g = *v
		}
	}
	if g == -1 {
		return n
	}
	return g
}

// gptq packs along the inputs, and stores each zero less one unless the format says otherwise.
func (c *Checkpoint) gptq(config map[string]json.RawMessage) error {
	var k packedConfig
	if err := know(config, &k, packedHarmless); err != nil {
		return err
	}
	less, format := 1, cmp.Or(k.Format, k.Other, "gptq")
	switch {
	case k.Words != "" && k.Words != "int32":
		return fmt.Errorf("%w: pack_dtype %q", ErrUnsupported, k.Words)
	case k.Bits != 2 && k.Bits != 4 && k.Bits != 8:
		return fmt.Errorf("%w: %d bits", ErrUnsupported, k.Bits)
	case format == "gptq_v2":
		less = 0
	case format != "gptq":
		return fmt.Errorf("%w: checkpoint_format %q", ErrUnsupported, format)
	}
	per, mask := 32/k.Bits, uint32(1)<<k.Bits-1
	for _, stem := range c.named(".qweight") {
		words, err := c.take(stem+".qweight", []safetensors.Dtype{safetensors.I32}, -1, -1)
		if err != nil {
			return err
		}
		p := packed{stem: stem, bits: k.Bits, in: words.Shape[0] * per, out: words.Shape[1], indexName: stem + ".g_idx"}
		p.number = func(w []uint32, in, out int64) int { return int(w[in/per*p.out+out] >> (k.Bits * (in % per)) & mask) }
		p.zero = func(w []uint32, group, out int64) int {
			at := group*p.out + out
			return int(w[at/per]>>(k.Bits*(at%per))&mask) + less
		}
		if err := c.packed(p, k); err != nil {
			return err
		}
	}
	return nil
}

// awqPlace is where, in a word of eight, each of eight outputs lies.
var awqPlace = [8]int64{0, 4, 1, 5, 2, 6, 3, 7}

// awq packs along the outputs, even ones before odd ones.
func (c *Checkpoint) awq(config map[string]json.RawMessage) error {
	var k packedConfig
	if err := know(config, &k, packedHarmless); err != nil {
		return err
	}
	kind := strings.ToLower(cmp.Or(k.Kind, k.Format, k.Other, "gemm"))
	if bits := max(k.Bits, k.WBits); bits != 4 || kind != "gemm" {
		return fmt.Errorf("%w: %d bits, version %q", ErrUnsupported, bits, kind)
	}
	for _, stem := range c.named(".qweight") {
		words, err := c.take(stem+".qweight", []safetensors.Dtype{safetensors.I32}, -1, -1)
		if err != nil {
			return err
		}
		p := packed{stem: stem, bits: 4, in: words.Shape[0], out: words.Shape[1] * 8}
		p.number = func(w []uint32, in, out int64) int { return int(w[(in*p.out+out)/8] >> (4 * awqPlace[out%8]) & 15) }
		p.zero = p.number
		if err := c.packed(p, k); err != nil {
			return err
		}
	}
	return nil
}

// packed adds a weight.
func (c *Checkpoint) packed(p packed, k packedConfig) (err error) {
	per := 32 / p.bits
	size := k.groupOf(p.in)
	if size < 1 || p.in < 1 || p.out < 1 || p.out%per != 0 {
		return fmt.Errorf("%w: %s.qweight: %d inputs and %d outputs in groups of %d", ErrCorrupt, p.stem, p.in, p.out, size)
	}
	p.groups = (p.in + size - 1) / size
	if p.scales, err = c.take(p.stem+".scales", floats, p.groups, p.out); err != nil {
		return err
	}
	if _, err = c.take(p.stem+".qzeros", []safetensors.Dtype{safetensors.I32}, p.groups, p.out/per); err != nil {
		return err
	}
	if err := c.groupIndex(&p, size); err != nil {
		return err
	}
	c.put(p.stem+".weight", func() ([]float32, error) { return c.unpack(p) }, p.out, p.in)
	return nil
}

// groupIndex finds the group of each input: as a tensor says, or in their order.
func (c *Checkpoint) groupIndex(p *packed, size int64) error {
	p.index = make([]int64, p.in)
	for i := range p.index {
		p.index[i] = int64(i) / size
	}
	if _, there := c.infos[p.indexName]; !there || p.indexName == "" {
		return nil
	}
	if _, err := c.take(p.indexName, []safetensors.Dtype{safetensors.I32}, p.in); err != nil {
		return err
	}
	words, err := c.uint32s(p.indexName)
	if err != nil {
		return err
	}
	for i, g := range words {
		if int64(g) >= p.groups {
			return fmt.Errorf("%w: %s[%d] is %d, and there are %d groups", ErrCorrupt, p.indexName, i, int32(g), p.groups)
		}
		p.index[i] = int64(g)
	}
	return nil
}

// unpack is the weight as [outputs, inputs].
func (c *Checkpoint) unpack(p packed) ([]float32, error) {
	words, err := c.uint32s(p.stem + ".qweight")
	if err != nil {
		return nil, err
	}
	zeros, err := c.uint32s(p.stem + ".qzeros")
	if err != nil {
		return nil, err
	}
	scales, err := c.float32s(p.scales)
	if err != nil {
		return nil, err
	}
	round := rounder(p.scales.Dtype)
	values := make([]float32, p.in*p.out)
	for in := range p.in {
		g := p.index[in]
		for out := range p.out {
			q := p.number(words, in, out) - p.zero(zeros, g, out)
			values[out*p.in+in] = round(float32(q) * scales[g*p.out+out])
		}
	}
	return values, nil
}
