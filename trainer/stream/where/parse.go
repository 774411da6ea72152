package where

import (
	"fmt"
	"slices"
	"strings"
)

// Expr is a condition that was read but not yet resolved in a schema.
type Expr struct{ root node }

// node is a part of a condition.
type node interface {
	compile(*scope) (Test, error)
}

type (
	either struct{ parts []node } // or
	both   struct{ parts []node } // and
	not    struct{ of node }
	// compare is column op value.
	compare struct {
		column, op string
		value      literal
	}
)

// literal is a value as it was written.
type literal struct {
	text   string
	quoted bool
}

// Bounds of what is read.
const (
	maxText  = 1 << 14
	maxDepth = 100
)

// Parse reads a condition.
func Parse(text string) (Expr, error) {
	if len(text) > maxText {
		return Expr{}, fmt.Errorf("condition of %d bytes: at most %d are read", len(text), maxText)
	}
	tokens, err := scan(text)
	if err != nil {
		return Expr{}, fmt.Errorf("condition %q: %w", text, err)
	}
	p := parser{tokens: tokens}
	root, err := p.or()
	if err == nil && p.at < len(tokens) {
		err = fmt.Errorf("unexpected %s", tokens[p.at])
	}
	if err != nil {
		return Expr{}, fmt.Errorf("condition %q: %w", text, err)
	}
	return Expr{root}, nil
}

// parser goes through tokens by recursive descent.
type parser struct {
	tokens    []token
	at, depth int
}

func (p *parser) peek() token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return token{}
}

// take consumes a symbol or a word of the language.
func (p *parser) take(what ...string) bool {
	t := p.peek()
	if t.kind == end || t.kind == text || t.kind == name || !slices.Contains(what, strings.ToLower(t.text)) {
		return false
	}
	p.at++
	return true
}

func (p *parser) or() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	parts, err := p.list("or", p.and)
	if err != nil || len(parts) == 1 {
		return parts[0], err
	}
	return either{parts}, nil
}

func (p *parser) and() (node, error) {
	parts, err := p.list("and", p.unary)
	if err != nil || len(parts) == 1 {
		return parts[0], err
	}
	return both{parts}, nil
}

// list reads one or more parts with a word between them.
func (p *parser) list(word string, part func() (node, error)) (parts []node, err error) {
	for {
		n, err := part()
		parts = append(parts, n)
		if err != nil || !p.take(word) {
			return parts, err
		}
	}
}

func (p *parser) unary() (node, error) {
	if p.take("not") {
		if p.depth++; p.depth > maxDepth {
			return nil, fmt.Errorf("nested more than %d deep", maxDepth)
		}
		defer func() { p.depth-- }()
		n, err := p.unary()
		return not{n}, err
	}
	if p.take("(") {
		n, err := p.or()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("want ) before %s", p.peek())
		}
		return n, err
	}
	return p.comparison()
}

var operators = []string{"=", "==", "!=", "<>", "<", "<=", ">", ">="}

func (p *parser) comparison() (node, error) {
	t := p.peek()
	if t.kind != word && t.kind != name || t.kind == word && slices.Contains(reserved, strings.ToLower(t.text)) {
		return nil, fmt.Errorf("want a column, got %s", t)
	}
	p.at++
	negated := p.take("not")
	var n node
	var err error
	switch {
	case p.take("in"):
		n, err = p.members(t.text)
	case negated:
		return nil, fmt.Errorf("want in after not, got %s", p.peek())
	case p.take("between"):
		n, err = p.between(t.text)
	default:
		op := p.peek().text
		if !p.take(operators...) {
			return nil, fmt.Errorf("want a comparison after %s, got %s", t, p.peek())
		}
		n, err = p.compared(t.text, op)
	}
	if negated {
		n = not{n}
	}
	return n, err
}

var reserved = []string{"and", "or", "not", "in", "between"}

// compared reads the value of a comparison.
func (p *parser) compared(column, op string) (node, error) {
	t := p.peek()
	if t.kind != word && t.kind != text {
		return nil, fmt.Errorf("want a value, got %s", t)
	}
	p.at++
	return compare{column, op, literal{t.text, t.kind == text}}, nil
}

func (p *parser) members(column string) (node, error) {
	if !p.take("(") {
		return nil, fmt.Errorf("want ( after in, got %s", p.peek())
	}
	var out either
	for {
		n, err := p.compared(column, "=")
		if err != nil {
			return nil, err
		}
		out.parts = append(out.parts, n)
		if p.take(")") {
			return out, nil
		}
		if !p.take(",") {
			return nil, fmt.Errorf("want , or ) in a list, got %s", p.peek())
		}
	}
}

func (p *parser) between(column string) (node, error) {
	low, err := p.compared(column, ">=")
	if err != nil {
		return nil, err
	}
	if !p.take("and") {
		return nil, fmt.Errorf("want and after between, got %s", p.peek())
	}
	high, err := p.compared(column, "<=")
	return both{[]node{low, high}}, err
}
