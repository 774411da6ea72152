package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"
)

// fitted is one probe as testdata/peers.py reads it.
type fitted struct {
	W, B     []float64 `json:",omitempty"`
	In, Bias []float64 `json:",omitempty"` // of an MLP; W is its outer weights
	Variance []float64 `json:",omitempty"` // of Laplace, of every row
	Proba    []float64
}

// TestPeers fits every kind on the same rows as scikit-learn, or a formula in numpy, does; it needs ACTFLEET_PYTHON, a
// Python that has scikit-learn. The second problem has more features than rows.
func TestPeers(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	for _, size := range []struct{ pairs, width int }{{150, 12}, {40, 60}} {
		rows, x := pairedData(size.pairs, size.width)
		c := config()
		c.L2, c.MaxIter, c.Hidden, c.K, c.Seed = []float64{0.01}, 5000, 4, 5, 1
		p := newProblem(&rows, x, size.width, c)
		in := map[string]any{"x": x, "d": size.width, "y": rows.Label, "q": rows.Polarity, "pair": rows.Pair, "group": rows.Group, "split": rows.Split, "l2": c.L2[0], "k": c.K}
		fits := map[string]fitted{}
		for _, name := range Kinds() {
			q, proba := p.fit(name)
			if !q.Converged {
				t.Fatalf("%s did not converge: %+v", name, q.Fit)
			}
			f := fitted{Proba: proba}
			switch m := q.Model.(type) {
			case *Linear:
				f.W, f.B = m.W, m.B
			case *Network:
				f.W, f.B, f.In, f.Bias = m.Out, m.B, m.In, m.Bias
			case *Posterior:
				f.W, f.B, f.Variance = m.W, m.B, m.Variance(x)
			}
			fits[name] = f
		}
		in["fits"] = fits
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python, "testdata/peers.py")
		cmd.Stdin = bytes.NewReader(text)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 77 {
			t.Skipf("%s", out)
		}
		if t.Logf("%d values a row:\n%s", size.width, out); err != nil {
			t.Error(err)
		}
	}
}
