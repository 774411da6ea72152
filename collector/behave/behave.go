package behave

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
)

// Statement is one that a model is asked about.
type Statement struct {
	Row   int // its number in the data set
	Text  string
	Label bool // it is true
	Group string
}

// Cell is one combination of the factors.
type Cell struct {
	System   bool // a system message says how to answer
	Shots    int  // demonstrations
	Instruct bool // the question begins with an instruction
}

// tells says whether anything in the cell can tell a model to lie.
func (c Cell) tells() bool { return c.System || c.Shots > 0 || c.Instruct }

// Cells are all combinations of factors, in their order.
func Cells(system []bool, shots []int, instruct []bool) (out []Cell) {
	for _, s := range system {
		for _, k := range shots {
			for _, i := range instruct {
				out = append(out, Cell{s, k, i})
			}
		}
	}
	return out
}

// Model is what is asked.
type Model interface {
	Info() model.Info
	Forward(ctx context.Context, r model.Request) (logits [][]float32, err error)
	Prefix(ctx context.Context, r model.Request) (*model.Prefix, error)
	NewCache() *model.Cache
	Generate(ctx context.Context, g model.Generation) ([]model.Continuation, error)
}

// Variant is a model under a name.
type Variant struct {
	Name  string
	Model Model
}

// Text turns texts into ids and back.
type Text interface {
	Encode(text string, special bool) []int32
	Decode(ids []int32) string
	IsSpecial(id int32) bool
}

// Ask is what is to be found out.
type Ask struct {
	Cells   []Cell
	Wording Wording
	Text    Text
	// Seed decides which statements are the demonstrations.
	Seed uint64
	// LeastCoverage is the mean probability of the choices together below which a cell is given up after GateRows
	// statements, LeastAccuracy the share of correct answers of a model told to answer truthfully below which it is not
	// told to lie. 0: no gate.
	LeastCoverage, LeastAccuracy float64
	// Generate is how many tokens of the model's own answer are kept with each; Ends are the ids that end it.
	Generate int
	Ends     []int32
	// Progress is told after each batch; nil: nobody is.
	Progress func(done, of int)
}

// GateRows is how many statements are asked about before a cell's coverage is judged.
const GateRows = 64

// Answer is what a variant says to one prompt.
type Answer struct {
	Variant string
	Cell    Cell
	Lie     bool // it was told to lie
	Statement
	Template  string  // Wording.Name
	Tokens    int     // of the prompt
	PNo, PYes float64 // of the two choices, together 1
	Coverage  float64 // probability of the two together
	Known     bool    // told to answer truthfully, it answers correctly
	Prompt    string
	Generated string // "" unless asked for
}

// Correct says whether the answer is the one that it was told to give; at even odds it says no.
func (a Answer) Correct() bool { return a.PYes > 0.5 == (a.Label != a.Lie) }

// Result is what became of one cell with one variant.
type Result struct {
	Variant string
	Cell    Cell
	Answers []Answer
	Stopped string // why not every statement was asked about; "" where each was
}

// ErrStatements says that the statements are not enough for the demonstrations and something to ask about.
var ErrStatements = errors.New("too few statements")

