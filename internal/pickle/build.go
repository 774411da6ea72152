package pickle

import (
	"fmt"

	"actfleet/internal/array"
)

// build makes values of those on the stack.
func (u *unpickler) build(op byte) error {
	switch op {
	case opTuple, opSetItems, opAppends:
		items, err := u.sinceMark()
		if err != nil {
			return err
		}
		return u.gather(op, items)
	case opTuple1, opTuple2, opTuple3:
		items, err := u.pop(int(op - opTuple1 + 1))
		u.push(tuple(items))
		return err
	case opSetItem, opAppend:
		n := map[byte]int{opSetItem: 2, opAppend: 1}[op]
		items, err := u.pop(n)
		if err != nil {
			return err
		}
		return u.gather(op, items)
	case opBuild: // attributes of a dictionary, which hold no weights
		_, err := u.pop(1)
		return err
	case opPersID, opReduce, opStackGlobal:
		return u.call(op)
	}
	return fmt.Errorf("instruction %#x is not one of a dictionary of arrays", op)
}

// gather puts items into a tuple, or into the list or dictionary that lies below them.
func (u *unpickler) gather(op byte, items []any) error {
	if op == opTuple {
		u.push(tuple(items))
		return nil
	}
	if len(u.stack) == 0 {
		return fmt.Errorf("nothing on the stack")
	}
	switch below := u.stack[len(u.stack)-1].(type) {
	case *list:
		if op == opAppend || op == opAppends {
			below.items = append(below.items, items...)
			return nil
		}
	case *Dict:
		if (op == opSetItem || op == opSetItems) && len(items)%2 == 0 {
			return fill(below, items)
		}
	}
	return fmt.Errorf("items without a list or a dictionary")
}

// fill adds keys and values, which stand in turn, to a dictionary.
func fill(d *Dict, items []any) error {
	for i := 0; i < len(items); i += 2 {
		key, ok := items[i].(string)
		if !ok {
			return fmt.Errorf("a key is no text")
		}
		d.Add(key, items[i+1])
	}
	return nil
}

// call stands for the functions that a dictionary of arrays needs.
func (u *unpickler) call(op byte) error {
	if op == opPersID {
		v, err := u.pop(1)
		if err != nil {
			return err
		}
		s, err := u.storage(v[0])
		u.push(s)
		return err
	}
	v, err := u.pop(2)
	if err != nil {
		return err
	}
	if op == opStackGlobal {
		module, ok1 := v[0].(string)
		name, ok2 := v[1].(string)
		u.push(global(module + " " + name))
		if !ok1 || !ok2 {
			return fmt.Errorf("a name is no text")
		}
		return nil
	}
	made, err := stand(v[0], v[1])
	u.push(made)
	return err
}

// stand is what a function makes of its arguments.
func stand(f, args any) (any, error) {
	t, _ := args.(tuple)
	switch f {
	case global(orderedDict):
		if len(t) == 0 {
			return &Dict{}, nil
		}
	case global(rebuildTensor):
		return rebuild(t)
	case global(rebuildParameter): // (array, requires_grad, hooks)
		if len(t) == 3 {
			if a, ok := t[0].(array.Array); ok {
				return a, nil
			}
		}
	}
	if g, ok := f.(global); ok {
		return nil, fmt.Errorf("%.80q is not called", string(g))
	}
	return nil, fmt.Errorf("a %T is not called", f)
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
	raw, ok := u.data(key)
	if !ok {
		return s, fmt.Errorf("the archive lacks the array %.80q", key)
	}
	return storage{class: string(class), raw: raw}, nil
}

// rebuild makes an array of (storage, offset, shape, steps, …).
func rebuild(t tuple) (a array.Array, err error) {
	if len(t) < 4 {
		return a, fmt.Errorf("an array of %d arguments", len(t))
	}
	s, ok1 := t[0].(storage)
	offset, ok2 := t[1].(int)
	shape, ok3 := ints(t[2])
	steps, ok4 := ints(t[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || offset < 0 {
		return a, fmt.Errorf("an array of unknown form")
	}
	d, ok := storages[s.class]
	if !ok {
		return a, fmt.Errorf("an array of %.80q is not read", s.class)
	}
	if offset > len(s.raw)/d.Size() {
		return a, fmt.Errorf("an array begins at %d of %d bytes", offset, len(s.raw))
	}
	return array.View("", d, shape, steps, s.raw[offset*d.Size():])
}

// ints are the numbers of a tuple, none negative.
func ints(v any) ([]int, bool) {
	t, ok := v.(tuple)
	out := make([]int, 0, len(t))
	for _, x := range t {
		n, is := x.(int)
		if !is || n < 0 {
			return nil, false
		}
		out = append(out, n)
	}
	return out, ok
}
