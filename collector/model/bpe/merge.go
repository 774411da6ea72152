package bpe

// pair names two neighbouring symbols.
type pair struct{ a, b int32 }

// merge is what becomes of a pair, and how early: lower ranks first.
type merge struct{ rank, id int32 }

// symbol is one part of a word, in a linked list over its word's array; to is the byte of the word behind it.
type symbol struct{ id, prev, next, to int32 }

const (
	none = -1 // no neighbour, no id
	dead = -2 // next of a symbol that was merged into the one before it
)

// candidate is a merge that may be done at a position.
type candidate struct{ rank, pos, id int32 }

func (c candidate) before(o candidate) bool {
	return c.rank < o.rank || c.rank == o.rank && c.pos < o.pos
}

// merger merges the symbols of one word at a time; its memory is used again.
type merger struct {
	symbols []symbol
	heap    []candidate
	at      int32   // bytes of the word that were taken so far
	locate  bool    // whether ends is wanted
	ends    []int32 // of the last word's tokens, the byte behind each
}

// add appends a symbol of size bytes to the word.
func (m *merger) add(id int32, size int) {
	n := int32(len(m.symbols))
	if n > 0 {
		m.symbols[n-1].next = n
	}
	m.at += int32(size)
	m.symbols = append(m.symbols, symbol{id: id, prev: n - 1, next: none, to: m.at})
}

// more takes size bytes that have no symbol of their own; with join they belong to the symbol before them.
func (m *merger) more(size int, join bool) {
	m.at += int32(size)
	if n := len(m.symbols); join && n > 0 {
		m.symbols[n-1].to = m.at
	}
}

// run merges until no pair is left and appends the ids to dst. At each step the
// lowest rank goes first, the leftmost of equals. Like the reference, it takes a
// queued merge as long as the pair at its place still makes the same token.
func (m *merger) run(dst []int32, table *pairTable) []int32 {
	m.heap = m.heap[:0]
	for i := range m.symbols {
		m.offer(int32(i), table)
	}
	for len(m.heap) > 0 {
		m.apply(m.pop(), table)
	}
	for i := int32(0); i >= 0 && int(i) < len(m.symbols); i = m.symbols[i].next {
		dst = append(dst, m.symbols[i].id)
		if m.locate {
			m.ends = append(m.ends, m.symbols[i].to)
		}
	}
	m.symbols, m.at = m.symbols[:0], 0
	return dst
}

// offer queues the merge of the symbol at pos with the next one, if there is one.
func (m *merger) offer(pos int32, table *pairTable) {
	next := m.symbols[pos].next
	if next < 0 {
		return
	}
	if got, ok := table.get(m.symbols[pos].id, m.symbols[next].id); ok {
		m.push(candidate{got.rank, pos, got.id})
	}
}

func (m *merger) apply(c candidate, table *pairTable) {
	left := &m.symbols[c.pos]
	if left.next < 0 {
		return
	}
	right := &m.symbols[left.next]
	if got, ok := table.get(left.id, right.id); !ok || got.id != c.id {
		return
	}
	left.id, left.next, left.to, right.next = c.id, right.next, right.to, dead
	if left.next >= 0 {
		m.symbols[left.next].prev = c.pos
	}
	if left.prev >= 0 {
		m.offer(left.prev, table)
	}
	m.offer(c.pos, table)
}

func (m *merger) push(c candidate) {
	m.heap = append(m.heap, c)
	h := m.heap
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (m *merger) pop() candidate {
	h := m.heap
	top := h[0]
	last := len(h) - 1
	h[0] = h[last]
	m.heap = h[:last]
	m.sink()
	return top
}

func (m *merger) sink() {
	h, i := m.heap, 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			return
		}
		if down+1 < len(h) && h[down+1].before(h[down]) {
			down++
		}
		if !h[down].before(h[i]) {
			return
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
}

// pairTable maps pairs to merges by open addressing: half the time of a Go map,
// and this is the inner loop.
type pairTable struct {
	slots []slot
	mask  uint64
}

type slot struct {
	key   uint64 // a and b; free when the merge's id is none
	merge merge
}

func newPairTable(merges map[pair]merge) *pairTable {
	size := 16
	for size < 2*len(merges) {
		size *= 2
	}
	t := &pairTable{slots: make([]slot, size), mask: uint64(size - 1)}
	for i := range t.slots {
		t.slots[i].merge.id = none
	}
	for p, m := range merges {
		i := t.first(key(p.a, p.b))
		for t.slots[i].merge.id != none {
			i = (i + 1) & t.mask
		}
		t.slots[i] = slot{key(p.a, p.b), m}
	}
	return t
}

func key(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// first is the slot where the search for a key begins (Fibonacci hashing).
func (t *pairTable) first(key uint64) uint64 {
	return (key * 0x9e3779b97f4a7c15 >> 32) & t.mask
}

func (t *pairTable) get(a, b int32) (merge, bool) {
	k := key(a, b)
	for i := t.first(k); ; i = (i + 1) & t.mask {
		s := &t.slots[i]
		if s.merge.id == none {
			return merge{}, false
		}
		if s.key == k {
			return s.merge, true
		}
	}
}
