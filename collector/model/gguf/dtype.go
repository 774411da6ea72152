package gguf

import "fmt"

// Dtype is how a tensor's values are stored, with ggml's numbers.
type Dtype uint32

// The types that have a name here; layouts has all that are read.
const (
	F32  Dtype = 0
	F16  Dtype = 1
	Q4_0 Dtype = 2
	Q4_1 Dtype = 3
	Q5_0 Dtype = 6
	Q5_1 Dtype = 7
	Q8_0 Dtype = 8
	Q4K  Dtype = 12
	Q5K  Dtype = 13
	Q6K  Dtype = 14
	BF16 Dtype = 30
)

// layout is the size of a type's blocks and how one is read.
type layout struct {
	name   string
	values int // of a block
	bytes  int
	read   func(dst []float32, block []byte) // one block, or any number of blocks of one value
}

var layouts = map[Dtype]layout{
	F32:  {"F32", 1, 4, readF32},
	F16:  {"F16", 1, 2, readF16},
	BF16: {"BF16", 1, 2, readBF16},
	Q4_0: {"Q4_0", 32, 18, readQ4Zero},
	Q4_1: {"Q4_1", 32, 20, readQ4One},
	Q5_0: {"Q5_0", 32, 22, readQ5Zero},
	Q5_1: {"Q5_1", 32, 24, readQ5One},
	Q8_0: {"Q8_0", 32, 34, readQ8Zero},
	Q4K:  {"Q4_K", 256, 144, readQ4K},
	Q5K:  {"Q5_K", 256, 176, readQ5K},
	Q6K:  {"Q6_K", 256, 210, readQ6K},

	10: {"Q2_K", 256, 84, readQ2K},
	11: {"Q3_K", 256, 110, readQ3K},
	15: {"Q8_K", 256, 292, readQ8K},
	16: {"IQ2_XXS", 256, 66, readIQ2XXS},
	17: {"IQ2_XS", 256, 74, readIQ2XS},
	18: {"IQ3_XXS", 256, 98, readIQ3XXS},
	19: {"IQ1_S", 256, 50, readIQ1S},
	20: {"IQ4_NL", 32, 18, readIQ4NL},
	21: {"IQ3_S", 256, 110, readIQ3S},
	22: {"IQ2_S", 256, 82, readIQ2S},
	23: {"IQ4_XS", 256, 136, readIQ4XS},
	29: {"IQ1_M", 256, 56, readIQ1M},
	34: {"TQ1_0", 256, 54, readTQ1},
	35: {"TQ2_0", 256, 66, readTQ2},
	39: {"MXFP4", 32, 17, readMXFP4},
	40: {"NVFP4", 64, 36, readNVFP4},
}

// otherTypes names types that are not read, for an error.
var otherTypes = map[Dtype]string{9: "Q8_1", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"}

// String is ggml's name of the type.
func (d Dtype) String() string {
	if l, ok := layouts[d]; ok {
		return l.name
	}
	if name, ok := otherTypes[d]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(d))
}
