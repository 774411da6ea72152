package dataset

import (
	"fmt"
	"slices"
	"strings"
)

// textNames are the names that a column of prompts often has, the likeliest first.
var textNames = []string{
	"content", "prompt", "question", "statement", "sentence", "instruction", "query", "input",
	"document", "passage", "article", "body", "code", "review", "story", "completion",
}

// chatNames are the names of columns of conversations.
var chatNames = []string{"messages", "conversations", "conversation"}

// choice is what becomes of a source's columns.
type choice struct {
	text, ids, mask, chat string // the columns that the prompts are made from; "" for none
	keep                  string // the column that says which tokens become rows; "" for none
	carried               []carried
	notes                 []string
	dropped               []string // names and what they are
}

// carried is a column that goes along.
type carried struct {
	from, name string // in the source, in the shard
	typ        Type
	labels     map[string]int64 // what each spelling becomes; nil: the value itself
}

// choose decides what becomes of the columns that were found.
func choose(p *profiles, opt Options, own []string, where func(place) string) (*choice, error) {
	c := &choice{keep: opt.keepColumn()}
	if err := c.checkOptions(p, opt); err != nil {
		return nil, err
	}
	if err := c.prompts(p, opt); err != nil {
		return nil, err
	}
	for _, col := range p.list {
		if err := c.carry(p, col, opt, where); err != nil {
			return nil, err
		}
	}
	if len(c.dropped) > 0 {
		c.notes = append(c.notes, "left out: "+strings.Join(c.dropped, ", ")+"; a shard holds single values only")
	}
	return c, c.rename(opt, own)
}

// checkOptions makes sure that the columns that options name are there.
func (c *choice) checkOptions(p *profiles, opt Options) error {
	if len(opt.Keep) > 0 && len(opt.Drop) > 0 {
		return fmt.Errorf("%w: --keep and --drop together; one of them says it all", ErrOption)
	}
	flags := map[string][]string{"--keep": opt.Keep, "--drop": opt.Drop}
	if opt.Text != "" {
		flags["--text"] = []string{opt.Text}
	}
	if opt.Label != "" {
		flags["--label"] = []string{opt.Label}
	}
	if opt.keepColumn() != "" {
		flags["--tokens"] = []string{opt.keepColumn()}
	}
	for _, flag := range []string{"--text", "--label", "--keep", "--drop", "--tokens"} {
		for _, name := range flags[flag] {
			if p.byName[name] == nil {
				if flag == "--tokens" {
					name = opt.Tokens.String()
				}
				return fmt.Errorf("%w: %s %s: no such column (there are %s)", ErrOption, flag, name, namesOf(p.list))
			}
		}
	}
	if opt.Labels != nil && opt.Label == "" && p.byName["label"] == nil {
		return fmt.Errorf("%w: --label-map needs --label COLUMN: there is no column label (there are %s)", ErrOption, namesOf(p.list))
	}
	return nil
}

// prompts finds the columns that prompts are made from.
func (c *choice) prompts(p *profiles, opt Options) error {
	isText := func(name string) bool {
		col := p.byName[name]
		return col != nil && col.strings > 0 && !col.has(nested)
	}
	isChat := func(name string) bool {
		col := p.byName[name]
		return col != nil && (col.chat || col.has(nested) && slices.Contains(chatNames, name))
	}
	switch {
	case opt.Text != "" && isChat(opt.Text):
		c.chat = opt.Text
		return nil
	case opt.Text != "":
		c.text = opt.Text
		return nil
	}
	if p.byName[textColumn] != nil {
		c.text = textColumn
	}
	if p.byName[idsColumn] != nil {
		c.ids = idsColumn
		if p.byName[maskColumn] != nil {
			c.mask = maskColumn
		}
	}
	if c.text != "" || c.ids != "" {
		return nil
	}
	for _, name := range chatNames {
		if col := p.byName[name]; col != nil && col.chat {
			c.chat = name
			c.notes = append(c.notes, fmt.Sprintf("the prompts are the conversations in column %s", name))
			return nil
		}
	}
	return c.guessText(p, isText)
}

