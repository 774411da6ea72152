package export

import (
	"fmt"
	"slices"
)

// build makes values of those on the stack.
func (u *unpickler) build(op byte) error {
	switch op {
	case opSetItem, opSetItems:
		return u.setItems(op)
	case opBuild: // attributes of a dictionary, which hold no weights
		_, err := u.pop()
		return err
	case opPersID:
		v, err := u.pop()
		if err != nil {
			return err
		}
		s, err := u.storage(v)
		u.push(s)
		return err
	case opReduce:
		args, err1 := u.pop()
		f, err2 := u.pop()
		if err1 != nil || err2 != nil {
			return fmt.Errorf("nothing on the stack")
		}
		v, err := call(f, args)
		u.push(v)
		return err
	}
	return fmt.Errorf("instruction %#x is not one of a dictionary of arrays", op)
}

func (u *unpickler) setItems(op byte) (err error) {
	var items []any
	if op == opSetItems {
		items, err = u.sinceMark()
	} else if len(u.stack) >= 2 {
		items = slices.Clone(u.stack[len(u.stack)-2:])
		u.stack = u.stack[:len(u.stack)-2]
	}
	if err != nil || len(items)%2 != 0 || len(u.stack) == 0 {
		return fmt.Errorf("items without a dictionary")
	}
	d, ok := u.stack[len(u.stack)-1].(*dict)
	if !ok || len(d.keys) > maxStack {
		return fmt.Errorf("items without a dictionary")
	}
	for i := 0; i < len(items); i += 2 {
		key, ok := items[i].(string)
		if !ok {
			return fmt.Errorf("a key is no text")
		}
		d.add(key, items[i+1])
	}
	return nil
}

// storage is ("storage", class, key, device, elements).
func (u *unpickler) storage(v any) (s storage, err error) {
	t, _ := v.(tuple)
	if len(t) != 5 {
		return s, fmt.Errorf("not a storage")
	}
	class, ok1 := t[1].(global)
	key, ok2 := t[2].(string)
	if !ok1 || !ok2 {
		return s, fmt.Errorf("not a storage")
	}
	return storage{class: string(class), raw: u.data(key)}, nil
}

// call stands for the two functions a dictionary of arrays needs.
func call(f, args any) (any, error) {
	t, _ := args.(tuple)
	switch f {
	case global(orderedDict):
		return &dict{}, nil
	case global(rebuildTensor):
		return rebuild(t)
	}
	if g, ok := f.(global); ok {
		return nil, fmt.Errorf("%.80q is not called", string(g))
	}
	return nil, fmt.Errorf("a %T is not called", f)
}

// rebuild makes an array of (storage, offset, shape, strides, …).
func rebuild(t tuple) (a array, err error) {
	if len(t) < 4 {
		return a, fmt.Errorf("an array of %d arguments", len(t))
	}
	s, ok1 := t[0].(storage)
	offset, ok2 := t[1].(int)
	shape, ok3 := intTuple(t[2])
	stride, ok4 := intTuple(t[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || offset != 0 || elements(shape) < 0 {
		return a, fmt.Errorf("an array of unknown form")
	}
	a.shape = shape
	switch s.class {
	case floatStorage:
		a.data, err = strided[float32](s.raw, shape, stride, 4)
	case longStorage:
		a.data, err = strided[int64](s.raw, shape, stride, 8)
	case intStorage:
		a.data, err = strided[int32](s.raw, shape, stride, 4)
	default:
		return a, fmt.Errorf("%.80s is not read, only float32, int64 and int32", s.class)
	}
	return a, err
}

// strided copies an array of size bytes a value out of its storage, where it may lie transposed.
func strided[T any](raw []byte, shape, stride []int, size int) ([]T, error) {
	n := elements(shape)
	if slices.Equal(stride, strides(shape)) {
		return decode[T](raw, n, size)
	}
	all, err := decode[T](raw, len(raw)/size, size)
	if err != nil || len(shape) != 2 || len(stride) != 2 || n != len(all) || stride[0] != 1 || stride[1] != shape[0] {
		return nil, fmt.Errorf("an array of shape %v with steps of %v: make it contiguous before saving", shape, stride)
	}
	out := make([]T, n)
	for i := range out {
		out[i] = all[i/shape[1]+i%shape[1]*shape[0]]
	}
	return out, nil
}

func intTuple(v any) (out []int, ok bool) {
	t, ok := v.(tuple)
	for _, x := range t {
		n, is := x.(int)
		if !is || n < 0 {
			return nil, false
		}
		out = append(out, n)
	}
	return out, ok
}
