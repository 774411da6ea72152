package chat

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/parser"
)

// environment is the engine's own, with what transformers adds and with mended parts. The template's loader knows the
// template alone, so nothing is included from files.
func environment() *exec.Environment {
	filters := exec.NewFilterSet(map[string]exec.FilterFunction{}).Update(builtins.Filters)
	for _, name := range []string{"list", "map", "select", "reject", "selectattr", "rejectattr", "sort", "unique", "reverse"} {
		if f, ok := builtins.Filters.Get(name); ok {
			filters.Update(exec.NewFilterSet(map[string]exec.FilterFunction{name: listing(f)}))
		}
	}
	filters.Update(exec.NewFilterSet(map[string]exec.FilterFunction{"either": either, "tojson": toJSON}))
	tags := exec.NewControlStructureSet(map[string]parser.ControlStructureParser{generationTag: parseGeneration})
	methods := builtins.Methods
	methods.Str = stringMethods()
	return &exec.Environment{
		Context: exec.EmptyContext().Update(builtins.GlobalFunctions).Update(builtins.GlobalVariables).
			Update(exec.NewContext(map[string]any{"range": numbers})),
		Filters:           filters,
		Tests:             builtins.Tests,
		ControlStructures: tags.Update(controlStructures.All),
		Methods:           methods,
	}
}

// maxRange bounds a range's numbers.
const maxRange = 1 << 20

// numbers is range(start, stop, step) as a list. The engine's own is a goroutine that a loop leaves behind where it breaks.
func numbers(_ *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	limits := []int{0, 0, 1}
	for i, a := range params.Args {
		if i == len(limits) || !a.IsInteger() {
			return exec.AsValue(errors.New("range: want one to three integers"))
		}
		limits[i] = a.Integer()
	}
	start, stop, step := limits[0], limits[1], limits[2]
	if len(params.Args) < 2 {
		start, stop = 0, limits[0]
	}
	if step == 0 || len(params.Args) == 0 {
		return exec.AsValue(errors.New("range: want one to three integers, the last of which is not 0"))
	}
	all := list{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(all) == maxRange {
			return exec.AsValue(fmt.Errorf("range: more than %d numbers", maxRange))
		}
		all = append(all, i)
	}
	return exec.AsValue(all)
}

// list is a list whose items are found from its end too: the engine's own has no x[-1] if x has one item.
type list []any

// GetItem is the item with a number, from the end if it is below zero.
func (l list) GetItem(key any) (*exec.Value, bool) {
	i, ok := key.(int)
	if i < 0 {
		i += len(l)
	}
	if !ok || i < 0 || i >= len(l) {
		return exec.AsValue(nil), false
	}
	return exec.ToValue(l[i]), true
}

func listOf(v *exec.Value) list {
	all := make(list, v.Len())
	for i := range all {
		all[i] = v.Index(i)
	}
	return all
}

// listing makes a filter give a list of that kind.
func listing(f exec.FilterFunction) exec.FilterFunction {
	return func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
		out := f(e, in, params)
		if out.IsError() || !out.IsList() {
			return out
		}
		return exec.AsValue(listOf(out))
	}
}

// stringMethods are the engine's methods of a string; its split and replace do not take what Python's take.
func stringMethods() *exec.MethodSet[string] {
	all := map[string]exec.Method[string]{"split": split, "replace": replace}
	for _, name := range strings.Fields(`capitalize casefold center endswith expandtabs find format isalnum isalpha isascii
		isdecimal isdigit islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip partition removeprefix
		removesuffix rfind rjust rpartition rsplit rstrip splitlines startswith strip swapcase title upper zfill`) {
		if m, ok := builtins.Methods.Str.Get(name); ok {
			all[name] = m
		}
	}
	return exec.NewMethodSet(all)
}

// split is Python's: at white space if nothing is given.
func split(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	sep, most := params.GetKeywordArgument("sep", nil), params.GetKeywordArgument("maxsplit", -1)
	for i, v := range params.Args {
		switch i {
		case 0:
			sep = v
		case 1:
			most = v
		default:
			return nil, exec.ErrInvalidCall(errors.New("split takes a separator and a number"))
		}
	}
	var parts []string
	switch n := most.Integer(); {
	case sep.IsNil() && n < 0:
		parts = strings.Fields(self)
	case sep.IsNil() || sep.String() == "":
		return nil, exec.ErrInvalidCall(errors.New("split wants a separator"))
	case n < 0:
		parts = strings.Split(self, sep.String())
	default:
		parts = strings.SplitN(self, sep.String(), n+1)
	}
	out := make(list, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, nil
}

// replace is Python's: everywhere if no number is given.
func replace(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	if len(params.Args) < 2 {
		return nil, exec.ErrInvalidCall(errors.New("replace wants two texts"))
	}
	n := -1
	if len(params.Args) > 2 {
		n = params.Args[2].Integer()
	}
	return strings.Replace(self, params.Args[0].String(), params.Args[1].String(), n), nil
}