// guessText takes the one column that can be meant, or asks.
func (c *choice) guessText(p *profiles, isText func(string) bool) error {
	var likely, any []string
	for _, name := range textNames {
		likely = append(likely, filter(p, name, isText)...)
	}
	for _, col := range p.list {
		if isText(col.name) {
			any = append(any, col.name)
		}
	}
	switch {
	case len(likely) == 1:
		c.text = likely[0]
	case len(likely) == 0 && len(any) == 1:
		c.text = any[0]
	case len(any) == 0 && c.guessChat(p):
		return nil
	case len(any) == 0:
		return fmt.Errorf("%w: no column of text and no %s (there are %s)", ErrFormat, idsColumn, namesOf(p.list))
	default:
		likely = append(likely, any...)
		return fmt.Errorf("%w: neither %s nor %s: say with --text COLUMN which column holds the prompts, such as --text %s (there are %s)",
			ErrFormat, textColumn, idsColumn, likely[0], namesOf(p.list))
	}
	c.notes = append(c.notes, fmt.Sprintf("the prompts are in column %s (--text COLUMN to take another)", c.text))
	return nil
}

// guessChat takes a column with the name of one of conversations, whose rows say what is wrong with them.
func (c *choice) guessChat(p *profiles) bool {
	for _, name := range chatNames {
		if col := p.byName[name]; col != nil && (col.has(nested) || col.values == 0) {
			c.chat = name
			return true
		}
	}
	return false
}

// filter lists the columns of a name, case apart, that fit.
func filter(p *profiles, name string, fits func(string) bool) (out []string) {
	for _, col := range p.list {
		if strings.EqualFold(col.name, name) && fits(col.name) {
			out = append(out, col.name)
		}
	}
	return out
}

// carry decides about one column that is not the prompt.
func (c *choice) carry(p *profiles, col *profile, opt Options, where func(place) string) error {
	name := col.name
	isPrompt := name == c.text || name == c.ids || name == c.mask || name == c.chat || name == c.keep
	wanted := slices.Contains(opt.Keep, name) || name == opt.Label
	switch {
	case isPrompt, slices.Contains(opt.Drop, name), len(opt.Keep) > 0 && !wanted:
		return nil
	case col.has(nested) && wanted:
		return fmt.Errorf("%w: column %q holds %s; a shard holds single values only", ErrOption, name, col.what)
	case col.has(nested):
		c.dropped = append(c.dropped, fmt.Sprintf("%s (%s)", brief(name), col.what))
		return nil
	}
	to := carried{from: name, name: name}
	if name == opt.Label || opt.Label == "" && name == "label" {
		to.name, to.labels = "label", opt.Labels
	}
	if to.labels != nil {
		to.typ = Int64
		c.carried = append(c.carried, to)
		return nil
	}
	t, note, bad := col.resolve(p.rows)
	if bad != nil {
		return fmt.Errorf("%s: %w: %s", where(bad.at), ErrFormat, bad.says)
	}
	if note != "" {
		c.notes = append(c.notes, fmt.Sprintf("column %s is carried as text: %s", brief(name), note))
	}
	to.typ = t
	c.carried = append(c.carried, to)
	return nil
}

// rename gives another name to columns that have one of ours, and refuses two that differ only in case.
func (c *choice) rename(opt Options, own []string) error {
	var taken []string
	for _, k := range c.carried {
		taken = append(taken, k.name)
	}
	for i := range c.carried {
		k := &c.carried[i]
		if labelled := opt.Label != "" && opt.Label != "label" && k.from == "label"; labelled || isOwn(k.name) || foldedIndex(own, k.name) >= 0 {
			for first := true; first || foldedIndex(taken, k.name) >= 0; first = false {
				k.name = ownPrefix + k.name
			}
			taken[i] = k.name
			c.notes = append(c.notes, fmt.Sprintf("column %s is stored as %s: a run has a column of that name itself", brief(k.from), brief(k.name)))
		}
		if err := checkName(k.name); err != nil {
			return fmt.Errorf("%w: %w; rename it, or leave it out with --drop", ErrFormat, err)
		}
		if n := foldedIndex(taken[:i], k.name); n >= 0 {
			return fmt.Errorf("%w: columns %q and %q differ only in case; leave one out with --drop", ErrFormat, brief(c.carried[n].from), brief(k.from))
		}
	}
	return nil
}

// value is what the column stores for a cell.
func (k carried) value(c cell) (any, error) {
	if k.labels != nil {
		return k.label(c)
	}
	switch k.typ {
	case Int64:
		return c.whole()
	case Float64:
		return c.number()
	case Bool:
		if c.kind == field && isBool(c.text) {
			return strings.EqualFold(c.text, "true"), nil
		}
		if c.kind != boolean {
			return nil, errChanged
		}
		return c.bool, nil
	}
	return c.spelling(), nil
}

// label is the number that the label map gives a cell.
func (k carried) label(c cell) (any, error) {
	s := c.spelling()
	if v, ok := k.labels[s]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("%w: column %q: label %q is not in --label-map", ErrFormat, k.from, brief(s))
}
