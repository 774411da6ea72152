package chat

import (
	"fmt"
	"time"

	"github.com/ncruces/go-strftime"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// What transformers adds to Jinja for its templates: raise_exception, strftime_now, a tojson without HTML, and the tag
// generation.

// raise is the template's raise_exception.
func raise(e *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	words := "the conversation is refused"
	if len(params.Args) > 0 {
		words = params.Args[0].String()
	}
	return exec.AsValue(fmt.Errorf("it says: %s", words))
}

// day is the date that templates are told. It is part of a run's prompts, so it does not change.
var day = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// today is the template's strftime_now.
func today(format string) string { return strftime.Format(format, day) }

// generation is the tag around what the assistant says, by which transformers makes masks: it writes what is in it.
type generation struct {
	at   *tokens.Token
	body *nodes.Wrapper
}

func parseGeneration(p, args *parser.Parser) (nodes.ControlStructure, error) {
	g := &generation{at: p.Current()}
	if !args.End() {
		return nil, args.Error("generation takes nothing", nil)
	}
	var end *parser.Parser
	var err error
	if g.body, end, err = p.WrapUntil("endgeneration"); err != nil {
		return nil, err
	}
	if !end.End() {
		return nil, end.Error("endgeneration takes nothing", nil)
	}
	return g, nil
}

// Position is where the tag stands.
func (g *generation) Position() *tokens.Token { return g.at }

// String names the tag.
func (g *generation) String() string {
	return fmt.Sprintf("generation(Line=%d Col=%d)", g.at.Line, g.at.Col)
}

// Execute writes what is in the tag.
func (g *generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	return r.Inherit().ExecuteWrapper(g.body)
}
