package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// What a pickle may push besides the values of a Dict.
type (
	mark    struct{}
	global  string
	tuple   []any
	list    struct{ items []any } // by reference, as in Python
	storage struct {
		class string
		raw   []byte
	}
)

// Bounds of what is alive at once. Copies of tuples are counted as they are made, for a tuple of the memo may be
// put into others again and again.
const (
	maxStack = 1 << 16
	maxItems = 1 << 20
)

// unpickler interprets the few instructions that a dictionary of arrays needs. Names are compared with a list;
// nothing is called.
type unpickler struct {
	code  []byte
	at    int
	stack []any
	memo  map[uint32]any
	items int // elements of tuples, lists and dictionaries so far
	data  func(key string) ([]byte, bool)
}

// Decode reads the dictionary that code builds; data gives the bytes of an array's storage.
func Decode(code []byte, data func(key string) ([]byte, bool)) (*Dict, error) {
	u := &unpickler{code: code, memo: map[uint32]any{}, data: data}
	for {
		b, err := u.take(1)
		if err == nil && b[0] == opStop {
			break
		}
		if err == nil {
			err = u.step(b[0])
		}
		if err == nil && (len(u.stack) > maxStack || len(u.memo) > maxStack || u.items > maxItems) {
			err = fmt.Errorf("more than %d values", maxStack)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: pickle at byte %d: %v", ErrFormat, u.at, err)
		}
	}
	if len(u.stack) == 1 {
		if d, ok := u.stack[0].(*Dict); ok {
			plain(d, map[*Dict]bool{})
			return d, nil
		}
	}
	return nil, fmt.Errorf("%w: the pickle holds no dictionary", ErrFormat)
}

// plain makes the values of a dictionary, and of those in it, ones that callers know. Each is visited once, however
// often and wherever it is referred to.
func plain(d *Dict, seen map[*Dict]bool) {
	if seen[d] {
		return
	}
	seen[d] = true
	for i, v := range d.Values {
		switch v := v.(type) {
		case *Dict:
			plain(v, seen)
		case tuple:
			d.Values[i] = []any(v)
		case *list:
			d.Values[i] = v.items
		}
	}
}

func (u *unpickler) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.code)-u.at {
		return nil, fmt.Errorf("cut off")
	}
	u.at += n
	return u.code[u.at-n : u.at], nil
}

// number reads n bytes, little-endian.
func (u *unpickler) number(n int) (uint32, error) {
	raw, err := u.take(n)
	if err != nil {
		return 0, err
	}
	var full [4]byte
	copy(full[:], raw)
	return binary.LittleEndian.Uint32(full[:]), nil
}

func (u *unpickler) line() (string, error) {
	n := bytes.IndexByte(u.code[u.at:], '\n')
	if n < 0 {
		return "", fmt.Errorf("cut off")
	}
	raw, err := u.take(n + 1)
	return string(raw[:n]), err
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

// pop takes the n last values, in the order they were pushed.
func (u *unpickler) pop(n int) ([]any, error) {
	if len(u.stack) < n {
		return nil, fmt.Errorf("nothing on the stack")
	}
	at := len(u.stack) - n
	out := slices.Clone(u.stack[at:])
	u.stack = u.stack[:at]
	u.items += n
	return out, nil
}

// sinceMark takes everything above the last mark.
func (u *unpickler) sinceMark() ([]any, error) {
	for i := len(u.stack) - 1; i >= 0; i-- {
		if _, ok := u.stack[i].(mark); ok {
			out, err := u.pop(len(u.stack) - 1 - i)
			u.stack = u.stack[:i]
			return out, err
		}
	}
	return nil, fmt.Errorf("no mark")
}

func (u *unpickler) step(op byte) error {
	switch op {
	case opProto:
		_, err := u.take(1)
		return err
	case opFrame:
		_, err := u.take(8)
		return err
	case opMark:
		u.push(mark{})
	case opTrue, opFalse:
		u.push(op == opTrue)
	case opNone:
		u.push(nil)
	case opEmptyTuple:
		u.push(tuple{})
	case opEmptyDict:
		u.push(&Dict{})
	case opEmptyList:
		u.push(&list{})
	case opUnicode, opShortUnicode, opInt, opInt1, opInt2, opBig, opFloat, opGlobal:
		return u.literal(op)
	case opPut, opPutLong, opMemoize, opGet, opGot:
		return u.remember(op)
	default:
		return u.build(op)
	}
	return nil
}

// width is how many bytes say how long a literal is, or are the literal.
var width = map[byte]int{opUnicode: 4, opShortUnicode: 1, opInt: 4, opInt1: 1, opInt2: 2, opBig: 1}

// literal pushes a value that stands in the code.
func (u *unpickler) literal(op byte) error {
	switch op {
	case opGlobal:
		return u.name()
	case opFloat:
		raw, err := u.take(8)
		if err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(raw)))
		}
		return err
	}
	n, err := u.number(width[op])
	if err != nil {
		return err
	}
	switch op {
	case opUnicode, opShortUnicode:
		raw, err := u.take(int(n))
		u.push(string(raw))
		return err
	case opBig:
		return u.big(int(n))
	case opInt:
		u.push(int(int32(n)))
	default:
		u.push(int(n))
	}
	return nil
}

// name pushes the name of something in a module, which stands on two lines.
func (u *unpickler) name() error {
	module, err := u.line()
	if err != nil {
		return err
	}
	name, err := u.line()
	u.push(global(module + " " + name))
	return err
}

// big pushes a little-endian two's complement number of n bytes, which must fit an int.
func (u *unpickler) big(n int) error {
	raw, err := u.take(n)
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("a number of %d bytes", n)
	}
	var full [8]byte
	if n > 0 && raw[n-1] >= 0x80 {
		copy(full[:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	}
	copy(full[:], raw)
	u.push(int(int64(binary.LittleEndian.Uint64(full[:]))))
	return nil
}

// remember puts the top into the memo or gets it from there.
func (u *unpickler) remember(op byte) error {
	n, err := uint32(len(u.memo)), error(nil)
	switch op {
	case opPut, opGet:
		n, err = u.number(1)
	case opPutLong, opGot:
		n, err = u.number(4)
	}
	if err != nil {
		return err
	}
	if op == opGet || op == opGot {
		v, ok := u.memo[n]
		if !ok {
			return fmt.Errorf("no remembered value %d", n)
		}
		u.push(v)
		return nil
	}
	if len(u.stack) == 0 {
		return fmt.Errorf("nothing on the stack")
	}
	u.memo[n] = u.stack[len(u.stack)-1]
	return nil
}
