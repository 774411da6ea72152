package forecast

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Run is what is still to be collected.
type Run struct {
	Tokens, Positions int64 // in the data; computed, with padding
	Bytes             int64 // of vectors
	Columns           int
	Units             int
	Longest           float64 // part of the positions that the longest unit has
	Products          float64 // floating-point operations of the model
	F32               bool    // vectors are stored in fp32
	EveryToken        bool    // every position becomes a row
	Bucket            bool    // the run lies in one; else in a directory that all nodes share
	GPU               bool    // the model is computed on GPUs,
	Exact             bool    // with fp32 products
}

// Machine is what was measured of this machine; a rate of 0 was not.
type Machine struct {
	Bare   float64 // seconds a position, the model alone
	Tapped float64 // seconds a position with taps packed
	Flops  float64 // of matrix products, floating-point operations a second
	ToHost float64 // bytes a second from its GPUs
	Write  float64 // bytes a second into the run's store
}

// The names of the stages.
const (
	Model  = "model"  // its forward passes
	Taps   = "taps"   // copying taps to the host and packing them
	Disk   = "disk"   // writing to a directory
	Upload = "upload" // to a bucket
)

// Stage is a part of the work and how long it takes.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	// Beside: it goes on while the others do, and costs time only where it takes longer than they.
	Beside bool `json:"beside,omitempty"`
}

// Ceiling is how many of the data's tokens one part of the machine allows a second, if all others cost nothing.
type Ceiling struct {
	Of     string  `json:"of"`
	Tokens float64 `json:"tokens_per_second"`
}

// Change is something to do about the bottleneck. Saves is how many seconds; 0: that has to be tried.
type Change struct {
	Do    string  `json:"do"`
	Saves float64 `json:"saves_seconds,omitempty"`
}

// Fleet is the time that so many machines like this one take.
type Fleet struct {
	Nodes   int     `json:"nodes"`
	Seconds float64 `json:"seconds"`
}

// Forecast is how a run would go.
type Forecast struct {
	Seconds    float64   `json:"seconds"` // on this machine alone
	Tokens     float64   `json:"tokens_per_second"`
	Stages     []Stage   `json:"stages"`
	Ceilings   []Ceiling `json:"ceilings"`
	Bottleneck string    `json:"bottleneck"` // the stage to begin with
	Change     Change    `json:"change"`
	Fleets     []Fleet   `json:"fleets,omitempty"` // of two nodes, three, and as many as there are units
	// LongestUnitSeconds is how long the longest unit takes.
	LongestUnitSeconds float64 `json:"longest_unit_seconds"`
}

// Of is the forecast of a run on a machine.
func Of(r Run, m Machine) Forecast {
	f := Forecast{Stages: stages(r, m), Ceilings: ceilings(r, m)}
	f.Seconds = total(f.Stages)
	f.Tokens = float64(r.Tokens) / max(f.Seconds, math.SmallestNonzeroFloat64)
	f.LongestUnitSeconds = r.Longest * f.Seconds
	f.Bottleneck = bottleneck(f.Stages)
	f.Change = change(r, m, f.Bottleneck)
	for _, nodes := range []int{2, 3, r.Units} {
		if nodes <= r.Units && nodes > 1 && !slices.ContainsFunc(f.Fleets, func(g Fleet) bool { return g.Nodes == nodes }) {
			f.Fleets = append(f.Fleets, Fleet{nodes, fleet(r, m, nodes)})
		}
	}
	return f
}

func stages(r Run, m Machine) []Stage {
	s := []Stage{{Name: Model, Seconds: m.Bare * float64(r.Positions)},
		{Name: Taps, Seconds: max(0, m.Tapped-m.Bare) * float64(r.Positions)}}
	if m.Write > 0 {
		name := Disk
		if r.Bucket {
			name = Upload
		}
		s = append(s, Stage{Name: name, Seconds: float64(r.Bytes) / m.Write, Beside: true})
	}
	return s
}

// total is how long the stages take together.
func total(s []Stage) float64 {
	var row, beside float64
	for _, stage := range s {
		if stage.Beside {
			beside = max(beside, stage.Seconds)
		} else {
			row += stage.Seconds
		}
	}
	return max(row, beside)
}

// bottleneck is the stage beside the others where it takes longer than they, else the longest of them.
func bottleneck(s []Stage) string {
	all := total(s)
	if i := slices.IndexFunc(s, func(s Stage) bool { return s.Beside && s.Seconds >= all && all > 0 }); i >= 0 {
		return s[i].Name
	}
	row := slices.DeleteFunc(slices.Clone(s), func(s Stage) bool { return s.Beside })
	return slices.MaxFunc(row, func(a, b Stage) int { return cmp.Compare(a.Seconds, b.Seconds) }).Name
}

// ceilings are those that were measured.
func ceilings(r Run, m Machine) (out []Ceiling) {
	add := func(of string, rate, work float64) {
		if rate > 0 && work > 0 {
			out = append(out, Ceiling{of, rate / work * float64(r.Tokens)})
		}
	}
	add("matrix products", m.Flops, r.Products)
	add("copies to the host", m.ToHost, float64(r.Bytes))
	add("writing", m.Write, float64(r.Bytes))
	return out
}

// fleet is the time of so many nodes like this one: each has a whole number of units, none is faster than the longest,
// and a directory is one disk for all of them.
func fleet(r Run, m Machine, nodes int) float64 {
	units := float64(max(1, r.Units))
	share := max(math.Ceil(units/float64(nodes))/units, r.Longest)
	s := stages(r, m)
	for i := range s {
		if s[i].Name != Disk {
			s[i].Seconds *= share
		}
	}
	return total(s)
}

// change is the cheapest one that helps the bottleneck: first what costs nothing, then another node, then less data.
func change(r Run, m Machine, bottleneck string) Change {
	now := total(stages(r, m))
	half := r
	half.Bytes /= 2
	fewer := r
	fewer.Bytes -= r.Bytes / int64(max(1, r.Columns))
	less := m
	less.Tapped -= max(0, m.Tapped-m.Bare) / float64(max(1, r.Columns))
	tap := Change{fmt.Sprintf("fewer taps (--sites, --layers): each of the %d columns costs the same", r.Columns), now - total(stages(fewer, less))}
	node := Change{"another node like this one", now - fleet(r, m, 2)}
	switch {
	case (bottleneck == Disk || bottleneck == Upload) && r.F32:
		return Change{"--dtype f16 halves the bytes", now - total(stages(half, m))}
	case bottleneck == Model && r.GPU && r.Exact:
		return Change{Do: "--compute bf16, or tf32, in which a GPU multiplies many times as fast; --dry-run with it says how much"}
	case bottleneck != Disk && r.Units > 1:
		return node
	case bottleneck == Model:
		return Change{Do: "a smaller --unit-prompts makes more units, for another node"}
	case r.Columns > 1:
		return tap
	case r.EveryToken:
		return Change{Do: "fewer positions (--tokens last, every:N)"}
	}
	return Change{Do: "a faster place for --out"}
}
