package tap

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type ruleKind uint8

const (
	ruleLast ruleKind = iota
	ruleAll
	ruleEvery
	rulePos
	ruleRole // of a message's role, name
	ruleNotSpecial
	ruleMask // by column name
	ruleSpan // by column name
)

// Rule says which token positions of a prompt become rows. The zero Rule keeps
// the last position. Rules are comparable.
//
// Most rules are functions of the prompt's length. Those of which FromData is true depend on its tokens and on the
// data set: the positions are found when a prompt is tokenised, and kept with it.
type Rule struct {
	kind ruleKind
	n    int
	name string
}

// maxRuleNumber bounds N of "every:N" and "pos:N", maxRuleName the bytes of a column's name.
const (
	maxRuleNumber = 1 << 30
	maxRuleName   = 1 << 10
)

// RuleSyntax lists the rules for a message.
const RuleSyntax = "last, all, every:N, pos:N, assistant, user, system, not-special, mask:COLUMN or span:COLUMN"

// ParseRule reads a token rule. Of a prompt's length alone:
//
//	last         the last position
//	all          every position
//	every:N      positions 0, N, 2N, …   (N ≥ 1)
//	pos:N        position N; pos:-1 is the last, pos:-2 the one before it
//
// From the data, see FromData:
//
//	assistant    the content of the assistant's messages; also user and system
//	not-special  every token but special ones
//	mask:COLUMN  the positions that a column, a list as long as the prompt, has a 1 for
//	span:COLUMN  the tokens that overlap a span of the text, which a column has
func ParseRule(s string) (Rule, error) {
	name, arg, hasArg := strings.Cut(strings.TrimSpace(s), ":")
	if hasArg {
		switch name {
		case "every":
			return numbered(ruleEvery, s, arg, 1)
		case "pos":
			return numbered(rulePos, s, arg, -maxRuleNumber)
		case "mask":
			return named(ruleMask, s, arg)
		case "span":
			return named(ruleSpan, s, arg)
		}
	} else {
		switch name {
		case "last":
			return Rule{kind: ruleLast}, nil
		case "all":
			return Rule{kind: ruleAll}, nil
		case "assistant", "user", "system":
			return Rule{kind: ruleRole, name: name}, nil
		case "not-special":
			return Rule{kind: ruleNotSpecial}, nil
		}
	}
	return Rule{}, fmt.Errorf("token rule %q: want %s", s, RuleSyntax)
}

func numbered(kind ruleKind, s, arg string, least int) (Rule, error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n > maxRuleNumber || n < least {
		return Rule{}, fmt.Errorf("token rule %q: %q is not a whole number in range", s, arg)
	}
	return Rule{kind: kind, n: n}, nil
}

func named(kind ruleKind, s, arg string) (Rule, error) {
	if arg == "" || len(arg) > maxRuleName || !utf8.ValidString(arg) {
		return Rule{}, fmt.Errorf("token rule %.40q: want the name of a column behind the colon", s)
	}
	return Rule{kind: kind, name: arg}, nil
}

// String is the spelling ParseRule reads.
func (r Rule) String() string {
	switch r.kind {
	case ruleAll:
		return "all"
	case ruleEvery:
		return "every:" + strconv.Itoa(r.n)
	case rulePos:
		return "pos:" + strconv.Itoa(r.n)
	case ruleRole:
		return r.name
	case ruleNotSpecial:
		return "not-special"
	case ruleMask:
		return "mask:" + r.name
	case ruleSpan:
		return "span:" + r.name
	}
	return "last"
}

// FromData says that the positions are no function of the prompt's length.
func (r Rule) FromData() bool { return r.kind >= ruleRole }

// Role is the role whose messages are kept; "" where the rule is about none.
func (r Rule) Role() string {
	if r.kind == ruleRole {
		return r.name
	}
	return ""
}

// NotSpecial says that every token but special ones is kept.
func (r Rule) NotSpecial() bool { return r.kind == ruleNotSpecial }

// Mask is the column that says for each token whether it is kept; "" for none.
func (r Rule) Mask() string {
	if r.kind == ruleMask {
		return r.name
	}
	return ""
}

// Span is the column of the spans whose tokens are kept; "" for none.
func (r Rule) Span() string {
	if r.kind == ruleSpan {
		return r.name
	}
	return ""
}

// Positions lists the kept positions of a prompt of n tokens, ascending. A prompt
// that lacks the position of "pos:N" keeps nothing. It is nil for a rule that depends on the data.
func (r Rule) Positions(n int) []int {
	if n <= 0 || r.FromData() {
		return nil
	}
	switch r.kind {
	case ruleAll:
		return span(0, n-1)
	case ruleEvery:
		return every(r.n, n)
	case rulePos:
		return single(r.n, n)
	}
	return []int{n - 1}
}

func every(step, n int) []int {
	out := make([]int, 0, (n-1)/step+1)
	for i := 0; i < n; i += step {
		out = append(out, i)
	}
	return out
}

func single(p, n int) []int {
	if p < 0 {
		p += n
	}
	if p < 0 || p >= n {
		return nil
	}
	return []int{p}
}
