package sae

import (
	"fmt"
	"math"
	"strings"
)

// Sparsity is what a ReLU pays for its active latents f of a row.
type Sparsity string

// The forms; n_i is ‖d_i‖, of a crosscoder the sum over its vectors.
const (
	L1         Sparsity = "l1"          // Σ f_i n_i
	PAnneal    Sparsity = "p_anneal"    // Σ (f_i + ε)^p − ε^p, p falling from 1
	Hoyer      Sparsity = "hoyer"       // (Σ f_i)² / Σ f_i²
	Group      Sparsity = "group"       // Σ_g ‖f_g‖
	GroupHoyer Sparsity = "group_hoyer" // (Σ_g ‖f_g‖)² / Σ f_i²
	tanhForm   Sparsity = "tanh"        // Σ tanh(c f_i n_i), of JumpReLUTanh
)

// Sparsities are the forms one may choose.
var Sparsities = []Sparsity{L1, PAnneal, Hoyer, Group, GroupHoyer}

func (s Sparsity) groups() bool { return s == Group || s == GroupHoyer }

func (s Sparsity) check() error {
	var names []string
	for _, k := range Sparsities {
		if s == k || s == "" {
			return nil
		}
		names = append(names, string(k))
	}
	return fmt.Errorf("unknown sparsity %q: want %s", s, strings.Join(names, ", "))
}

// tanhSlope is c of the tanh form, pEps is ε of PAnneal.
const (
	tanhSlope = 4
	pEps      = 1e-2
)

// pays adds ∂P/∂f·pay of a row to grad and returns P. norm has n_i, nil when all are 1.
func (l *Learner) pays(idx []int32, val, grad []float32, norm []float32, pay float64) (paid float64) {
	switch l.cfg.Sparsity {
	case Hoyer, Group, GroupHoyer:
		return grouped(l.cfg, idx, val, grad, pay)
	}
	for j, f := range val {
		n := 1.0
		if norm != nil {
			n = float64(norm[idx[j]])
		}
		p, dp, _ := l.form(float64(f), n)
		paid += p
		grad[j] += float32(pay * dp)
	}
	return paid
}

// form is P of one latent, ∂P/∂f and ∂P/∂n.
func (l *Learner) form(f, n float64) (p, df, dn float64) {
	switch l.cfg.Sparsity {
	case PAnneal:
		e := l.exponent(l.steps())
		return power(f, e), e * math.Pow(f+pEps, e-1), 0
	case tanhForm:
		t := math.Tanh(tanhSlope * f * n)
		return t, tanhSlope * n * (1 - t*t), tanhSlope * f * (1 - t*t)
	}
	return f * n, n, f
}

// power is (f+ε)^p − ε^p, which is f where p is 1 and has a bounded slope.
func power(f, p float64) float64 { return math.Pow(f+pEps, p) - math.Pow(pEps, p) }

// exponent is p of PAnneal in a step: 1 until PFrom, then falling linearly to PEnd, which the last
// step does not reach.
func (l *Learner) exponent(step int) float64 {
	from, total := l.cfg.PFrom, max(l.cfg.Steps, l.cfg.PFrom+1)
	if step <= from {
		return 1
	}
	return 1 - (1-l.cfg.PEnd)*float64(min(step, total)-from)/float64(total-from)
}

// grouped is Hoyer's square of the latents (DeepHoyer: Yang et al. 2020, arXiv:1908.09979) or the norms of their groups
// of neighbours, or Hoyer's square of these.
func grouped(c Config, idx []int32, val, grad []float32, pay float64) float64 {
	size := int32(1)
	if c.Sparsity.groups() {
		size = int32(c.Group)
	}
	var sum, square float64
	norms := make([]float64, len(val)) // of the group of each
	for lo, hi := 0, 0; lo < len(val); lo = hi {
		var s float64
		for hi = lo; hi < len(val) && idx[hi]/size == idx[lo]/size; hi++ {
			s += float64(val[hi]) * float64(val[hi])
		}
		for j := lo; j < hi; j++ {
			norms[j] = math.Sqrt(s)
		}
		sum, square = sum+math.Sqrt(s), square+s
	}
	if square == 0 {
		return 0
	}
	for j, f := range val {
		if norms[j] == 0 {
			continue
		}
		d := float64(f) / norms[j]
		if c.Sparsity != Group {
			d = 2*d*sum/square - 2*float64(f)*sum*sum/(square*square)
		}
		grad[j] += float32(pay * d)
	}
	if c.Sparsity == Group {
		return sum
	}
	return sum * sum / square
}
