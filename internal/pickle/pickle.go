// Package pickle reads and writes .pt files: archives of one pickle, which builds a dictionary of arrays, numbers and
// texts, and of the arrays' bytes.
//
// Guaranteed: reading interprets a fixed list of instructions and executes nothing: of the functions that a pickle
// may name, torch's three that make an array and the ordered dictionary are stood for, all others are refused by name;
// bytes of the code, not numbers in it, bound the memory; what is written torch.load reads with weights_only=True.
// Not guaranteed: other pickles than those of a dictionary. Files of torch before 1.6, which are no archives, are
// refused. It needs neither libtorch nor cgo.
package pickle

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"actfleet/internal/archive"
	"actfleet/internal/array"
	"actfleet/internal/safetensors"
)

// ErrFormat says that bytes are no pickle of a dictionary of arrays.
var ErrFormat = errors.New("no .pt file that can be read")

// Dict is a dictionary in the order of its keys. Values are array.Array, string, int, float64, bool, nil, []any and
// *Dict.
type Dict struct {
	Keys   []string
	Values []any
}

// Add puts a value behind the others.
func (d *Dict) Add(key string, v any) {
	d.Keys, d.Values = append(d.Keys, key), append(d.Values, v)
}

// Get is the value of a key, nil without.
func (d *Dict) Get(key string) any {
	if i := slices.Index(d.Keys, key); i >= 0 {
		return d.Values[i]
	}
	return nil
}

// Arrays are the values that are arrays, under the names of their keys.
func (d *Dict) Arrays() map[string]array.Array {
	out := map[string]array.Array{}
	for i, v := range d.Values {
		if a, ok := v.(array.Array); ok {
			a.Name = d.Keys[i]
			out[a.Name] = a
		}
	}
	return out
}

// Of is a dictionary of arrays under their names.
func Of(list []array.Array) *Dict {
	d := &Dict{}
	for _, a := range list {
		d.Add(a.Name, a)
	}
	return d
}

// Load reads a dictionary from a .pt file.
func Load(path string) (*Dict, error) {
	parts, err := archive.Load(path)
	if errors.Is(err, archive.ErrFormat) {
		return nil, fmt.Errorf("%w (torch before 1.6 wrote files that are none: load it and save it again)", err)
	}
	if err != nil {
		return nil, err
	}
	for name, data := range parts {
		root, ok := strings.CutSuffix(name, "/data.pkl")
		if !ok || strings.Contains(root, "/") {
			continue
		}
		if order, ok := parts[root+"/byteorder"]; ok && string(order) != "little" {
			return nil, fmt.Errorf("%w: its numbers are %.10q-endian", ErrFormat, order)
		}
		return Decode(data, func(key string) ([]byte, bool) { raw, ok := parts[root+"/data/"+key]; return raw, ok })
	}
	return nil, fmt.Errorf("%w: the archive holds no data.pkl", ErrFormat)
}

// Names that a .pt file refers to.
const (
	rebuildTensor    = "torch._utils _rebuild_tensor_v2"
	rebuildParameter = "torch._utils _rebuild_parameter"
	orderedDict      = "collections OrderedDict"
)

// storages are the classes of arrays' bytes.
var storages = map[string]safetensors.Dtype{
	"torch FloatStorage": safetensors.F32, "torch DoubleStorage": safetensors.F64,
	"torch HalfStorage": safetensors.F16, "torch BFloat16Storage": safetensors.BF16,
	"torch LongStorage": safetensors.I64, "torch IntStorage": safetensors.I32, "torch ShortStorage": safetensors.I16,
	"torch CharStorage": safetensors.I8, "torch ByteStorage": safetensors.U8, "torch BoolStorage": safetensors.Bool,
}

// Instructions of pickle's protocols 2 to 4 (Python's pickletools names them).
const (
	opProto, opFrame, opStop, opMark          = 0x80, 0x95, '.', '('
	opGlobal, opStackGlobal, opReduce         = 'c', 0x93, 'R'
	opPersID, opBuild                         = 'Q', 'b'
	opTuple, opEmptyTuple                     = 't', ')'
	opTuple1, opTuple2, opTuple3              = 0x85, 0x86, 0x87
	opEmptyDict, opSetItem, opSetItems        = '}', 's', 'u'
	opEmptyList, opAppend, opAppends          = ']', 'a', 'e'
	opUnicode, opShortUnicode                 = 'X', 0x8c
	opInt, opInt1, opInt2, opBig, opFloat     = 'J', 'K', 'M', 0x8a, 'G'
	opTrue, opFalse, opNone                   = 0x88, 0x89, 'N'
	opPut, opPutLong, opMemoize, opGet, opGot = 'q', 'r', 0x94, 'h', 'j'
)