// Run asks every variant about every statement, in every cell. Errors: ErrStatements, those of the wording, of the model, or
// ctx's.
func Run(ctx context.Context, variants []Variant, statements []Statement, a Ask) ([]Result, error) {
	most := 0
	for _, c := range a.Cells {
		most = max(most, c.Shots)
	}
	shots, asked, err := demonstrations(statements, most, a.Seed)
	if err != nil {
		return nil, err
	}
	choices, err := a.Wording.choices(a.Text)
	if err != nil {
		return nil, err
	}
	x := &experiment{ask: a, shots: shots, asked: asked, choices: choices}
	for _, c := range a.Cells {
		x.of += len(variants) * len(asked) * len(tellings(c))
	}
	var out []Result
	for _, v := range variants {
		for _, c := range a.Cells {
			r, err := x.cell(ctx, v, c)
			if err != nil {
				return out, fmt.Errorf("%s: %w", v.Name, err)
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// tellings are whether the model is told to lie, one after the other.
func tellings(c Cell) []bool {
	if c.tells() {
		return []bool{false, true}
	}
	return []bool{false}
}

// experiment is one Run on its way.
type experiment struct {
	ask      Ask
	shots    []Statement
	asked    []Statement
	choices  choices
	done, of int
}

// cell asks one variant about every statement in one cell.
func (x *experiment) cell(ctx context.Context, v Variant, c Cell) (r Result, err error) {
	r = Result{Variant: v.Name, Cell: c}
	before := x.done
	for _, lie := range tellings(c) {
		q, err := x.question(c, lie)
		if err != nil {
			return r, err
		}
		if r.Answers, r.Stopped, err = x.told(ctx, v, q, r.Answers); err != nil || r.Stopped != "" {
			x.done = before + len(x.asked)*len(tellings(c)) // nothing more of it is to come
			return r, err
		}
	}
	return r, nil
}

// told asks about every statement with the model told to answer truthfully or to lie; answers are those so far.
func (x *experiment) told(ctx context.Context, v Variant, q question, answers []Answer) ([]Answer, string, error) {
	if q.lie {
		if reason := x.accuracyGate(answers); reason != "" {
			return answers, reason, nil
		}
	}
	known := map[int]bool{}
	for _, a := range answers {
		known[a.Row] = a.Known
	}
	for from := 0; from < len(x.asked); from += batchPrompts {
		some := x.asked[from:min(from+batchPrompts, len(x.asked))]
		batch, err := x.batch(ctx, v, q, some)
		if err != nil {
			return answers, "", err
		}
		for _, a := range batch {
			if a.Known = a.Correct(); q.lie {
				a.Known = known[a.Row]
			}
			answers = append(answers, a)
		}
		x.done += len(some)
		if x.ask.Progress != nil {
			x.ask.Progress(x.done, x.of)
		}
		if reason := x.coverageGate(q, answers); reason != "" {
			return answers, reason, nil
		}
	}
	return answers, "", nil
}

// coverageGate says why a cell is given up after its first statements; "" where it is not.
func (x *experiment) coverageGate(q question, answers []Answer) string {
	n := min(GateRows, len(x.asked))
	if x.ask.LeastCoverage == 0 || q.lie || len(answers) < n || len(answers) >= n+batchPrompts {
		return ""
	}
	var sum float64
	for _, a := range answers {
		sum += a.Coverage
	}
	if mean := sum / float64(len(answers)); mean < x.ask.LeastCoverage {
		return fmt.Sprintf("after %d statements the choices have a probability of %.3f together, less than %g: the model says something else",
			len(answers), mean, x.ask.LeastCoverage)
	}
	return ""
}

// accuracyGate says why a model is not told to lie; "" where it is.
func (x *experiment) accuracyGate(answers []Answer) string {
	right := 0
	for _, a := range answers {
		if a.Correct() {
			right++
		}
	}
	if share := float64(right) / float64(len(answers)); share < x.ask.LeastAccuracy {
		return fmt.Sprintf("told to answer truthfully it is right about %.3f of the statements, less than %g: whether it lies says nothing",
			share, x.ask.LeastAccuracy)
	}
	return ""
}

// generated are the first tokens of the model's own answers, as text.
func (x *experiment) generated(ctx context.Context, v Variant, ids [][]int32, after *model.Prefix) ([]string, error) {
	out := make([]string, len(ids))
	if x.ask.Generate == 0 {
		return out, nil
	}
	all, err := v.Model.Generate(ctx, model.Generation{IDs: ids, After: after, Most: x.ask.Generate, Ends: x.ask.Ends})
	for i, c := range all {
		plain := slices.DeleteFunc(slices.Clone(c.IDs), x.ask.Text.IsSpecial)
		out[i] = x.ask.Text.Decode(plain)
	}
	return out, err
}

// message is one of a conversation.
func message(role, content string) dataset.Message {
	return dataset.Message{Role: role, Content: content}
}
