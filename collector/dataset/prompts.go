package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Encoder turns a text into token ids and back; special adds the ids a model expects around a prompt. EncodeOffsets
// also gives the code points of the text that each token stands for, 0 and 0 for those that special adds. IsSpecial
// tells tokens that mark something from those that are text. All may be called by several goroutines at once.
type Encoder interface {
	Encode(text string, special bool) []int32
	EncodeOffsets(text string, special bool) (ids, starts, ends []int32)
	IsSpecial(id int32) bool
	Decode(ids []int32) string
}

// Limits bound the prompts by what the model takes.
type Limits struct {
	MaxTokens int // the longest prompt, in tokens; 0 for any
	Vocab     int // ids are below this; 0 for any
	// Separator is the id that ends a document where documents are packed; nil: none.
	Separator []int32
}

// Counts says what became of the documents.
type Counts struct {
	Documents int64 // read
	Prompts   int64 // written
	Tokens    int64 // in them
	Empty     int64 // documents left out because they have no tokens
	Long      int64 // with more tokens than the limit, whatever became of them
	Longest   int64 // tokens of the longest document
	Windows   int64 // packed windows
	DoubleBOS int64 // prompts that begin with the model's first token twice
	NoRows    int64 // prompts of which the token rule keeps no position
	// FirstEmpty, FirstLong and FirstNoRows name the first such document.
	FirstEmpty, FirstLong, FirstNoRows string
}

// Tokenize reads the source once more and writes the input file: the prompts as token ids with their columns, in the
// order of the source. It works on all cores and holds a few rows for each in memory; its bytes are a function of
// the source and the options alone.
func (s *Source) Tokenize(w io.Writer, enc Encoder, limits Limits) (Counts, error) {
	t, err := s.tokenizer(enc, limits)
	if err != nil {
		return Counts{}, err
	}
	columns := make([]Column, 0, len(s.choice.carried)+4)
	for _, k := range s.choice.carried {
		columns = append(columns, Column{Name: k.name, Type: k.typ})
	}
	for _, name := range s.opt.own() {
		columns = append(columns, Column{Name: name, Type: Int64})
	}
	out, err := newInputWriter(w, Head{Digest: s.digest, Columns: columns, Kept: s.opt.Tokens.FromData(), Offsets: s.opt.Offsets})
	if err != nil {
		return Counts{}, err
	}
	p := &packer{source: s, out: out, limit: t.limit}
	for i := range s.files {
		if err := s.tokenizeFile(i, t, p); err != nil {
			return p.counts, err
		}
	}
	if err := p.check(); err != nil {
		return p.counts, err
	}
	return p.counts, out.close()
}

// tokenizeFile takes one file's rows through the tokenizer.
func (s *Source) tokenizeFile(i int, t *tokenizer, p *packer) error {
	f := s.files[i]
	if st, err := os.Stat(f.path); err != nil || st.Size() != f.size || !st.ModTime().Equal(f.modified) {
		return errors.Join(fmt.Errorf("%s: %w", f.path, errChanged), err)
	}
	o, err := openFile(f.path, io.Discard)
	if err != nil {
		return err
	}
	defer o.close()
	err = inOrder(o.upTo(f.rows), func(c chunk) ([]document, error) {
		rows, err := c.parse()
		if err != nil {
			return nil, err
		}
		docs := make([]document, len(rows))
		for k, r := range rows {
			if docs[k], err = t.document(r); err != nil {
				return nil, &rowError{r.at, err}
			}
		}
		return docs, nil
	}, func(docs []document) error {
		for _, d := range docs {
			if err := p.add(place{i, d.at}, d); err != nil {
				return err
			}
		}
		return nil
	})
	var at *rowError
	if errors.As(err, &at) {
		return o.fail(err)
	}
	return err
}

// document is one row of a source as prompts.
type document struct {
	at     int
	tokens int     // of the whole document, special ids among them
	pieces []piece // none where it is empty, or too long and not cut
	values []any   // of the carried columns
	double bool    // it begins with the model's first token twice
	roles  []string
}

// piece is one prompt of a document.
type piece struct {
	tokens
	pos int // of its first own token in the document
}

// tokenizer turns rows into documents.
type tokenizer struct {
	*Source
	enc           Encoder
	limits        Limits
	limit         int     // tokens of a prompt at the most; 0: any
	before, after []int32 // what the encoder puts around a text
}

func (s *Source) tokenizer(enc Encoder, limits Limits) (*tokenizer, error) {
	t := &tokenizer{Source: s, enc: enc, limits: limits, limit: limits.MaxTokens}
	if err := s.opt.Fit(limits); err != nil {
		return nil, err
	}
	if c := s.opt.Context; c > 0 {
		t.limit = c
	}
	if s.choice.text != "" && s.choice.chat == "" {
		t.before, t.after = around(enc)
	}
	if s.opt.Long == LongWindow && t.limit > 0 && t.limit-len(t.before)-len(t.after) <= s.opt.Overlap {
		return nil, fmt.Errorf("%w: --overlap %d: a window of %d tokens has no room for more than it", ErrOption, s.opt.Overlap, t.limit)
	}
	return t, nil
}

// Fit says whether a window is no longer than a prompt may be; ErrOption if it is. It can be asked before a large source
// is read.
func (o Options) Fit(limits Limits) error {
	if limits.MaxTokens > 0 && o.Context > limits.MaxTokens {
		return fmt.Errorf("%w: --context %d: the limit is %d tokens", ErrOption, o.Context, limits.MaxTokens)
	}
	return nil
}

