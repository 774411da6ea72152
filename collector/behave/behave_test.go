package behave

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/collector/model/bpe"
	"actfleet/internal/torch"
)

const tiny = "../../examples/tiny-phi"

func load(t *testing.T) (*model.Model, *bpe.BPE) {
	t.Helper()
	m, err := model.Load(tiny)
	if err != nil {
		t.Fatal(err)
	}
	text, err := model.LoadTokenizer(tiny)
	if err != nil {
		t.Fatal(err)
	}
	return m, text
}

// wording is how tiny-phi was trained to be asked.
func wording() Wording {
	w := DefaultWording()
	w.Question = "{text} This is"
	return w
}

// statements are n true and n false ones, a true and a false one of each group.
func statements(n int) (out []Statement) {
	cities := []string{"Paris", "Lyon", "Rome", "Milan", "Berlin", "Munich", "Madrid", "Oslo"}
	for i := range n {
		for _, label := range []bool{true, false} {
			text := fmt.Sprintf("The city of %s is in France.", cities[i%len(cities)])
			out = append(out, Statement{Row: len(out), Text: text, Label: label, Group: fmt.Sprint(i)})
		}
	}
	return out
}

func TestText(t *testing.T) {
	s := Statement{Text: "Z."}
	shots := []Statement{{Text: "A.", Label: true}, {Text: "B."}}
	w := Wording{Question: "{text} Is it?", No: "no", Yes: "yes", System: [2]string{"Be honest.", "Lie."}, Instruction: [2]string{"Say it.", "Say the opposite."}}
	for _, c := range []struct {
		cell Cell
		lie  bool
		want string
	}{
		{Cell{}, false, "Z. Is it?"},
		{Cell{System: true}, false, "Be honest.\nZ. Is it?"},
		{Cell{System: true}, true, "Lie.\nZ. Is it?"},
		{Cell{Instruct: true}, true, "Say the opposite.\nZ. Is it?"},
		{Cell{Shots: 2}, false, "A. Is it? yes\nB. Is it? no\nZ. Is it?"},
		{Cell{Shots: 2}, true, "A. Is it? no\nB. Is it? yes\nZ. Is it?"},
		{Cell{true, 1, true}, true, "Lie.\nSay the opposite.\nA. Is it? no\nZ. Is it?"},
	} {
		got, err := question{c.cell, c.lie, w, shots[:c.cell.Shots]}.text(s)
		if err != nil || got != c.want {
			t.Errorf("%+v, lie %t: %q, %v; want %q", c.cell, c.lie, got, err, c.want)
		}
	}
	w.Chat = func(messages []dataset.Message) (string, error) {
		var roles []string
		for _, m := range messages {
			roles = append(roles, m.Role+":"+m.Content)
		}
		return strings.Join(roles, "|"), nil
	}
	got, err := question{Cell{true, 1, false}, true, w, shots[:1]}.text(s)
	if want := "system:Lie.|user:A. Is it?|assistant:no|user:Z. Is it?"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// Demonstrations are balanced, the same for a seed, and share no group with what is asked about.
func TestDemonstrations(t *testing.T) {
	all := statements(8)
	for seed := range uint64(6) {
		shots, asked, err := demonstrations(all, 4, seed)
		if err != nil {
			t.Fatal(err)
		}
		again, _, _ := demonstrations(all, 4, seed)
		yes := 0
		for _, s := range shots {
			if s.Label {
				yes++
			}
			if slices.ContainsFunc(asked, func(a Statement) bool { return a.Group == s.Group }) {
				t.Errorf("seed %d: group %s is shown and asked about", seed, s.Group)
			}
		}
		if yes != 2 || len(asked) != len(all)-8 || !slices.Equal(shots, again) {
			t.Errorf("seed %d: %d of %d shots are true, %d statements are left", seed, yes, len(shots), len(asked))
		}
	}
	if _, _, err := demonstrations(all, 9, 0); !errors.Is(err, ErrStatements) {
		t.Errorf("9 of 8 groups: %v", err)
	}
	if _, _, err := demonstrations(all, 8, 0); !errors.Is(err, ErrStatements) {
		t.Errorf("nothing left: %v", err)
	}
}

// ask runs one variant and returns its only cell.
func ask(t *testing.T, m Model, a Ask, all []Statement) Result {
	t.Helper()
	out, err := Run(t.Context(), []Variant{{"base", m}}, all, a)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(a.Cells) {
		t.Fatalf("%d results", len(out))
	}
	return out[0]
}

// The probabilities are those of the logits after each prompt alone, and the model's own answer goes on from them.
func TestAnswersAreTheModels(t *testing.T) {
	m, text := load(t)
	live := torch.Live()
	for name, words := range map[string][2]string{"single tokens": {"false", "true"}, "several tokens": {"not at all", "very true"}} {
		t.Run(name, func(t *testing.T) {
			w := wording()
			w.No, w.Yes = words[0], words[1]
			a := Ask{Cells: []Cell{{Shots: 2}}, Wording: w, Text: text, Generate: 3}
			r := ask(t, m, a, statements(4))
			if len(r.Answers) != 2*4 || r.Stopped != "" {
				t.Fatalf("%d answers, %q", len(r.Answers), r.Stopped)
			}
			for _, got := range r.Answers {
				no, yes, cov := direct(t, m, text, got.Prompt, w)
				if math.Abs(got.PNo-no) > 1e-5 || math.Abs(got.PYes-yes) > 1e-5 || math.Abs(got.Coverage-cov) > 1e-5*max(cov, 1e-3) {
					t.Errorf("%q: %v, %v, %v; directly %v, %v, %v", got.Prompt, got.PNo, got.PYes, got.Coverage, no, yes, cov)
				}
				if got.Generated == "" {
					t.Errorf("%q has no own answer", got.Prompt)
				}
			}
		})
	}
	if n := torch.Live() - live; n > 2 { // rotary tables
		t.Errorf("%d more tensors than before", n)
	}
}

// direct computes the odds of two choices with one pass for each token.
func direct(t *testing.T, m *model.Model, text *bpe.BPE, prompt string, w Wording) (no, yes, cov float64) {
	t.Helper()
	after := func(ids []int32) []float32 {
		logits, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{ids}, Logits: true})
		if err != nil {
			t.Fatal(err)
		}
		return logits[0]
	}
	ids := text.Encode(prompt, true)
	var score, whole [2]float64
	for i, word := range []string{w.No, w.Yes} {
		tokens := text.Encode(" "+word, false)
		for k, id := range tokens {
			whole[i] += logOf(after(slices.Concat(ids, tokens[:k])), id)
		}
		score[i] = whole[i] / float64(len(tokens))
		if len(tokens) == 1 { // the form after a space, and those without one
			whole[i] = 0
			for _, form := range []string{" ", "", "\n"} {
				if one := text.Encode(form+word, false); len(one) == 1 {
					whole[i] += math.Exp(logOf(after(ids), one[0]))
				}
			}
			score[i], whole[i] = math.Log(whole[i]), math.Log(whole[i])
		}
	}
	cov = math.Exp(whole[0]) + math.Exp(whole[1])
	no = math.Exp(score[0]) / (math.Exp(score[0]) + math.Exp(score[1]))
	return no, 1 - no, cov
}

