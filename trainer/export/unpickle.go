package export

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// loadTorch reads a dictionary from a .pt file.
func loadTorch(path string) (*dict, error) {
	parts, err := loadZip(path)
	if err != nil {
		return nil, err
	}
	for name, data := range parts {
		if root, ok := strings.CutSuffix(name, "/data.pkl"); ok && !strings.Contains(root, "/") {
			return unpickle(data, func(key string) []byte { return parts[root+"/data/"+key] })
		}
	}
	return nil, fmt.Errorf("%w: the archive holds no data.pkl", ErrFormat)
}

// What a pickle may push besides strings, ints, bools and nil.
type (
	mark    struct{}
	global  string
	tuple   []any
	storage struct {
		class string
		raw   []byte
	}
)

// maxStack bounds the values of a pickle that are alive at once, and its memo.
const maxStack = 1 << 16

// unpickler interprets the few instructions that a dictionary of arrays needs. Names are compared
// with a list; nothing is called.
type unpickler struct {
	code  []byte
	at    int
	stack []any
	memo  map[uint32]any
	data  func(key string) []byte
}

// unpickle reads a dictionary; data gives the values of a storage.
func unpickle(code []byte, data func(string) []byte) (*dict, error) {
	u := &unpickler{code: code, memo: map[uint32]any{}, data: data}
	for {
		b, err := u.take(1)
		if err == nil && b[0] == opStop {
			break
		}
		if err == nil {
			err = u.step(b[0])
		}
		if err == nil && (len(u.stack) > maxStack || len(u.memo) > maxStack) {
			err = fmt.Errorf("more than %d values", maxStack)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: pickle at byte %d: %v", ErrFormat, u.at, err)
		}
	}
	if len(u.stack) == 1 {
		if d, ok := u.stack[0].(*dict); ok {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%w: the pickle holds no dictionary", ErrFormat)
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
	raw, err := u.take(n + 1)
	if err != nil || n < 0 {
		return "", fmt.Errorf("cut off")
	}
	return string(raw[:n]), nil
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) pop() (any, error) {
	if len(u.stack) == 0 {
		return nil, fmt.Errorf("nothing on the stack")
	}
	v := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	return v, nil
}

// sinceMark takes everything above the last mark.
func (u *unpickler) sinceMark() ([]any, error) {
	for i := len(u.stack) - 1; i >= 0; i-- {
		if _, ok := u.stack[i].(mark); ok {
			out := slices.Clone(u.stack[i+1:])
			u.stack = u.stack[:i]
			return out, nil
		}
	}
	return nil, fmt.Errorf("no mark")
}

func (u *unpickler) step(op byte) error {
	switch op {
	case opProto:
		_, err := u.take(1)
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
		u.push(&dict{})
	case opTuple1, opTuple2, opTuple3:
		return u.lastTuple(int(op - opTuple1 + 1))
	case opTuple:
		v, err := u.sinceMark()
		u.push(tuple(v))
		return err
	case opUnicode, opInt, opInt1, opInt2, opBig, opGlobal:
		return u.literal(op)
	case opPut, opPutLong, opGet, opGetLong:
		return u.remember(op)
	default:
		return u.build(op)
	}
	return nil
}

func (u *unpickler) lastTuple(n int) error {
	if len(u.stack) < n {
		return fmt.Errorf("nothing on the stack")
	}
	at := len(u.stack) - n
	t := tuple(slices.Clone(u.stack[at:]))
	u.stack = append(u.stack[:at], t)
	return nil
}

// literal pushes a value that stands in the code.
func (u *unpickler) literal(op byte) error {
	if op == opGlobal {
		module, err1 := u.line()
		name, err2 := u.line()
		u.push(global(module + " " + name))
		if err1 != nil {
			return err1
		}
		return err2
	}
	n, err := u.number(map[byte]int{opUnicode: 4, opInt: 4, opInt1: 1, opInt2: 2, opBig: 1}[op])
	if err != nil {
		return err
	}
	switch op {
	case opUnicode:
		raw, err := u.take(int(n))
		u.push(string(raw))
		return err
	case opBig:
		raw, err := u.take(int(n))
		v, ok := bigInt(raw)
		if err == nil && !ok {
			err = fmt.Errorf("a number of %d bytes", n)
		}
		u.push(v)
		return err
	case opInt:
		u.push(int(int32(n)))
	default:
		u.push(int(n))
	}
	return nil
}

// remember puts the top into the memo or gets it from there.
func (u *unpickler) remember(op byte) error {
	size := 1
	if op == opPutLong || op == opGetLong {
		size = 4
	}
	n, err := u.number(size)
	if err != nil {
		return err
	}
	if op == opGet || op == opGetLong {
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
