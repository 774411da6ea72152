package tap

import (
	"fmt"
	"strconv"
	"strings"
)

type ruleKind uint8

const (
	ruleLast ruleKind = iota
	ruleAll
	ruleEvery
	rulePos
)

// Rule says which token positions of a prompt become rows. The zero Rule keeps
// the last position. Rules are comparable.
type Rule struct {
	kind ruleKind
	n    int
}

// maxRuleNumber bounds N of "every:N" and "pos:N".
const maxRuleNumber = 1 << 30

// ParseRule reads a token rule:
//
//	last      the last position
//	all       every position
//	every:N   positions 0, N, 2N, …   (N ≥ 1)
//	pos:N     position N; pos:-1 is the last, pos:-2 the one before it
func ParseRule(s string) (Rule, error) {
	name, arg, hasArg := strings.Cut(strings.TrimSpace(s), ":")
	switch {
	case name == "last" && !hasArg:
		return Rule{kind: ruleLast}, nil
	case name == "all" && !hasArg:
		return Rule{kind: ruleAll}, nil
	case name == "every" && hasArg:
		return numbered(ruleEvery, s, arg, 1)
	case name == "pos" && hasArg:
		return numbered(rulePos, s, arg, -maxRuleNumber)
	}
	return Rule{}, fmt.Errorf("token rule %q: want last, all, every:N or pos:N", s)
}

func numbered(kind ruleKind, s, arg string, least int) (Rule, error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n > maxRuleNumber || n < least {
		return Rule{}, fmt.Errorf("token rule %q: %q is not a whole number in range", s, arg)
	}
	return Rule{kind: kind, n: n}, nil
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
	}
	return "last"
}

// Positions lists the kept positions of a prompt of n tokens, ascending. A prompt
// that lacks the position of "pos:N" keeps nothing.
func (r Rule) Positions(n int) []int {
	if n <= 0 {
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