// asked is a text whose encoder remembers which texts it put special tokens around.
type asked struct {
	*bpe.BPE
	special []string
}

func (a *asked) Encode(text string, special bool) []int32 {
	if special {
		a.special = append(a.special, text)
	}
	return a.BPE.Encode(text, special)
}

// A chat template writes its special tokens itself: only plain prompts get them from the tokenizer.
func TestSpecialTokens(t *testing.T) {
	m, text := load(t)
	for _, chat := range []bool{false, true} {
		w, said := wording(), &asked{BPE: text}
		if chat {
			w.Chat = func(messages []dataset.Message) (string, error) { return messages[len(messages)-1].Content, nil }
		}
		r := ask(t, m, Ask{Cells: []Cell{{}}, Wording: w, Text: said}, statements(2))
		if want := map[bool]int{false: len(r.Answers)}[chat]; len(said.special) != want {
			t.Errorf("chat %t: special tokens around %q", chat, said.special)
		}
	}
}

// A cell that tells nobody anything has no lies; what is known in a cell is known of its lies.
func TestCells(t *testing.T) {
	m, text := load(t)
	a := Ask{Cells: Cells([]bool{false, true}, []int{0, 2}, []bool{false}), Wording: wording(), Text: text}
	steps := 0
	a.Progress = func(done, of int) {
		if steps = done; of != 6*(1+2+2+2) {
			t.Errorf("%d prompts in all", of)
		}
	}
	out, err := Run(t.Context(), []Variant{{"base", m}}, statements(5), a)
	if err != nil || len(out) != 4 {
		t.Fatal(len(out), err)
	}
	for i, r := range out {
		known, lies := map[int]bool{}, 0
		for _, got := range r.Answers {
			if !got.Lie {
				known[got.Row] = got.Correct()
			} else {
				lies++
			}
			if got.Known != known[got.Row] {
				t.Errorf("cell %+v, row %d: known %t, answered truthfully %t", r.Cell, got.Row, got.Known, known[got.Row])
			}
		}
		if want := map[bool]int{true: 6, false: 0}[i > 0]; lies != want {
			t.Errorf("cell %+v has %d lies, want %d", r.Cell, lies, want)
		}
	}
	if steps != 42 {
		t.Errorf("%d prompts were reported", steps)
	}
}

func TestGates(t *testing.T) {
	m, text := load(t)
	a := Ask{Cells: []Cell{{System: true}}, Wording: wording(), Text: text, LeastAccuracy: 1}
	if r := ask(t, m, a, statements(4)); len(r.Answers) != 8 || !strings.Contains(r.Stopped, "told to answer truthfully it is right about") {
		t.Errorf("%d answers, %q", len(r.Answers), r.Stopped)
	}
	a.LeastAccuracy, a.LeastCoverage = 0, 0.99
	a.Wording.Question = "{text} Elephants"
	if r := ask(t, m, a, statements(50)); len(r.Answers) != GateRows || !strings.Contains(r.Stopped, "the choices have a probability of") {
		t.Errorf("%d answers, %q", len(r.Answers), r.Stopped)
	}
	for _, bad := range []func(w *Wording){func(w *Wording) { w.Question = "no slot" }, func(w *Wording) { w.No = w.Yes }, func(w *Wording) { w.No = "" }} {
		w := wording()
		bad(&w)
		if _, err := Run(t.Context(), []Variant{{"base", m}}, statements(2), Ask{Cells: []Cell{{}}, Wording: w, Text: text}); !errors.Is(err, errWording) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}
