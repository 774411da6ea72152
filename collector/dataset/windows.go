package dataset

import (
	"fmt"
	"slices"
	"strings"
)

// cut makes a document's prompts: itself, or what its length lets it become. Where the encoder's own ids are around
// it, every window has them again, as the model expects.
func (t *tokenizer) cut(d tokens) []piece {
	var before, after []int32
	if d.special {
		before, after = t.before, t.after
	}
	body := d.slice(len(before), len(d.ids)-len(after))
	room := t.limit - len(before) - len(after)
	if t.limit == 0 {
		room = len(d.ids) + len(t.limits.Separator)
	}
	if n, sep := len(body.ids), t.limits.Separator; t.opt.Pack && d.special && len(after) == 0 && !endsWith(body.ids, sep) && (n > room || n+len(sep) <= room) {
		body = body.around(nil, sep)
	}
	n := len(body.ids)
	switch {
	case len(d.ids) == 0:
		return nil
	case n <= room:
		return []piece{{tokens: body.around(before, after)}}
	case t.opt.Long == LongCut:
		return []piece{t.piece(before, body.slice(0, room), after, 0)}
	case t.opt.Long == LongWindow:
		var out []piece
		for at := 0; ; at += room - t.opt.Overlap {
			end := min(at+room, n)
			out = append(out, t.piece(before, body.slice(at, end), after, at))
			if end == n {
				return out
			}
		}
	}
	return nil
}

// piece is a part of a document; its text is what its tokens spell.
func (t *tokenizer) piece(before []int32, body tokens, after []int32, pos int) piece {
	body.text = strings.ToValidUTF8(t.enc.Decode(body.ids), "\uFFFD")
	return piece{tokens: body.around(before, after), pos: pos}
}

func endsWith(ids, end []int32) bool {
	return len(ids) >= len(end) && equalIDs(ids[len(ids)-len(end):], end)
}

// packer writes the prompts of documents as they come and counts. Where documents are packed, each prompt goes into
// the window that is being filled, or begins another if there is no room for all of it. Prompts of one window are
// prompts of their own all the same: positions begin at 0 in each, and none sees another.
type packer struct {
	source *Source
	out    *inputWriter
	limit  int
	window int64 // being filled
	used   int   // tokens in it; 0: there is none
	counts Counts

	roles     []string // of messages, the first few that differ
	firstLong int      // tokens of the first document that is too long
}

func (p *packer) add(at place, d document) error {
	doc := p.counts.Documents
	p.counts.Documents++
	p.counts.Longest = max(p.counts.Longest, int64(d.tokens))
	if d.tokens == 0 {
		if p.source.opt.Empty == EmptyRefuse {
			return fmt.Errorf("%s: %w: the prompt is empty; --empty skip leaves such rows out", p.source.where(at), ErrPrompt)
		}
		p.counts.Empty++
		p.counts.FirstEmpty = first(p.counts.FirstEmpty, p.source, at)
		return nil
	}
	if len(d.pieces) != 1 || p.limit > 0 && d.tokens > p.limit {
		p.counts.Long++
		if p.counts.FirstLong == "" {
			p.counts.FirstLong = p.source.where(at)
			p.firstLong = d.tokens
		}
	}
	if d.double {
		p.counts.DoubleBOS++
	}
	for _, role := range d.roles {
		if len(p.roles) < someRoles && !slices.Contains(p.roles, role) {
			p.roles = append(p.roles, role)
		}
	}
	for _, piece := range d.pieces {
		if err := p.write(at, doc, piece, d.values); err != nil {
			return err
		}
	}
	return nil
}

// someRoles is how many roles a message names at the most.
const someRoles = 8

func first(have string, s *Source, at place) string {
	if have != "" {
		return have
	}
	return s.where(at)
}

// write writes one prompt with its columns.
func (p *packer) write(from place, doc int64, piece piece, carried []any) error {
	values := append([]any(nil), carried...)
	own := p.source.opt.own()
	if len(own) > 0 {
		values = append(values, doc, int64(piece.pos))
	}
	if p.source.opt.Pack {
		window, at := p.place(len(piece.ids))
		values = append(values, window, int64(at))
	}
	p.counts.Prompts++
	p.counts.Tokens += int64(len(piece.ids))
	kept := piece.kept()
	if rule := p.source.opt.Tokens; len(kept) == 0 && (rule.FromData() || len(rule.Positions(len(piece.ids))) == 0) {
		p.counts.NoRows++
		p.counts.FirstNoRows = first(p.counts.FirstNoRows, p.source, from)
	}
	return p.out.write(prompt{piece.ids, piece.text, kept, piece.starts, piece.ends, values})
}

// place finds room for n tokens in the window that is being filled, or in a new one. A prompt as long as a window has
// one of its own, beside the one that is being filled.
func (p *packer) place(n int) (window int64, at int) {
	whole := p.limit > 0 && n == p.limit
	if whole || p.used == 0 || p.limit > 0 && p.used+n > p.limit {
		window = p.counts.Windows
		p.counts.Windows++
		if whole {
			return window, 0
		}
		p.window, p.used = window, 0
	}
	at = p.used
	p.used += n
	return p.window, at
}

// check refuses, after all documents have been seen, what the options do not allow.
func (p *packer) check() error {
	c := p.counts
	switch {
	case c.Long > 0 && p.source.opt.Long == LongRefuse:
		return fmt.Errorf("%s: %w: the prompt has %d tokens, and the limit is %d; of %d documents %d are longer, "+
			"the longest has %d tokens: choose --long skip, cut or window, or --context N",
			c.FirstLong, ErrPrompt, p.firstLong, p.limit, c.Documents, c.Long, c.Longest)
	case c.Prompts == 0:
		return fmt.Errorf("%w: none of %d documents gives a prompt (%d are empty, %d too long)", ErrEmpty, c.Documents, c.Empty, c.Long)
	case len(p.roles) > 0 && c.NoRows == c.Prompts:
		var roles []string
		for _, r := range p.roles {
			roles = append(roles, brief(r))
		}
		return fmt.Errorf("%w: --tokens %s keeps no position of any prompt; the roles of the messages are %s",
			ErrPrompt, p.source.opt.Tokens, strings.Join(roles, ", "))
	}
	return nil
}
