package dataset

import (
	"encoding/json"
	"fmt"
	"math"
)

// idsOf reads a row's token ids, without those that its mask leaves out; nil where it has none.
func idsOf(c cell, mask string, r row) ([]int32, error) {
	list, err := c.list()
	if err != nil || list == nil {
		return nil, inIDs(idsColumn, "want a list of token ids, such as [1, 2]", err)
	}
	ids := make([]int32, len(list))
	for i, id := range list {
		if id < 0 || id > math.MaxInt32 {
			return nil, fmt.Errorf("%w: column %q: %d is no token id", ErrFormat, idsColumn, id)
		}
		ids[i] = int32(id)
	}
	if mask == "" {
		return ids, nil
	}
	return masked(ids, r.cell(mask))
}

func inIDs(name, want string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: column %q: %s", ErrFormat, name, want)
}

// list is a cell as a list of whole numbers; nil where it is missing.
func (c cell) list() (list []int64, err error) {
	raw := c.raw
	switch {
	case c.kind == missing:
		return nil, nil
	case c.ints != nil:
		return c.ints, nil
	case c.kind == field:
		raw = []byte(c.text)
	}
	if json.Unmarshal(raw, &list) == nil && list != nil {
		return list, nil
	}
	var bools []bool
	if err := json.Unmarshal(raw, &bools); err != nil || bools == nil {
		return nil, errNoList
	}
	list = make([]int64, len(bools))
	for i, b := range bools {
		if b {
			list[i] = 1
		}
	}
	return list, nil
}

var errNoList = fmt.Errorf("%w: no list of whole numbers", ErrFormat)

// masked leaves out the ids that a mask, of padding on either side, marks with 0 or false. A mask that is a single
// number is how many ids at the beginning are tokens.
func masked(ids []int32, c cell) ([]int32, error) {
	if c.kind == missing {
		return ids, nil
	}
	bad := func(says string, args ...any) error {
		return fmt.Errorf("%w: column %q: %s", ErrFormat, maskColumn, fmt.Sprintf(says, args...))
	}
	if n, err := c.whole(); err == nil {
		if n < 0 || n > int64(len(ids)) {
			return nil, bad("%d of %d ids", n, len(ids))
		}
		return ids[:n], nil
	}
	mask, err := c.list()
	if err != nil {
		return nil, bad("want a list of 0 and 1, or of true and false")
	}
	if len(mask) != len(ids) {
		return nil, bad("it has length %d, and %s has length %d; they must be as long", len(mask), idsColumn, len(ids))
	}
	from, to := 0, len(mask)
	for from < to && mask[from] == 0 {
		from++
	}
	for to > from && mask[to-1] == 0 {
		to--
	}
	for i, m := range mask[from:to] {
		if m != 1 {
			return nil, bad("position %d is %d: want one run of 1, padding (0) on either side of it; "+
				"rows that hold several documents must be taken apart first", from+i, m)
		}
	}
	return ids[from:to], nil
}
