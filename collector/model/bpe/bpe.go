package bpe

import (
	"strings"
	"sync"
	"sync/atomic"
)

// BPE is a loaded tokenizer.json. A nil one has no tokens: it encodes every text as nothing.
type BPE struct {
	vocab  map[string]int32 // the model's tokens as the file spells them
	added  map[string]int32 // added tokens by content
	pieces []string         // the bytes each id stands for; "" for an id without a token

	verbatim   *finder // added tokens searched for in the text as it is
	normalized *finder // added tokens searched for after normalising
	normalise  normaliser
	traces     []trace // the steps of normalise
	prepare    preparer
	split      splitter
	scanner    splitter // of the last stage that has one, while the file is read
	stages     []stage  // in place of split, where one word is cut further
	characters bool     // symbols are characters with byte fallback, not bytes
	stripOne   bool     // decoding drops one leading space
	trims      []trim   // how the post-processor shortens spans
	special    map[int32]bool
	model      model
	before     []int32 // special ids in front of a prompt
	after      []int32 // special ids behind it
	notes      []string

	fault atomic.Pointer[error] // what Err says
	pool  sync.Pool             // of *encoder
}

// A preparer rewrites text without added tokens before it is split; atStart says
// that no text and no token came before it. Spans of the text come along where they are wanted, else nil.
type preparer func(text string, from []byteSpan, atStart bool) (string, []byteSpan)

// model merges the bytes or characters of a word.
type model struct {
	byteID  [256]int32 // none for a byte outside of the vocabulary
	chars   *charTable // nil for a byte-level model
	unk     int32      // id for what is outside of the vocabulary; none drops it
	fuseUnk bool       // one unk for several of these in a row
	whole   map[string]int32
	pairs   *pairTable
}

// Encode gives the ids of a text. special adds the ids that the file's
// post-processor puts around a prompt (a beginning-of-sequence token, say); added
// tokens inside the text are recognised either way. After a text on which the file's own
// pattern came to no end, every text has no ids; see Err.
func (t *BPE) Encode(text string, special bool) []int32 {
	if t == nil || t.fault.Load() != nil {
		return nil
	}
	e := t.encoder()
	defer t.pool.Put(e)
	e.out = e.out[:0]
	if special {
		e.out = append(e.out, t.before...)
	}
	e.text(text)
	if special {
		e.out = append(e.out, t.after...)
	}
	return append([]int32(nil), e.out...)
}

// encoder is one that nobody uses; the caller puts it back into the pool.
func (t *BPE) encoder() *encoder {
	e, _ := t.pool.Get().(*encoder)
	if e == nil {
		e = &encoder{BPE: t, words: newWordCache()}
	}
	return e
}

// Err is ErrPattern once some Encode was given up; whoever has encoded texts asks for it before believing the ids.
func (t *BPE) Err() error {
	if t == nil || t.fault.Load() == nil {
		return nil
	}
	return *t.fault.Load()
}

// fail makes Err say so, if it does not say anything yet.
func (t *BPE) fail(err error) { t.fault.CompareAndSwap(nil, &err) }

// Decode joins the bytes of the tokens. Ids without a token are left out. The
// result is no valid UTF-8 where the ids cut a character. A space that the tokenizer
// puts in front of a text (Llama 2's) is taken off again, as the file's decoder says.
func (t *BPE) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(t.piece(id))
	}
	if t != nil && t.stripOne {
		return strings.TrimPrefix(b.String(), " ")
	}
	return b.String()
}

// Token is a token as readable text: its bytes, with U+FFFD where they are only a
// part of a character. An id without a token gives "".
func (t *BPE) Token(id int32) string { return strings.ToValidUTF8(t.piece(id), "\uFFFD") }

func (t *BPE) piece(id int32) string {
	if t == nil || id < 0 || int(id) >= len(t.pieces) {
		return ""
	}
	return t.pieces[id]
}

// Notes says, a line each, where the files beside a tokenizer.json made it another tokenizer than it is alone.
func (t *BPE) Notes() []string {
	if t == nil {
		return nil
	}
	return t.notes
}

// BeginsTwice says whether a prompt that Encode made with special ids begins with the same one once more: the text
// held it already.
func (t *BPE) BeginsTwice(ids []int32) bool {
	if t == nil {
		return false
	}
	n := len(t.before)
	return n > 0 && len(ids) > n && ids[n] == t.before[n-1]
}

// Size is one more than the greatest id.
func (t *BPE) Size() int {
	if t == nil {
		return 0
	}
	return len(t.pieces)
}