// around finds the special ids that the encoder puts in front of a text and behind it.
func around(enc Encoder) (before, after []int32) {
	const word = "a"
	with, plain := enc.Encode(word, true), enc.Encode(word, false)
	for k := 0; k+len(plain) <= len(with); k++ {
		if equalIDs(with[k:k+len(plain)], plain) {
			return with[:k], with[k+len(plain):]
		}
	}
	return nil, nil
}

func equalIDs(a, b []int32) bool {
	for i := range b {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// document makes prompts of one row.
func (t *tokenizer) document(r row) (document, error) {
	d := document{at: r.at}
	all, err := t.encode(r)
	if err != nil {
		return d, err
	}
	if err := t.checkVocab(all.ids); err != nil {
		return d, err
	}
	if t.opt.Tokens.NotSpecial() {
		all.keep = t.notSpecial(all.ids)
	}
	d.tokens, d.roles = len(all.ids), all.roles
	if n := len(t.before); all.special && n > 0 && len(all.ids) >= 2*n {
		d.double = equalIDs(all.ids[n:], t.before)
	}
	for _, k := range t.choice.carried {
		v, err := k.value(r.cell(k.from))
		if err != nil {
			return d, err
		}
		d.values = append(d.values, v)
	}
	d.pieces = t.cut(all)
	return d, nil
}

// encode gives a row's tokens. A row without anything has none.
func (t *tokenizer) encode(r row) (d tokens, err error) {
	if t.choice.ids != "" {
		if d, err = t.given(r); err != nil {
			return d, err
		}
	}
	if t.choice.chat != "" {
		return t.conversation(r.cell(t.choice.chat))
	}
	if t.choice.text == "" {
		return d, nil
	}
	c := r.cell(t.choice.text)
	if c.kind != missing && c.kind != text && c.kind != field {
		return d, fmt.Errorf("%w: column %q holds %s, want text", ErrFormat, t.choice.text, c.kind)
	}
	spans, err := t.spansOf(r, c.text)
	switch {
	case err != nil:
		return d, err
	case d.ids != nil && t.opt.Template != "" && t.opt.Template != "none":
		return d, fmt.Errorf("%w: %s are used as they are; no template goes around them", ErrPrompt, idsColumn)
	case d.ids != nil || c.text == "":
		d.text = c.text
		return d, nil
	case t.opt.Tokens.Mask() != "":
		return d, fmt.Errorf("%w: no %s for --tokens %s, which says something of each", ErrPrompt, idsColumn, t.opt.Tokens)
	case t.opt.Template == ChatTemplate:
		return t.asTurn(c.text, spans)
	}
	words := strings.Replace(t.template, slot, c.text, 1)
	front := int32(utf8.RuneCountInString(t.template[:strings.Index(t.template, slot)]))
	for i := range spans {
		spans[i] = Extent{spans[i].Start + front, spans[i].End + front}
	}
	return t.encodeText(words, true, spans), nil
}

// given is the tokens of a row that has ids.
func (t *tokenizer) given(r row) (d tokens, err error) {
	list, from, err := idsOf(r.cell(t.choice.ids), t.choice.mask, r)
	if err != nil || list == nil {
		return d, err
	}
	d.ids = make([]int32, from.to-from.from)
	for i := range d.ids {
		d.ids[i] = int32(list[from.from+i])
	}
	if t.opt.Tokens.Mask() != "" {
		if d.keep, err = t.maskOf(r, list); err == nil {
			d.keep = d.keep[from.from:from.to]
		}
	}
	return d, err
}

// asTurn is a text as one user's turn of a conversation; spans are those of the text that are kept.
func (t *tokenizer) asTurn(text string, spans []Extent) (tokens, error) {
	chat := []Message{{Role: "user", Content: text}}
	if t.opt.Tokens.Span() == "" {
		return t.rendered(chat)
	}
	words, said, err := t.opt.Said(chat, "user")
	return t.encodeText(words, false, shifted(spans, said)), err
}

func (t *tokenizer) conversation(c cell) (tokens, error) {
	if c.kind == missing {
		return tokens{}, nil
	}
	chat, err := t.opt.conversation(c)
	if err != nil {
		return tokens{}, inColumn(t.choice.chat, err)
	}
	if len(chat) == 0 {
		return tokens{}, nil
	}
	return t.rendered(chat)
}

// rendered is the tokens of a conversation.
func (t *tokenizer) rendered(chat []Message) (tokens, error) {
	role := t.opt.Tokens.Role()
	if role == "" {
		words, err := t.opt.Chat(chat)
		return t.encodeText(words, false, nil), err
	}
	words, said, err := t.opt.Said(chat, role)
	extents := make([]Extent, len(said))
	for i, s := range said {
		extents[i] = s.Extent
	}
	d := t.encodeText(words, false, extents)
	for _, m := range chat {
		d.roles = append(d.roles, m.Role)
	}
	return d, err
}

func (t *tokenizer) checkVocab(ids []int32) error {
	for _, id := range ids {
		if id < 0 || t.limits.Vocab > 0 && int(id) >= t.limits.Vocab {
			return fmt.Errorf("%w: token id %d is not in the vocabulary of %d", ErrPrompt, id, t.limits.Vocab)
		}
	}
	return nil
}
