package stream

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"actfleet/shard"
	"actfleet/shard/tap"
	"actfleet/trainer/stream/where"
)

// Filter says which rows of the shards are handed out. The zero Filter keeps all.
type Filter struct {
	// Tokens is the token rule: "" or "all", "last", "every:N", "pos:N", applied to
	// what the run kept.
	Tokens string
	// Where lists conditions on scalar columns, as package where reads them; all must hold.
	Where []string
	// Holdout sets a share of the data aside; Side says which side is handed out.
	Holdout Holdout
	Side    Side
}

// Holdout sets aside a share of the data by a hash of a column's value, so that
// it does not depend on the run, the units or the order.
type Holdout struct {
	Fraction float64 // share set aside, in [0, 1)
	By       string  // column whose equal values stay together; "" is "row"
	Seed     uint64
}

// Side is a side of a Holdout.
type Side uint8

// The sides. Both ignores the holdout.
const (
	Both Side = iota
	Train
	Heldout
)

// predicate decides about row i of a group from its scalar columns, given in the
// order of matcher.columns. Several goroutines may ask at once.
type predicate func(cols []any, i int) bool

// matcher is a compiled Filter for one schema.
type matcher struct {
	columns []string
	preds   []predicate
}

// The first columns of every matcher: what a Key is made of.
const (
	colRow = iota
	colPos
)

// compile resolves the filter's names and values in a schema.
func (f Filter) compile(s shard.Schema) (*matcher, error) {
	m := &matcher{columns: []string{"row", "pos"}}
	if err := m.addRule(f.Tokens); err != nil {
		return nil, err
	}
	for _, w := range f.Where {
		if err := m.addWhere(s, w); err != nil {
			return nil, err
		}
	}
	if f.Side != Both && f.Holdout.Fraction > 0 {
		return m, m.addHoldout(s, f.Holdout, f.Side)
	}
	return m, nil
}

// column gives the index of a column among those the matcher reads.
func (m *matcher) column(name string) int {
	for i, c := range m.columns {
		if c == name {
			return i
		}
	}
	m.columns = append(m.columns, name)
	return len(m.columns) - 1
}

func (m *matcher) keep(cols []any, i int) bool {
	for _, p := range m.preds {
		if !p(cols, i) {
			return false
		}
	}
	return true
}

func (m *matcher) addRule(text string) error {
	if text == "" || text == "all" {
		return nil
	}
	rule, err := tap.ParseRule(text)
	if err != nil {
		return err
	}
	if rule.FromData() {
		return fmt.Errorf("token rule %q is one of collect, which has the prompts: a shard's rows are chosen by last, all, every:N or pos:N", text)
	}
	n := m.column("n_tokens")
	var kept sync.Map // positions by length, filled as lengths come
	m.preds = append(m.preds, func(cols []any, i int) bool {
		length := cols[n].([]int32)[i]
		set, ok := kept.Load(length)
		if !ok {
			set, _ = kept.LoadOrStore(length, positions(rule, length))
		}
		return set.(map[int32]bool)[cols[colPos].([]int32)[i]]
	})
	return nil
}

func positions(rule tap.Rule, length int32) map[int32]bool {
	set := map[int32]bool{}
	for _, p := range rule.Positions(int(length)) {
		set[int32(p)] = true
	}
	return set
}

func (m *matcher) addWhere(s shard.Schema, text string) error {
	e, err := where.Parse(text)
	if err != nil {
		return err
	}
	t, err := e.Compile(s, m.column)
	if err != nil {
		return fmt.Errorf("condition %q: %w", text, err)
	}
	m.preds = append(m.preds, predicate(t))
	return nil
}

func (m *matcher) addHoldout(s shard.Schema, h Holdout, side Side) error {
	by := h.By
	if by == "" {
		by = "row"
	}
	if _, ok := s.ScalarIndex(by); !ok {
		return fmt.Errorf("holdout by %q: no such column; there are %s", by, scalarNames(s))
	}
	c := m.column(by)
	m.preds = append(m.preds, func(cols []any, i int) bool {
		return h.HeldAt(cols[c], i) == (side == Heldout)
	})
	return nil
}

// HeldAt tells whether the value at i of a column's values is set aside.
func (h Holdout) HeldAt(col any, i int) bool {
	u := mix(h.Seed ^ mix(hashValue(col, i)))
	return float64(u>>11)/(1<<53) < h.Fraction
}

// Held tells whether a value of a text column is set aside.
func (h Holdout) Held(value string) bool { return h.HeldAt([]string{value}, 0) }

func hashValue(col any, i int) uint64 {
	switch c := col.(type) {
	case []int64:
		return uint64(c[i])
	case []int32:
		return uint64(int64(c[i]))
	case []string:
		return xxhash.Sum64String(c[i])
	case []bool:
		if c[i] {
			return 1
		}
		return 0
	case []float64:
		return xxhash.Sum64String(strconv.FormatFloat(c[i], 'g', -1, 64))
	case []float32:
		return xxhash.Sum64String(strconv.FormatFloat(float64(c[i]), 'g', -1, 64))
	}
	return 0
}

func scalarNames(s shard.Schema) string {
	names := make([]string, len(s.Scalars))
	for i, c := range s.Scalars {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// Select lists the rows of row group g that a filter keeps, in file order, for
// callers that read shards on their own. It looks at scalar columns only.
func Select(r *shard.Reader, g int, f Filter) ([]int, error) {
	m, err := f.compile(r.Schema())
	if err != nil {
		return nil, err
	}
	cols, err := r.Scalars(g, m.columns...)
	if err != nil {
		return nil, err
	}
	var rows []int
	for i := range r.GroupRows(g) {
		if m.keep(cols, i) {
			rows = append(rows, i)
		}
	}
	return rows, nil
}
