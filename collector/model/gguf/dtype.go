package gguf

import (
	"fmt"
	"maps"
)

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

// layouts has every type that is read.
var layouts = func() map[Dtype]layout {
	all := map[Dtype]layout{}
	for _, some := range []map[Dtype]layout{kLayouts, iLayouts, smallLayouts} {
		maps.Copy(all, some)
	}
	return all
}()

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