// ID is the id of a token: an added token by its content, any other as the file
// spells it ("Ġthe").
func (t *BPE) ID(token string) (id int32, ok bool) {
	if t == nil {
		return 0, false
	}
	if id, ok = t.added[token]; ok {
		return id, true
	}
	id, ok = t.vocab[token]
	return id, ok
}

// encoder is the memory of one Encode, used again by later ones.
type encoder struct {
	*BPE
	out     []int32
	atStart bool // no text and no added token was encoded yet
	merger  merger
	words   *wordCache
	places  *places // nil: where tokens stand is not wanted
}

// emit appends the id of an added token.
func (e *encoder) emit(id int32) {
	e.out = append(e.out, id)
	e.atStart = false
}

// text encodes a whole text: added tokens as they are, the rest normalised.
func (e *encoder) text(text string) {
	e.atStart = true
	if e.verbatim.empty() {
		e.segment(text, 0)
		return
	}
	e.verbatim.split(text, func(from, to int) { e.segment(text[from:to], from) }, func(id int32, from, to int) {
		e.emit(id)
		e.places.added(text[from:to], byteSpan{int32(from), int32(to)})
	})
}

// segment encodes text between added tokens that are searched for verbatim; it begins at byte at of the whole.
func (e *encoder) segment(text string, at int) {
	var from []byteSpan
	switch {
	case e.places != nil:
		text, from = e.trace(text, spansOf(text, at))
	case e.normalise != nil:
		text = e.normalise(text)
	}
	if e.normalized.empty() {
		e.plain(text, from)
		return
	}
	e.normalized.split(text, func(lo, hi int) { e.plain(text[lo:hi], sub(from, lo, hi)) }, func(id int32, lo, hi int) {
		e.emit(id)
		e.places.added(text[lo:hi], cover(sub(from, lo, hi)))
	})
}

// plain encodes text without added tokens.
func (e *encoder) plain(text string, from []byteSpan) {
	if text == "" {
		return
	}
	if e.prepare != nil {
		text, from = e.prepare(text, from, e.atStart)
	}
	e.places.enter(from)
	e.atStart = false
	if e.stages != nil {
		e.cut(text, e.stages)
		return
	}
	for text != "" {
		n := e.split(text)
		e.word(text[:n])
		text = text[n:]
	}
}

// cut takes a text through the stages, one piece after the other.
func (e *encoder) cut(text string, stages []stage) {
	if len(stages) == 0 {
		e.word(text)
		return
	}
	stages[0](text, func(word string) { e.cut(word, stages[1:]) })
}

// word encodes one word.
func (e *encoder) word(word string) {
	if e.places != nil {
		e.locate(word)
		return
	}
	if ids, ok := e.words.get(word); ok {
		e.out = append(e.out, ids...)
		return
	}
	from := len(e.out)
	e.out = e.model.encode(e.out, word, &e.merger)
	e.words.put(word, e.out[from:])
}

// encode appends the ids of a word to dst.
func (m *model) encode(dst []int32, word string, by *merger) []int32 {
	if id, ok := m.whole[word]; ok {
		return append(dst, id)
	}
	if m.chars != nil {
		m.addChars(word, by)
		return by.run(dst, m.pairs)
	}
	unk := false // whether the byte before was outside of the vocabulary
	for i := range len(word) {
		id := m.byteID[word[i]]
		switch {
		case id != none:
			by.add(id, 1)
		case m.unk != none && !(unk && m.fuseUnk):
			by.add(m.unk, 1)
		default:
			by.more(1, m.unk != none)
		}
		unk = id == none
	}
	return by.run(dst, m.pairs)
}

// The cache of words is bounded in entries and in the length of a word, so in
// memory: about 4 MB when full. A full cache is emptied; text soon fills it again
// with the words it uses.
const (
	cacheWords   = 1 << 15
	cacheWordLen = 32 // bytes
)

// wordCache remembers the ids of words.
type wordCache struct {
	at  map[string]span
	ids []int32
}

type span struct{ from, to int32 }

func newWordCache() *wordCache { return &wordCache{at: map[string]span{}} }

func (c *wordCache) get(word string) ([]int32, bool) {
	if len(word) > cacheWordLen {
		return nil, false
	}
	s, ok := c.at[word]
	return c.ids[s.from:s.to], ok
}

func (c *wordCache) put(word string, ids []int32) {
	if len(word) > cacheWordLen {
		return
	}
	if len(c.at) >= cacheWords {
		clear(c.at)
		c.ids = c.ids[:0]
	}
	from := int32(len(c.ids))
	c.ids = append(c.ids, ids...)
	c.at[strings.Clone(word)] = span{from, int32(len(c.ids))}
}
