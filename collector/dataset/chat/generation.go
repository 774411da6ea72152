package chat

import (
	"fmt"
	"io"

	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// generationTag encloses, in templates made for training, what the assistant says.
const generationTag = "generation"

// markKey is the variable that holds what a generation block puts at its two ends; the engine's own names aside, no
// template sees it.
const markKey = "__generation_mark"

// generation is {% generation %} … {% endgeneration %}: its body, between two marks if there are any.
type generation struct {
	at   *tokens.Token
	body *nodes.Wrapper
}

// Position is where the block begins.
func (g *generation) Position() *tokens.Token { return g.at }

// String names the block for the engine's messages.
func (g *generation) String() string {
	return fmt.Sprintf("Generation(Line=%d Col=%d)", g.at.Line, g.at.Col)
}

// Execute writes the block.
func (g *generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	value, _ := r.Environment.Context.Get(markKey)
	mark, _ := value.(string)
	if _, err := io.WriteString(r.Output, mark); err != nil {
		return err
	}
	if err := r.Inherit().ExecuteWrapper(g.body); err != nil {
		return err
	}
	_, err := io.WriteString(r.Output, mark)
	return err
}

func parseGeneration(p, args *parser.Parser) (nodes.ControlStructure, error) {
	g := &generation{at: p.Current()}
	if !args.End() {
		return nil, args.Error("generation takes no arguments", args.Current())
	}
	body, end, err := p.WrapUntil("end" + generationTag)
	if err != nil {
		return nil, err
	}
	if !end.End() {
		return nil, end.Error("endgeneration takes no arguments", end.Current())
	}
	g.body = body
	return g, nil
}
